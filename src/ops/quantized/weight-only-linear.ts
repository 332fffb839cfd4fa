/**
 * A linear layer in floats whose weight stays in integers, 8 or 4 bits, with a scale and zero point for every group of inputs:
 *
 *     y = x W^T + b,   W[o][k] = (q[o][k] - z[o][g]) * s[o][g],   g = floor(k / groupSize)
 *
 * What lowering makes of a linear layer behind a dequantize, so that the engine need not hold its weight as floats.
 */

import { ArgumentError, DtypeError } from "../../errors.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { linearOp } from "../linear.ts";
import { defineOp } from "../op.ts";
import { NO_GRADIENT } from "./common.ts";

const NAME = "weightOnlyLinear";

/** q int8 [out, in]; scales and zero points float32 [out, groups], no zero points meaning 0; bias float32 [out]. */
type Inputs = readonly [x: Tensor, q: Tensor, scales: Tensor, zeroPoints: Tensor | null, bias: Tensor | null];

export type WeightOnlyAttrs = {
  /** Inputs that share a scale; the last group may be shorter. */
  readonly groupSize: number;
  readonly bits: 4 | 8;
  /** Smallest integer. */
  readonly low: number;
};

/** The weight as floats, float32 [out, in]. */
export function floatWeight(q: Tensor, scales: Tensor, zeroPoints: Tensor | null, groupSize: number): Tensor {
  const { fround } = Math;
  const [channels, depth] = q.shape as [number, number];
  const groups = scales.shape[1]!;
  const out = new Float32Array(channels * depth);
  for (let o = 0, i = 0; o < channels; o++) {
    for (let k = 0; k < depth; k++, i++) {
      const at = o * groups + Math.floor(k / groupSize);
      out[i] = fround(q.data[i]! - (zeroPoints?.data[at] ?? 0)) * fround(scales.data[at]!);
    }
  }
  return new Tensor("float32", q.shape, out);
}

export const weightOnlyLinearOp = defineOp<Inputs, WeightOnlyAttrs>({
  name: NAME,
  infer([x, q, scales, zeroPoints, bias], { groupSize }) {
    if (q.dtype !== "int8") throw new DtypeError(NAME, { q: q.dtype }, "needs int8 integers");
    const [channels, depth] = q.shape as [number, number];
    const groups = [channels, Math.ceil(depth / groupSize)];
    if (!(groupSize >= 1) || !sameShape(scales.shape, groups) || (zeroPoints && !sameShape(zeroPoints.shape, groups)))
      throw new ArgumentError(
        NAME,
        { groupSize, scales: scales.shape, zeroPoints: zeroPoints?.shape ?? null },
        `scales and zero points must be [${groups.join(", ")}]`,
      );
    const weight: TensorType = { dtype: "float32", shape: q.shape };
    return linearOp.infer([x, weight, bias], {});
  },
  forward([x, q, scales, zeroPoints, bias], { groupSize }, types) {
    if (numel(q.shape) === 0) return linearOp.forward([x, new Tensor("float32", q.shape, null), bias], {}, types);
    return linearOp.forward([x, floatWeight(q, scales, zeroPoints, groupSize), bias], {}, types);
  },
  backward: NO_GRADIENT,
});
