/**
 * Which node of one graph is which of another, after preparing, converting or lowering.
 *
 * A node is known by the module it came from, what it does (quantized and fused forms count as the float operator),
 * and its place among such nodes of that module; or by the debug handle given to it before.
 */

import type { Graph, Node } from "../../graph/graph.ts";

const HANDLE = "debugHandle";

/** Nodes that carry values from one number format to another; they are nobody's counterpart. */
const plumbing = /^(decomposed)?(quantize|dequantize|chooseQParams)|^cast$/i;

/** Whether a node makes integers of floats and does nothing else. */
export function isQuantizing({ kind, target }: Node): boolean {
  return kind === "operator" && /^(decomposedQ|q)uantize(PerTensor|PerChannel)/.test(target);
}

/** `quantizedConv`, `conv2d` → `conv`; `quantizedAdaptiveAvgPool2d` → `adaptiveAvgPool`. */
export function baseName(target: string): string {
  const plain = target.replace(/^quantized(?=[A-Z])/, "").replace(/\dd$/, "");
  return plain.charAt(0).toLowerCase() + plain.slice(1);
}

/** Operator nodes that compute something, in order. */
export function computingNodes(graph: Graph): Node[] {
  return graph.nodes.filter((node) => {
    if (node.kind !== "operator") return false;
    return !plumbing.test(node.target) || /^quantized[A-Z]/.test(node.target);
  });
}

/** The name by which each computing node is known; unique within the graph. */
export function nodeKeys(graph: Graph): Map<Node, string> {
  const counts = new Map<string, number>();
  return new Map(
    computingNodes(graph).map((node) => {
      const handle = node.meta.get(HANDLE);
      if (typeof handle === "number") return [node, `#${handle}`] as const;
      const stem = `${node.source.path}:${baseName(node.target)}`;
      const index = counts.get(stem) ?? 0;
      counts.set(stem, index + 1);
      return [node, `${stem}:${index}`] as const;
    }),
  );
}

/** The node whose output a quantized node's stands for: with relu fused in, that of the relu behind it. */
export function outputOf(node: Node, key: string, other: Graph): Node | undefined {
  const found = [...nodeKeys(other)].find(([, own]) => own === key)?.[0];
  if (!found) return undefined;
  const fused = node.attrs["relu"] === true && found.attrs["relu"] === undefined;
  const [next] = found.users;
  return fused && next && found.users.length === 1 && baseName(next.target) === "relu" ? next : found;
}

/** Numbers every computing node, so that copies made by prepare and convert can be compared with it. */
export function numberNodes(graph: Graph): void {
  computingNodes(graph).forEach((node, i) => node.meta.set(HANDLE, i));
}
