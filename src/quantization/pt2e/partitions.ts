/**
 * Chains of operators that quantize as one: a convolution, the sum it is added to, the relu behind.
 * Source: find_sequential_partitions, torch/ao/quantization/pt2e/graph_utils.py.
 */

import type { Graph, Node } from "../../graph/graph.ts";

/** Operators that may stand at one place of a chain. */
export type Link = readonly string[];

function extend(chain: readonly Node[], links: readonly Link[]): Node[][] {
  const [link, ...rest] = links;
  if (!link) return [[...chain]];
  const last = chain.at(-1)!;
  const readers = last.users.filter(({ kind, target }) => kind === "operator" && link.includes(target));
  return readers.flatMap((reader) => extend([...chain, reader], rest));
}

/**
 * Every run of nodes that matches the links one after the other, each reading the one before; by the first node's
 * place in the graph. Nodes inside may have other readers as well.
 */
export function findSequentialPartitions(graph: Graph, links: readonly Link[]): Node[][] {
  const [first, ...rest] = links;
  if (!first) return [];
  const heads = graph.nodes.filter(({ kind, target }) => kind === "operator" && first.includes(target));
  return heads.flatMap((head) => extend([head], rest));
}

/** Times the first output of a node is read, the graph's return included. */
export function readCount(graph: Graph, node: Node): number {
  return graph.useCount(node.outputs[0]!);
}
