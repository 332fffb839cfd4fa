/**
 * Which graphs were prepared. A quantizer may find nothing to quantize, and converting is then as right as in PyTorch;
 * but a graph that nobody prepared, or that is converted already, would come out as it went in without a word.
 * The mark is on the graph's first input (or node), so copies keep it; files do not.
 */

import { QuantError } from "../../errors.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { isConverted, observedOf } from "./convert.ts";

const PREPARED = "prepared";

const markedNode = (graph: Graph): Node | undefined => graph.inputs[0]?.node ?? graph.nodes[0];

export function markPrepared(graph: Graph): void {
  markedNode(graph)?.meta.set(PREPARED, true);
}

/** For the copy that is converted. */
export function unmarkPrepared(graph: Graph): void {
  markedNode(graph)?.meta.delete(PREPARED);
}

/** @throws QuantError for a graph that was converted already or never prepared. */
export function requirePrepared(where: string, graph: Graph, hint: string): void {
  if (markedNode(graph)?.meta.has(PREPARED)) return;
  if (graph.nodes.some(({ kind, target }) => kind === "module" && observedOf(graph.modules.get(target)))) return;
  const fields = { graph: graph.name };
  if (isConverted(graph))
    throw new QuantError(where, fields, "the graph is already converted", "Use what the first conversion returned");
  throw new QuantError(where, fields, "the graph has no observers: it was not prepared", hint);
}
