/**
 * Quantized linear layers whose activation is applied to the float sum, before the one rounding at the end:
 * q = rne(f(acc * a + b) * (1 / so) + zo). PyTorch fuses leakyRelu and tanh so, on the onednn engine only.
 * Source: ATen/native/quantized/cpu/qlinear.cpp (linear_leaky_relu, linear_tanh) and oneDNN's eltwise post-operation.
 */

import { allocate } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";
import { linearSums } from "./accumulate.ts";
import { NO_GRADIENT, quantizedType, requireByte } from "./common.ts";
import type { OutputQParams } from "./common.ts";
import { biasOf, productScales, scaleSums } from "./epilogue.ts";
import { linearShape } from "./linear.ts";
import type { WeightedInputs } from "./linear.ts";
import { addThenRound, targetOf } from "./requantize.ts";

const { fround } = Math;

export type FusedActivation = "leakyRelu" | "tanh";
type Attrs = OutputQParams & { readonly activation: FusedActivation; readonly negativeSlope: number };

function functionOf({ activation, negativeSlope }: Attrs): (v: number) => number {
  if (activation === "tanh") return (v) => fround(Math.tanh(v));
  const slope = fround(negativeSlope);
  return (v) => (v > 0 ? v : fround(v * slope));
}

export const quantizedLinearActivationOp = defineOp<WeightedInputs, Attrs>({
  name: "quantizedLinearActivation",
  infer([x, weight, bias], attrs) {
    const { dtype } = requireByte("quantizedLinearActivation", x);
    return [
      quantizedType(
        "quantizedLinearActivation",
        dtype,
        linearShape("quantizedLinearActivation", [x, weight, bias]),
        attrs,
      ),
    ];
  },
  forward([x, weight, bias], attrs, [type]) {
    const { dtype, qparams } = requireByte("quantizedLinearActivation", x);
    const channels = weight.shape[0]!;
    const scales = productScales(qparams.scale, weight.qparams!, channels);
    const real = scaleSums({ values: linearSums(x, weight), channels, inner: 1 }, scales, biasOf(bias), false);
    const target = targetOf(dtype, attrs);
    const f = functionOf(attrs);
    const out = allocate(dtype, real.length);
    for (let i = 0; i < out.length; i++) out[i] = addThenRound(f(real[i]!), target);
    return [new Tensor(dtype, type!.shape, out, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

/** leakyRelu(x weight^T + bias) with one rounding. @throws as quantizedLinear */
export function quantizedLinearLeakyRelu(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  { scale, zeroPoint, negativeSlope = 0.01 }: OutputQParams & { readonly negativeSlope?: number },
): Tensor {
  return apply(quantizedLinearActivationOp, [x, weight, bias], {
    scale,
    zeroPoint,
    activation: "leakyRelu",
    negativeSlope,
  });
}

/** tanh(x weight^T + bias) with one rounding. @throws as quantizedLinear */
export function quantizedLinearTanh(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  { scale, zeroPoint }: OutputQParams,
): Tensor {
  return apply(quantizedLinearActivationOp, [x, weight, bias], {
    scale,
    zeroPoint,
    activation: "tanh",
    negativeSlope: 0,
  });
}
