/**
 * Gradients of operators that move pixels. The gradient of a slice is its place filled and zeros elsewhere; that of
 * padding with zeros is a slice.
 */

import type { Node } from "../../../graph/graph.ts";
import { imageOf } from "../../form.ts";
import type { PlanBuilder, StepRule } from "../../plan.ts";
import { axisName, bindCopy, bindFill, origin } from "../../steps/move.ts";
import type { Corner } from "../../steps/move.ts";

const IMAGES = "only float32 tensors of rank 3 and 4 have a kernel";

function isImage(plan: PlanBuilder, node: Node): boolean {
  const type = plan.type(node.output);
  return type.dtype === "float32" && imageOf(type.shape) !== null && imageOf(plan.type(node.args[0]!).shape) !== null;
}

function emitSliceBackward(node: Node, plan: PlanBuilder): string | void {
  if (!isImage(plan, node)) return IMAGES;
  const { dim, start, step } = node.attrs as { dim: number; start: number; step: number };
  const axis = axisName(plan.type(node.output).shape.length, dim);
  if (step < 1 || (axis === "c" && step !== 1)) return "channels can only be sliced one by one, and nothing backwards";
  const gradient = plan.read(node.args[0]!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  const steps = (["n", "h", "w"] as const).map((name) => (name === axis ? step : 1)) as [number, number, number];
  const corner: Corner = { ...origin, [axis]: start, steps };
  plan.step({
    node,
    kernel: "fill, copy pieces",
    precision: "copy",
    why: "",
    operations: 0,
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
  const { padding, mode } = node.attrs as { padding: readonly number[]; mode: string };
  if (mode !== "constant" || padding.some((p) => p < 0)) return "only the gradient of padding with zeros has a kernel";
  const rank = plan.type(node.output).shape.length;
  const corner: Record<"n" | "c" | "h" | "w", number> = { n: 0, c: 0, h: 0, w: 0 };
  for (let i = 0; i * 2 < padding.length; i++) corner[axisName(rank, rank - 1 - i)] = padding[i * 2]!;
  const gradient = plan.read(node.args[0]!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  plan.step({
    node,
    kernel: "copy pieces",
    precision: "copy",
    why: "",
    operations: 0,
    reads: [gradient],
    writes: [output],
    bind: (place) => bindCopy(place, gradient, { ...corner, steps: origin.steps }, output, origin, output.image),
  });
}

export const moveRules: readonly (readonly [string, StepRule])[] = [
  ["sliceBackward", { emit: emitSliceBackward }],
  ["padBackward", { emit: emitPadBackward }],
];
