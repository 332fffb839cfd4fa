/** Where a graph calls observers. */

import type { Graph, Node } from "../../graph/graph.ts";
import { ObserverBase } from "../../quantization/observers/index.ts";

export interface ObserverNode {
  readonly node: Node;
  readonly name: string;
  readonly observer: ObserverBase;
}

/** Every observer that a graph calls. */
export function observerNodes(graph: Graph): ObserverNode[] {
  return graph.nodes.flatMap((node) => {
    const observer = node.kind === "module" ? graph.modules.get(node.target) : undefined;
    return observer instanceof ObserverBase ? [{ node, name: node.target, observer }] : [];
  });
}
