/**
 * Gives every annotated reader of a dequantized value a dequantize node of its own.
 *
 * A pattern such as dequantize → conv → quantize can then be replaced without asking who else reads the dequantized
 * value. Readers that nothing was asked for (the graph's return, a further quantize) keep the node there is. Dynamic pairs are left alone: their parameters are values of the graph, and a second node would only read
 * them again. Source: torchao/quantization/pt2e/duplicate_dq_pass.py.
 */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { removeDead } from "../../graph/rewrite.ts";
import type { Pass } from "../../graph/rewrite.ts";
import { annotationOf } from "./annotation.ts";

const DEQUANTIZE = /^(decomposedDequantize|dequantize)/;

/** Whether scale and zero point are literals or stored, not computed. */
function isStatic(graph: Graph, node: Node): boolean {
  return node.args.slice(1).every((arg) => !(arg instanceof Value) || graph.tensorOf(arg) !== null);
}

/** Whether a quantizer said anything about what the node reads or gives. */
function isAnnotated(node: Node): boolean {
  const annotation = annotationOf(node);
  return annotation !== null && (annotation.inputQspecMap.size > 0 || annotation.outputQspec !== null);
}

function duplicateFor(graph: Graph, node: Node, reader: Node): void {
  const { kind, target, args, attrs, source, outputs } = node;
  const copy = graph.insertAfter(
    { kind, target, args, attrs, source, types: [node.output.type], name: outputs[0]!.name },
    node,
  );
  for (const [key, value] of node.meta) copy.meta.set(key, value);
  graph.setArgs(
    reader,
    reader.args.map((arg) => (arg === node.output ? copy.output : arg)),
  );
}

export const DuplicateDQPass: Pass = {
  name: "duplicate-dequantize",
  run(graph) {
    for (const node of [...graph.nodes]) {
      if (node.kind !== "operator" || !DEQUANTIZE.test(node.target) || !isStatic(graph, node)) continue;
      const readers = node.users;
      const others = readers.length + (graph.outputs.includes(node.output) ? 1 : 0);
      if (others > 1) for (const reader of readers.filter(isAnnotated)) duplicateFor(graph, node, reader);
    }
    removeDead(graph);
  },
};
