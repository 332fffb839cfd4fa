/**
 * Quantized activation functions.
 *
 * relu, relu6, clamp and hardtanh compare integers and keep the parameters of their input; sigmoid, hardsigmoid and
 * tanh have fixed output parameters because their range is known; the others take theirs from the caller. Real
 * functions are computed step by step in float32, in the order of the PyTorch kernels
 * (ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp).
 */

import { ArgumentError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { apply } from "../op.ts";
import { requireByte } from "./common.ts";
import type { OutputQParams, PerTensorType } from "./common.ts";
import { elementwise, minusOneToOne, onIntegers, zeroToOne } from "./elementwise.ts";
import { addThenRound, targetOf } from "./requantize.ts";

const { fround } = Math;

type NoAttrs = Readonly<Record<string, never>>;
type Given = OutputQParams;

const given = (_: PerTensorType, attrs: Given): OutputQParams => attrs;

export const quantizedReluOp = onIntegers<NoAttrs>(
  "quantizedRelu",
  ({ qparams: { zeroPoint } }) =>
    (q) =>
      Math.max(q, zeroPoint),
);

/** max(x, 0): integers below the zero point are raised to it. @throws DtypeError */
export function quantizedRelu(x: Tensor): Tensor {
  return apply(quantizedReluOp, [x], {});
}

type Limits = { readonly min: number | null; readonly max: number | null };

export const quantizedClampOp = onIntegers<Limits>("quantizedClamp", ({ dtype, qparams }, { min, max }) => {
  const target = targetOf(dtype, qparams);
  const low = min === null ? target.low : addThenRound(fround(min), target);
  const high = max === null ? target.high : addThenRound(fround(max), target);
  return (q) => Math.min(Math.max(q, low), high);
});

/** x limited to min..max, either of which may be left out; the limits are quantized first. @throws ArgumentError, DtypeError */
export function quantizedClamp(x: Tensor, { min = null, max = null }: Partial<Limits> = {}): Tensor {
  if (min === null && max === null)
    throw new ArgumentError("quantizedClamp", { min, max }, "at least one limit must be given");
  return apply(quantizedClampOp, [x], { min, max });
}

/** x limited to minVal..maxVal. */
export function quantizedHardtanh(
  x: Tensor,
  { minVal = -1, maxVal = 1 }: { readonly minVal?: number; readonly maxVal?: number } = {},
): Tensor {
  return quantizedClamp(x, { min: minVal, max: maxVal });
}

/** x limited to 0..6. */
export function quantizedRelu6(x: Tensor): Tensor {
  return quantizedClamp(x, { min: 0, max: 6 });
}

export const quantizedLeakyReluOp = elementwise<Given & { readonly negativeSlope: number }>(
  "quantizedLeakyRelu",
  given,
  ({ negativeSlope }) => {
    const slope = fround(negativeSlope);
    return (v) => (v > 0 ? v : fround(v * slope));
  },
);

/** x where positive, else x * negativeSlope; the parameters stay those of x unless given. @throws DtypeError, ArgumentError */
export function quantizedLeakyRelu(
  x: Tensor,
  options: Partial<OutputQParams> & { readonly negativeSlope?: number } = {},
): Tensor {
  const { qparams } = requireByte("quantizedLeakyRelu", x);
  const { scale = qparams.scale, zeroPoint = qparams.zeroPoint, negativeSlope = 0.01 } = options;
  return apply(quantizedLeakyReluOp, [x], { scale, zeroPoint, negativeSlope });
}

/** x where positive, else alpha * (e^(x * inputScale) - 1). */
export const quantizedEluOp = elementwise<Given & { readonly alpha: number; readonly inputScale: number }>(
  "quantizedElu",
  given,
  ({ alpha, inputScale }) => {
    const [a, s] = [fround(alpha), fround(inputScale)];
    return (v) => (v > 0 ? v : fround(fround(Math.expm1(fround(v * s))) * a));
  },
);

/** x where positive, else alpha * (e^x - 1). @throws DtypeError, ArgumentError */
export function quantizedElu(
  x: Tensor,
  { scale, zeroPoint, alpha = 1 }: OutputQParams & { readonly alpha?: number },
): Tensor {
  return apply(quantizedEluOp, [x], { scale, zeroPoint, alpha, inputScale: 1 });
}

/** x where positive, else alpha * (e^(x / alpha) - 1). @throws DtypeError, ArgumentError */
export function quantizedCelu(
  x: Tensor,
  { scale, zeroPoint, alpha = 1 }: OutputQParams & { readonly alpha?: number },
): Tensor {
  if (alpha === 0) throw new ArgumentError("quantizedCelu", { alpha }, "alpha must not be zero");
  return apply(quantizedEluOp, [x], { scale, zeroPoint, alpha, inputScale: 1 / alpha });
}

/** min(max(v + 3, 0), 6) */
function gate(v: number): number {
  return Math.min(Math.max(fround(v + 3), 0), 6);
}

export const quantizedHardswishOp = elementwise<Given>(
  "quantizedHardswish",
  given,
  () => (v) => fround(fround(v * gate(v)) / 6),
  { inverseOfDouble: true },
);

/** x * relu6(x + 3) / 6. @throws DtypeError, ArgumentError */
export function quantizedHardswish(x: Tensor, { scale, zeroPoint }: OutputQParams): Tensor {
  return apply(quantizedHardswishOp, [x], { scale, zeroPoint });
}

export const quantizedHardsigmoidOp = elementwise<NoAttrs>(
  "quantizedHardsigmoid",
  ({ dtype }) => zeroToOne(dtype),
  () => (v) => fround(gate(v) / 6),
);

/** relu6(x + 3) / 6, with scale 1/256. @throws DtypeError */
export function quantizedHardsigmoid(x: Tensor): Tensor {
  return apply(quantizedHardsigmoidOp, [x], {});
}

export const quantizedSigmoidOp = elementwise<Given>(
  "quantizedSigmoid",
  given,
  () => (v) => fround(1 / fround(1 + fround(Math.exp(-v)))),
  { inverseOfDouble: true },
);

/** 1 / (1 + e^-x), with scale 1/256 unless parameters are given. @throws DtypeError, ArgumentError */
export function quantizedSigmoid(x: Tensor, output?: OutputQParams): Tensor {
  const { scale, zeroPoint } = output ?? (x.dtype === "qint8" ? zeroToOne("qint8") : zeroToOne("quint8"));
  return apply(quantizedSigmoidOp, [x], { scale, zeroPoint });
}

export const quantizedTanhOp = elementwise<NoAttrs>(
  "quantizedTanh",
  ({ dtype }) => minusOneToOne(dtype),
  () => (v) => fround(Math.tanh(v)),
);

/** tanh(x), with scale 2/256. @throws DtypeError */
export function quantizedTanh(x: Tensor): Tensor {
  return apply(quantizedTanhOp, [x], {});
}

export const quantizedThresholdOp = elementwise<{ readonly threshold: number; readonly value: number }>(
  "quantizedThreshold",
  ({ qparams }) => qparams,
  ({ threshold, value }) => {
    const [limit, other] = [fround(threshold), fround(value)];
    return (v) => (v > limit ? v : other);
  },
);

/** x where greater than `threshold`, else `value`. @throws DtypeError */
export function quantizedThreshold(x: Tensor, threshold: number, value: number): Tensor {
  return apply(quantizedThresholdOp, [x], { threshold, value });
}
