/**
 * Gradients of operators that move pixels. The gradient of a slice is its place filled and zeros elsewhere; that of
 * padding with zeros is a slice.
 */

import type { Node } from "../../../graph/graph.ts";
import { imageOf } from "../../form.ts";
import type { PlanBuilder, StepRule } from "../../plan.ts";
import { bindCopy, bindFill, origin, padCorner, sliceCorner } from "../../steps/move.ts";

const IMAGES = "only float32 tensors of rank 3 and 4 have a kernel";

function isImage(plan: PlanBuilder, node: Node): boolean {
  const type = plan.type(node.output);
  return type.dtype === "float32" && imageOf(type.shape) !== null && imageOf(plan.type(node.args[0]!).shape) !== null;
}

function emitSliceBackward(node: Node, plan: PlanBuilder): string | void {
  if (!isImage(plan, node)) return IMAGES;
  const corner = sliceCorner(plan.type(node.output).shape.length, node);
  if (typeof corner === "string") return corner;
  const gradient = plan.read(node.args[0]!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  plan.copy({
    node,
    kernel: "fill, copy pieces",
    reads: [gradient],
    writes: [output],
    bind(place) {
      const fill = bindFill(place, output, 0);
      const copy = bindCopy(place, gradient, origin, output, corner, gradient.image);
      return () => {
        fill();
        copy();
      };
    },
  });
}

function emitPadBackward(node: Node, plan: PlanBuilder): string | void {
  if (!isImage(plan, node)) return IMAGES;
  const corner = padCorner(plan.type(node.output).shape.length, node);
  if (typeof corner === "string") return corner;
  const gradient = plan.read(node.args[0]!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  plan.copy({
    node,
    kernel: "copy pieces",
    reads: [gradient],
    writes: [output],
    bind: (place) => bindCopy(place, gradient, corner, output, origin, output.image),
  });
}

export const moveRules: readonly (readonly [string, StepRule])[] = [
  ["sliceBackward", { emit: emitSliceBackward }],
  ["padBackward", { emit: emitPadBackward }],
];
