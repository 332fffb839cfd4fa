/**
 * Scalar operands as stored tensors, so that they can be annotated like any other.
 * Source: _convert_scalars_to_attrs, torchao/testing/pt2e/_xnnpack_quantizer_utils.py.
 */

import type { Graph } from "../../graph/graph.ts";
import { scalar } from "../../tensor/create.ts";

/** Turns number literals of the named operators into stored 0-d float32 tensors, where the result is float32. */
export function convertScalarsToAttributes(graph: Graph, operators: readonly string[]): void {
  for (const node of [...graph.nodes]) {
    const isFloat = node.outputs[0]?.type?.dtype === "float32";
    if (node.kind !== "operator" || !isFloat || !operators.includes(node.target)) continue;
    const args = node.args.map((arg) =>
      typeof arg === "number" ? graph.attribute(graph.freeAttributeName("_tensor_constant"), scalar(arg)) : arg,
    );
    graph.setArgs(node, args);
  }
}
