/**
 * Which buffers get a new value when a graph has run.
 *
 * A batch norm captured in training gives new running statistics beside its result. Moved to eval it gives the result
 * only, so its statistics, and the count of batches that stands beside them, stay as they are.
 */

import { Value } from "./graph.ts";
import type { Argument, Graph } from "./graph.ts";

/** Path of the module a stored tensor belongs to. */
function moduleOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf("."), 0));
}

/** Whether a value only exists in training. */
export function isTrainingOnly(value: Argument): boolean {
  return value instanceof Value && value.index > 0 && value.node.attrs["training"] === false;
}

/** The graph's updates without those of modules that are in eval. */
export function liveUpdates(graph: Graph): (readonly [name: string, value: Argument])[] {
  const still = new Set(
    [...graph.updates].filter(([, value]) => isTrainingOnly(value)).map(([name]) => moduleOf(name)),
  );
  return [...graph.updates].filter(([name]) => !still.has(moduleOf(name)));
}

/** Forgets the updates of modules that are in eval, for graphs that will not train again. */
export function dropDormantUpdates(graph: Graph): void {
  const live = new Map(liveUpdates(graph));
  for (const name of [...graph.updates.keys()]) if (!live.has(name)) graph.updates.delete(name);
}
