/**
 * Train and eval mode of a captured graph: an attribute of dropout and batch-norm nodes. Everything else about them
 * (probability, momentum, eps) stays as it was captured.
 */

import type { Graph } from "./graph.ts";

/** Moves the nodes that behave differently in training to that mode. */
export function setMode(graph: Graph, training: boolean): void {
  for (const node of graph.nodes) {
    if (typeof node.attrs["training"] === "boolean") node.attrs = { ...node.attrs, training };
  }
}
