/**
 * What placeStubs changed, as data and as a diff that a person can apply to the source.
 *
 * A class is edited once however many modules of it there are, so edits of one class and line that say the same become
 * one hunk. Source text is not at hand (a model knows file names and lines, not files): calls are written with the
 * arguments left out or named a, b.
 */

import { isLibraryLayer } from "../../quantization/fx/trace.ts";
import { ModuleDict, ModuleList, Sequential } from "../../nn/container.ts";
import { classOf } from "../../quantization/eager/types.ts";
import type { AnyModule } from "../../nn/module.ts";
import { alignRows } from "../../report/table.ts";

export type EditKind = "stub" | "functional" | "module" | "fusion" | "copy" | "float";

/** The class to be edited: the user's own class nearest around a module. */
export interface Owner {
  /** Path of the module of that class; "" is the root. */
  readonly path: string;
  readonly className: string;
  /** Paths of all modules of the class. */
  readonly siblings: readonly string[];
}

export interface Edit extends Owner {
  readonly kind: EditKind;
  /** The user's line, `model.ts:14`; empty for changes that belong to no line. */
  readonly location: string;
  /** A property the class gets; empty when none. */
  readonly declare: string;
  /** What stands in the line now; empty for additions. */
  readonly before: string;
  readonly after: string;
}

/** Path of the module that holds another. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("."), 0));
}

export function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

const containers = [Sequential, ModuleList, ModuleDict];

function isOwn(module: AnyModule | undefined): boolean {
  return module !== undefined && !isLibraryLayer(module) && !containers.some((kind) => module instanceof kind);
}

/** Finds owners in a model. */
export class Owners {
  private readonly modules: ReadonlyMap<string, AnyModule>;

  constructor(model: AnyModule) {
    this.modules = new Map(model.namedModules());
  }

  /** How the owner's forward names a module: `this.linear`; of the last layer of a Sequential the Sequential. */
  expression(path: string): string {
    let at = path;
    for (let parent = parentOf(at); parent !== ""; parent = parentOf(at)) {
      const around = this.modules.get(parent);
      if (!(around instanceof Sequential) || around.namedChildren().at(-1)?.[0] !== lastName(at)) break;
      at = parent;
    }
    const { path: owner } = this.of(parentOf(at));
    return `this.${owner === "" ? at : at.slice(owner.length + 1)}`;
  }

  /** Whose forward makes the calls that are noted under `path`. */
  of(path: string): Owner {
    let at = path;
    while (at !== "" && !isOwn(this.modules.get(at))) at = parentOf(at);
    const owner = this.modules.get(at)!;
    const siblings = [...this.modules].filter(([, module]) => classOf(module) === classOf(owner));
    return { path: at, className: owner.constructor.name, siblings: siblings.map(([one]) => one) };
  }
}

/** A name below an owner: `attention.quant`. */
export function below({ path }: Owner, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

const MANY = 4;

function listed(paths: readonly string[]): string {
  const names = paths.map((path) => (path === "" ? "the model" : path));
  return names.length <= MANY
    ? names.join(", ")
    : `${names.slice(0, MANY - 1).join(", ")} and ${names.length - MANY + 1} more`;
}

function heading({ className, location, siblings }: Edit, paths: readonly string[]): string {
  const others = siblings.filter((path) => !paths.includes(path));
  const except = others.length > 0 ? `; not needed in ${listed(others)}` : "";
  return `@@ class ${className} (${listed(paths)}${except})${location === "" ? "" : `, ${location}`} @@`;
}

function linesOf({ declare, before, after }: Edit): string[] {
  const added = (text: string): string[] => (text === "" ? [] : text.split("\n").map((line) => `+ ${line}`));
  return [...added(declare), ...(before === "" ? [] : [`- ${before}`]), ...added(after)];
}

/** Edits that say the same of one class and line, with the paths of all modules concerned. */
function joined(edits: readonly Edit[]): { edit: Edit; paths: string[] }[] {
  const groups = new Map<string, { edit: Edit; paths: string[] }>();
  for (const edit of edits) {
    const { className, location, declare, before, after, path } = edit;
    const key = JSON.stringify([className, location, declare, before, after]);
    const group = groups.get(key) ?? { edit, paths: [] };
    if (!group.paths.includes(path)) group.paths.push(path);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** All fusions in one call: they are made on the finished model. */
function fusionHunk(edits: readonly Edit[], className: string): string[] {
  if (edits.length === 0) return [];
  const isQat = edits[0]!.before === "fuseModulesQat";
  const lists = edits.map(({ after }) => `+   ${after},`);
  const mode = isQat ? "train" : "eval";
  return [
    `@@ where ${className} is made, before its qconfig is set @@`,
    `+ model = ${isQat ? "fuseModulesQat" : "fuseModules"}(model.${mode}(), [`,
    ...lists,
    "+ ]);",
  ];
}

/** Edits as a diff: a hunk for each class and line, fusions last. */
export function editsText(edits: readonly Edit[]): string {
  const hunks = new Map<string, string[]>();
  const fusions = edits.filter(({ kind }) => kind === "fusion");
  for (const { edit, paths } of joined(edits.filter(({ kind }) => kind !== "fusion"))) {
    const head = heading(edit, paths);
    hunks.set(head, [...(hunks.get(head) ?? []), ...linesOf(edit)]);
  }
  const text = [...hunks].map(([head, lines]) => [head, ...lines].join("\n"));
  const last = fusionHunk(fusions, fusions[0]?.className ?? "");
  return [...text, ...(last.length > 0 ? [last.join("\n")] : [])].join("\n");
}

/** How many edits of each kind. */
export function editsSummary(edits: readonly Edit[]): string {
  const kinds = [...new Set(edits.map(({ kind }) => kind))];
  return alignRows(
    ["edit", "count"],
    kinds.map((kind) => [kind, String(edits.filter((edit) => edit.kind === kind).length)]),
  );
}
