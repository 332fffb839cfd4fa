/**
 * Operators whose output has its input's quantization parameters, because they choose, move or limit values; and the
 * sweep that hands an annotation on through them.
 * Source: propagate_annotation, torchao/testing/pt2e/_xnnpack_quantizer_utils.py.
 */

import type { Graph, Node } from "../../graph/graph.ts";
import { QuantizationAnnotation, annotate, annotationOf } from "./annotation.ts";
import { SharedQuantizationSpec } from "./spec.ts";

const always = new Set(["relu", "relu6", "hardtanh", "maxPool2d", "mean", "permute", "adaptiveAvgPool2d"]);

/** A reshape that leaves the batch axis alone and merges or drops axes behind it: flatten, squeeze and their like. */
export function isFlatten({ target, inputs, outputs }: Node): boolean {
  const [from, to] = [inputs[0]?.type?.shape, outputs[0]?.type?.shape];
  return target === "reshape" && !!from && !!to && from[0] === to[0] && to.length < from.length;
}

export function sharesItsInput(node: Node): boolean {
  return always.has(node.target) || isFlatten(node);
}

/** Annotates sharing operators behind an annotated output; one sweep from first to last hands it on as far as it goes. */
export function propagateAnnotation(graph: Graph): void {
  for (const node of graph.nodes) {
    const [x] = node.inputs;
    if (node.kind !== "operator" || !x || annotationOf(node) || !sharesItsInput(node)) continue;
    if (!annotationOf(x.node)?.outputQspec) continue;
    const shared = new SharedQuantizationSpec(x);
    annotate(node, new QuantizationAnnotation({ inputQspecMap: new Map([[x, shared]]), outputQspec: shared }));
  }
}
