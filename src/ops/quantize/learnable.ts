/**
 * Fake quantization whose scale and zero point are learned (Esser et al., 2020; Jain et al., 2020).
 *
 * Forward: z = clamp(rne(zeroPoint)), then ordinary fake quantization. Backward rounds differently, and so is a
 * rule of its own. With zb the rounded zero point, xq = rne(x*inv + zb) and xfq = (clamp(xq) - zb) * scale:
 *
 *     inside  dx = dy   ds = dy * (xfq - x) * inv    dz = 0
 *     below   dx = 0    ds = dy * (qmin - zb)        dz = -dy * scale      (above: with qmax)
 *
 * ds and dz are summed over all elements that share them and multiplied by gradFactor.
 * Source: ATen/native/quantized/FakeQuantPer{Tensor,Channel}Affine.cpp and QuantizedOpKernels.cpp.
 */

import { allocate } from "../../tensor/dtype.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { rint } from "../../tensor/rounding.ts";
import { apply, defineOp, dispatch } from "../op.ts";
import { fakeQuantizeOp, inferFakeQuantize } from "./fake-quantize.ts";
import type { FakeQuantAttrs } from "./fake-quantize.ts";
import { forEachRun } from "./loops.ts";
import { ROUND_BIAS, clampNanLow, inverseScale } from "./numerics.ts";

const { fround } = Math;

type LearnableInputs = readonly [x: Tensor, scale: Tensor, zeroPoint: Tensor];
type LearnableAttrs = FakeQuantAttrs & { readonly gradFactor: number };

/** The integer the float zero point stands for in the forward pass. */
function forwardZeroPoints(zeroPoint: Tensor, { quantMin, quantMax }: LearnableAttrs): Tensor {
  const data = Int32Array.from(zeroPoint.data, (z) => clampNanLow(rint(z), quantMin, quantMax));
  return new Tensor("int32", zeroPoint.shape, data);
}

/** And in the backward pass, where the per-tensor kernel rounds halves up by truncation. */
function backwardZeroPoint(z: number, { quantMin, quantMax, axis }: LearnableAttrs): number {
  return clampNanLow(axis === null ? Math.trunc(fround(z + 0.5)) : rint(z), quantMin, quantMax);
}

export const fakeQuantizeLearnableOp = defineOp<LearnableInputs, LearnableAttrs>({
  name: "fakeQuantizeLearnable",
  infer: (inputs, attrs) => [inferFakeQuantize("fakeQuantizeLearnable", inputs, attrs)],
  forward([x, scale, zeroPoint], attrs, types) {
    const { quantMin, quantMax, axis } = attrs;
    return fakeQuantizeOp.forward([x, scale, forwardZeroPoints(zeroPoint, attrs)], { quantMin, quantMax, axis }, types);
  },
  backward: (dy, { inputs, attrs }) => dispatch(fakeQuantizeLearnableGradientOp, [dy, ...inputs], attrs),
});

interface Slice {
  readonly start: number;
  readonly end: number;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Writes dx of a run and returns its sums of ds and dz. */
function gradientRun(dy: Tensor, x: Tensor, dx: Tensor, slice: Slice, attrs: LearnableAttrs): [number, number] {
  const { start, end, scale, zeroPoint } = slice;
  const { quantMin, quantMax } = attrs;
  const [from, at, to] = [dy.data, x.data, dx.data];
  const inverse = inverseScale(scale);
  const below = quantMin - zeroPoint;
  const above = quantMax - zeroPoint;
  let [ds, dz] = [0, 0];
  for (let i = start; i < end; i++) {
    const v = at[i]!;
    const grad = from[i]!;
    const q = fround(v * inverse + zeroPoint) + ROUND_BIAS - ROUND_BIAS;
    if (q >= quantMin && q <= quantMax) {
      to[i] = grad;
      ds += fround(fround(grad * fround(fround((q - zeroPoint) * scale) - v)) * inverse);
    } else {
      ds += fround(grad * (q > quantMax ? above : below));
      dz += fround(-fround(grad * scale));
    }
  }
  return [ds, dz];
}

/** Gradients of x, scale and zero point as one operator: they share their loop. */
export const fakeQuantizeLearnableGradientOp = defineOp<readonly [dy: Tensor, ...LearnableInputs], LearnableAttrs>({
  name: "fakeQuantizeLearnableGradient",
  infer: ([, x, scale, zeroPoint]) => [x, scale, zeroPoint].map(({ dtype, shape }) => ({ dtype, shape })),
  forward([dy, x, scale, zeroPoint], attrs) {
    const dx = new Tensor(x.dtype, x.shape, allocate(x.dtype, x.numel));
    const ds = new Float64Array(scale.numel);
    const dz = new Float64Array(scale.numel);
    const run = (start: number, end: number, c: number): void => {
      const slice = { start, end, scale: scale.data[c]!, zeroPoint: backwardZeroPoint(zeroPoint.data[c]!, attrs) };
      const [s, z] = gradientRun(dy, x, dx, slice, attrs);
      ds[c]! += s;
      dz[c]! += z;
    };
    forEachRun(x.shape, attrs.axis, run);
    const factor = fround(attrs.gradFactor);
    const scaled = (like: Tensor, sums: Float64Array): Tensor => {
      const out = allocate(like.dtype, sums.length);
      for (let c = 0; c < out.length; c++) out[c] = fround(sums[c]!) * factor;
      return new Tensor(like.dtype, like.shape, out);
    };
    return [dx, scaled(scale, ds), scaled(zeroPoint, dz)];
  },
  backward: "the learnable gradient is not differentiated again",
});

/**
 * Fake quantization with gradients to scale and zero point, both float tensors with one element.
 * @param gradFactor multiplies the gradients of scale and zero point, not of x.
 * @throws ArgumentError unless quantMin <= quantMax; DtypeError unless x is float.
 */
export function fakeQuantizeLearnablePerTensorAffine(
  x: Tensor,
  scale: Tensor,
  zeroPoint: Tensor,
  quantMin: number,
  quantMax: number,
  gradFactor = 1,
): Tensor {
  return apply(fakeQuantizeLearnableOp, [x, scale, zeroPoint], { quantMin, quantMax, axis: null, gradFactor });
}

/** The same with one scale and zero point a slice of `axis`. @throws ShapeError when they do not fit the axis. */
export function fakeQuantizeLearnablePerChannelAffine(
  x: Tensor,
  scale: Tensor,
  zeroPoint: Tensor,
  axis: number,
  quantMin: number,
  quantMax: number,
  gradFactor = 1,
): Tensor {
  const attrs = {
    quantMin,
    quantMax,
    axis: normalizeAxis("fakeQuantizeLearnablePerChannelAffine", axis, x.rank),
    gradFactor,
  };
  return apply(fakeQuantizeLearnableOp, [x, scale, zeroPoint], attrs);
}
