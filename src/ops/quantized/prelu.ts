/**
 * Quantized PReLU: positive values stay, negative ones are multiplied by a learned, quantized slope.
 *
 * Both branches are one product of integers, max(x, 0) * q(1) + min(x, 0) * w, where q(1) is the quantized 1 of the
 * slope's parameters. Source: qprelu_out_kernel, ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp.
 */

import { ShapeError } from "../../errors.ts";
import { allocate } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";
import { inverseScale } from "../quantize/numerics.ts";
import { NO_GRADIENT, quantizedType, requireByte, requireSameDtype } from "./common.ts";
import type { OutputQParams } from "./common.ts";
import { addThenRound, requantizeInteger, targetOf } from "./requantize.ts";

const { fround } = Math;

export const quantizedPreluOp = defineOp<readonly [x: Tensor, weight: Tensor], OutputQParams>({
  name: "quantizedPrelu",
  infer([x, weight], output) {
    const [type, slope] = [requireByte("quantizedPrelu", x), requireByte("quantizedPrelu", weight)];
    requireSameDtype("quantizedPrelu", type, slope);
    const slopes = numel(weight.shape);
    if (slopes !== 1 && slopes !== x.shape[1]) {
      throw new ShapeError(
        "quantizedPrelu",
        { x: x.shape, weight: weight.shape },
        "there must be one slope, or one a channel",
      );
    }
    return [quantizedType("quantizedPrelu", type.dtype, x.shape, output)];
  },
  forward([x, weight], output, [type]) {
    const [{ dtype, qparams: qx }, { qparams: qw }] = [
      requireByte("quantizedPrelu", x),
      requireByte("quantizedPrelu", weight),
    ];
    const multiplier = fround(fround(fround(qx.scale) * fround(qw.scale)) * inverseScale(output.scale));
    const target = targetOf(dtype, output);
    const one = addThenRound(1, targetOf(dtype, qw)) - qw.zeroPoint;
    const slopes = Array.from(weight.data, (q) => q - qw.zeroPoint);
    const inner = numel(x.shape.slice(2));
    const out = allocate(dtype, x.numel);
    for (let i = 0; i < out.length; i++) {
      const v = x.data[i]! - qx.zeroPoint;
      const slope = slopes.length === 1 ? slopes[0]! : slopes[Math.floor(i / inner) % slopes.length]!;
      out[i] = requantizeInteger(v * (v > 0 ? one : slope), multiplier, target);
    }
    return [new Tensor(dtype, x.shape, out, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

/**
 * x where positive, else x * weight; weight has one element or one a channel (axis 1) and the dtype of x.
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function quantizedPrelu(x: Tensor, weight: Tensor, { scale, zeroPoint }: OutputQParams): Tensor {
  return apply(quantizedPreluOp, [x, weight], { scale, zeroPoint });
}
