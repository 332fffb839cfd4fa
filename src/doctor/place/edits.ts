/**
 * What placeStubs changed, as data and as a diff that a person can apply to the source.
 */

import { alignRows } from "../../report/table.ts";

export type EditKind = "stub" | "functional" | "fusion" | "copy" | "float";

export interface Edit {
  readonly kind: EditKind;
  /** Path of the module whose class must change; "" is the root. */
  readonly path: string;
  /** The user's line, `model.ts:14`; empty for changes that belong to no line. */
  readonly location: string;
  /** What stands there now; empty for additions. */
  readonly before: string;
  readonly after: string;
}

function heading({ path, location }: Edit): string {
  return `@@ ${path === "" ? "the model" : path}${location === "" ? "" : `, ${location}`} @@`;
}

/** Edits as a diff: one hunk for each module and line. */
export function editsText(edits: readonly Edit[]): string {
  const hunks = new Map<string, string[]>();
  for (const edit of edits) {
    const lines = hunks.get(heading(edit)) ?? [];
    for (const line of edit.before.split("\n")) if (line !== "") lines.push(`- ${line}`);
    for (const line of edit.after.split("\n")) if (line !== "") lines.push(`+ ${line}`);
    hunks.set(heading(edit), lines);
  }
  return [...hunks].map(([head, lines]) => [head, ...lines].join("\n")).join("\n");
}

/** How many edits of each kind. */
export function editsSummary(edits: readonly Edit[]): string {
  const kinds = [...new Set(edits.map(({ kind }) => kind))];
  return alignRows(
    ["edit", "count"],
    kinds.map((kind) => [kind, String(edits.filter((edit) => edit.kind === kind).length)]),
  );
}
