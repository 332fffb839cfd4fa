/**
 * A capture that keeps units whole, on a copy of the model, with notes of what a graph cannot hold: modules made
 * while running, and scalar calls of FloatFunctionals (which observe nothing).
 */

import { FewbitError } from "../../errors.ts";
import { capture } from "../../graph/capture.ts";
import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { callerLocation, withDeepStacks } from "../../graph/location.ts";
import { FloatFunctional } from "../../nn/float-functional.ts";
import type { AnyModule } from "../../nn/module.ts";
import { QFunctional } from "../../nn/quantized/functional-modules.ts";
import { activeTracer } from "../../tensor/context.ts";
import { isUnit } from "./units.ts";

/** A module called that is nowhere in the tree. */
export interface Stray {
  readonly className: string;
  /** Path of the module in whose forward it was called. */
  readonly path: string;
  readonly location: string;
}

export interface Trace {
  readonly graph: Graph;
  /** The copy that was captured. */
  readonly model: AnyModule;
  readonly strays: readonly Stray[];
  /** `file:line` of scalar calls through functionals, with the functional's path. */
  readonly scalarCalls: ReadonlyMap<string, string>;
}

export type TraceResult =
  { readonly trace: Trace; readonly failure: null } | { readonly trace: null; readonly failure: Error };

type Scalar = (x: never, y: number) => unknown;

/** Makes the scalar forms of a functional note where they are called. */
function noteScalarCalls(path: string, functional: AnyModule, notes: Map<string, string>): void {
  const methods = functional as unknown as Record<"addScalar" | "mulScalar", Scalar>;
  for (const name of ["addScalar", "mulScalar"] as const) {
    const original = methods[name].bind(functional);
    Object.defineProperty(functional, name, {
      value: (x: never, y: number) => {
        notes.set(callerLocation(), path);
        return original(x, y);
      },
      configurable: true,
    });
  }
}

/** Notes calls of modules that are not in the tree: the running capture is asked to tell of every call. */
function watchCalls(root: AnyModule, strays: Stray[]): void {
  const paths = new Map(root.namedModules().map(([path, module]) => [module as object, path]));
  const stack: string[] = [];
  root.registerForwardPreHook(() => {
    const tracer = activeTracer();
    if (!tracer) return;
    const callModule = tracer.callModule.bind(tracer);
    tracer.callModule = (module, args, run) => {
      const path = paths.get(module) ?? stack.at(-1) ?? "";
      const location = callerLocation();
      const isNew = !paths.has(module) && !strays.some((stray) => stray.location === location);
      if (isNew) strays.push({ className: module.constructor.name, path, location });
      stack.push(path);
      try {
        return callModule(module, args, run);
      } finally {
        stack.pop();
      }
    };
  });
}

/** The graph of a copy of `model` with units as module nodes, or why there is none. */
export function traceUnits(model: AnyModule, exampleInputs: readonly unknown[]): TraceResult {
  const copy = model.clone();
  const strays: Stray[] = [];
  const scalarCalls = new Map<string, string>();
  for (const [path, module] of copy.namedModules()) {
    if (module instanceof FloatFunctional || module instanceof QFunctional) noteScalarCalls(path, module, scalarCalls);
  }
  watchCalls(copy, strays);
  try {
    const { graph } = withDeepStacks(() => capture(copy, exampleInputs, { leafModules: isUnit }));
    return { trace: { graph, model: copy, strays, scalarCalls }, failure: null };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { trace: null, failure: error };
  }
}

/** The user's line an error of a capture names, if it does. */
export function locationOf(error: Error): string {
  const at = error instanceof FewbitError ? error.fields["at"] : undefined;
  return typeof at === "string" ? at : (/([\w.-]+\.[mc]?[jt]s:\d+)\s*$/.exec(error.message)?.[1] ?? "");
}

/** Path of the functional a node's result is watched by, when a FloatFunctional made the call. */
export function functionalOf(node: Node, model: AnyModule): string | null {
  const [watcher] = node.users;
  if (node.users.length !== 1 || !watcher) return null;
  if (watcher.kind === "operator" && watcher.target === "relu") return functionalOf(watcher, model);
  const suffix = ".activationPostProcess";
  if (watcher.kind !== "module" || !watcher.target.endsWith(suffix)) return null;
  const path = watcher.target.slice(0, -suffix.length);
  const owner = model.getSubmodule(path);
  return owner instanceof FloatFunctional || owner instanceof QFunctional ? path : null;
}

/** Nodes that call modules, grouped by the module's path. */
export function callsByPath(graph: Graph): Map<string, Node[]> {
  const calls = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    if (node.kind === "module") calls.set(node.target, [...(calls.get(node.target) ?? []), node]);
  }
  return calls;
}

/** Whether a graph argument is a value. */
export function isValue(argument: unknown): argument is Value {
  return argument instanceof Value;
}
