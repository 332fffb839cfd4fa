/**
 * `fuseModules` and `fuseModulesQat`: replacing named sequences of layers by fused ones.
 * Source: torch/ao/quantization/fuse_modules.py.
 */

import { ArgumentError, ModuleError } from "../../errors.ts";
import { Identity } from "../../nn/linear.ts";
import type { AnyModule } from "../../nn/module.ts";
import { getFuserMethod } from "./fuser-methods.ts";
import type { FuserMapping } from "./fuser-methods.ts";
import { nearNames } from "./names.ts";
import { classOf } from "./types.ts";

/** Turns the modules of one list into their replacements, one each. */
export type FuserFunc = (
  modules: readonly AnyModule[],
  isQat: boolean,
  additional: FuserMapping,
) => readonly AnyModule[];

export interface FuseOptions {
  /** Change the model itself instead of a copy. */
  readonly inplace?: boolean;
  readonly fuserFunc?: FuserFunc;
  readonly fuseCustomConfigDict?: { readonly additional_fuser_method_mapping?: FuserMapping };
}

/** The first becomes the fused module, the others identities; hooks at both ends move to the fused one. @throws QuantError */
export function fuseKnownModules(
  modules: readonly AnyModule[],
  isQat: boolean,
  additional: FuserMapping = [],
): readonly AnyModule[] {
  const method = getFuserMethod(modules.map(classOf), additional);
  const fused = method(isQat, ...(modules as never[]));
  const [first, last] = [modules[0]!, modules.at(-1)!];
  for (const hook of first.forwardHooks.pre.splice(0)) fused.registerForwardPreHook(hook);
  for (const hook of last.forwardHooks.post.splice(0)) fused.registerForwardHook(hook);
  fused.training = first.training;
  return modules.map((_, i) => (i === 0 ? fused : new Identity().train(first.training)));
}

function find(model: AnyModule, name: string, list: readonly string[]): AnyModule {
  try {
    return model.getSubmodule(name);
  } catch (cause) {
    if (!(cause instanceof ModuleError)) throw cause;
    const known = model
      .namedModules()
      .map(([path]) => path)
      .filter((path) => path !== "");
    const near = nearNames(name, known);
    throw new ModuleError(
      "fuseModules",
      { name, list },
      "there is no module of that name",
      near.length > 0 ? `Did you mean ${near.join(", ")}?` : undefined,
    );
  }
}

function checkList(list: readonly string[]): void {
  if (list.length < 2) throw new ArgumentError("fuseModules", { list }, "a list must name at least two modules");
  const twice = list.find((name, i) => list.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ArgumentError("fuseModules", { list, name: twice }, "a list must not name a module twice");
}

function fuseList(model: AnyModule, list: readonly string[], isQat: boolean, options: FuseOptions): void {
  checkList(list);
  const modules = list.map((name) => find(model, name, list));
  const { fuserFunc = fuseKnownModules, fuseCustomConfigDict = {} } = options;
  const replaced = fuserFunc(modules, isQat, fuseCustomConfigDict.additional_fuser_method_mapping ?? []);
  list.forEach((name, i) => {
    const module = replaced[i]!;
    // What is left of a fused part knows where its work went, so that reports can tell when it is called elsewhere.
    if (module instanceof Identity) module.fusedInto = list[0]!;
    model.setSubmodule(name, module);
  });
}

function isListOfNames(lists: readonly string[] | readonly (readonly string[])[]): lists is readonly string[] {
  return lists.every((item) => typeof item === "string");
}

function fuse<M extends AnyModule>(
  model: M,
  lists: readonly string[] | readonly (readonly string[])[],
  isQat: boolean,
  options: FuseOptions,
): M {
  const all = lists.length > 0 && isListOfNames(lists) ? [lists] : (lists as readonly (readonly string[])[]);
  const named = new Set<string>();
  for (const name of all.flat()) {
    if (named.has(name))
      throw new ArgumentError("fuseModules", { name, lists: all }, "a module can be fused once only");
    named.add(name);
  }
  const fused = options.inplace ? model : model.clone();
  for (const list of all) fuseList(fused, list, isQat, options);
  return fused;
}

/**
 * A copy of the model (or the model itself) with the named sequences fused for inference: one list of dotted paths, or
 * a list of lists. Sequences with batch normalization must be in eval mode.
 * @throws ModuleError for unknown names, ArgumentError and QuantError for lists that cannot be fused.
 */
export function fuseModules<M extends AnyModule>(
  model: M,
  lists: readonly string[] | readonly (readonly string[])[],
  options: FuseOptions = {},
): M {
  return fuse(model, lists, false, options);
}

/** The same for training: batch normalization stays, beside its layer. @throws as fuseModules */
export function fuseModulesQat<M extends AnyModule>(
  model: M,
  lists: readonly string[] | readonly (readonly string[])[],
  options: FuseOptions = {},
): M {
  return fuse(model, lists, true, options);
}
