/**
 * Fake quantization: round to the grid of integers and come back, staying float.
 *
 *     q = rne(f32(x * inv)) + z,   y = (clamp(q, qmin, qmax) - z) * scale
 *
 * The gradient is the straight-through estimator (Bengio et al., 2013): dx = dy where qmin <= q <= qmax, else 0;
 * scale and zero point get none. Integers pass through 64 bits as in the C++ kernels, which decides where NaN and
 * what does not fit go. Source: ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp, FakeQuant*.cpp.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import { allocate, isFloat } from "../../tensor/dtype.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import { roundingTo } from "../../tensor/small-floats.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { apply, defineOp, requireFloat } from "../op.ts";
import type { InputTypes, Op } from "../op.ts";
import {
  fakeQuantizeRun,
  fakeQuantizeRunFloatZero,
  fakeQuantizeRunWide,
  forEachRun,
  straightThroughRun,
  straightThroughRunFloatZero,
} from "./loops.ts";
import type { FakeRun } from "./loops.ts";

type Operand = Tensor | number;
export type QuantRangeAttrs = { readonly quantMin: number; readonly quantMax: number };
/** axis null: one scale for the whole tensor. */
export type FakeQuantAttrs = QuantRangeAttrs & { readonly axis: number | null };

type FakeInputs = readonly [x: Tensor, scale: Operand, zeroPoint: Operand];
type GradientInputs = readonly [dy: Tensor, ...FakeInputs];

function valueOf(value: Operand, channel: number): number {
  return typeof value === "number" ? value : value.data[channel]!;
}

function isFloatZeroPoint(zeroPoint: Operand, axis: number | null): boolean {
  return axis !== null && typeof zeroPoint !== "number" && isFloat(zeroPoint.dtype);
}

/** Calls `f` for each run of x that shares its parameters. */
function withRuns([x, scale, zeroPoint]: FakeInputs, attrs: FakeQuantAttrs, f: (run: FakeRun) => void): void {
  const { axis, quantMin, quantMax } = attrs;
  forEachRun(x.shape, axis, (start, end, channel) => {
    f({
      start, end, quantMin, quantMax,
      scale: valueOf(scale, channel), zeroPoint: valueOf(zeroPoint, channel), overflowsHigh: axis === null,
    }); // prettier-ignore
  });
}

/** Values of a float16 or bfloat16 result are rounded after the float32 arithmetic. */
function roundToDType(y: Tensor): Tensor {
  if (y.dtype !== "float32" && y.dtype !== "float64") {
    const round = roundingTo(y.dtype);
    const { data } = y;
    for (let i = 0; i < data.length; i++) data[i] = round(data[i]!);
  }
  return y;
}

function forwardData(inputs: FakeInputs, attrs: FakeQuantAttrs, type: TensorType): Tensor {
  const [x, , zeroPoint] = inputs;
  const y = allocate(type.dtype, x.numel);
  const wide = x.dtype === "float64";
  const loop = isFloatZeroPoint(zeroPoint, attrs.axis)
    ? fakeQuantizeRunFloatZero
    : wide
      ? fakeQuantizeRunWide
      : fakeQuantizeRun;
  withRuns(inputs, attrs, (run) => loop(x.data, y, run));
  return roundToDType(new Tensor(type.dtype, type.shape, y));
}

function backwardData(dy: Tensor, inputs: FakeInputs, attrs: FakeQuantAttrs): Tensor {
  const [x, , zeroPoint] = inputs;
  const dx = allocate(dy.dtype, dy.numel);
  const float = isFloatZeroPoint(zeroPoint, attrs.axis);
  withRuns(inputs, attrs, (run) => {
    if (float) straightThroughRunFloatZero(dy.data, x.data, dx, run);
    else straightThroughRun(dy.data, x.data, dx, run, x.dtype === "float64");
  });
  return new Tensor(dy.dtype, dy.shape, dx);
}

function countOf(value: TensorType | number): number {
  return typeof value === "number" ? 1 : value.shape.reduce((a, b) => a * b, 1);
}

/** Common type rule of fake-quantize operators: y is like x. @throws DtypeError, ShapeError, ArgumentError */
export function inferFakeQuantize(where: string, inputs: InputTypes<FakeInputs>, attrs: FakeQuantAttrs): TensorType {
  const [x, scale, zeroPoint] = inputs;
  const { axis, quantMin, quantMax } = attrs;
  requireFloat(where, x);
  if (!(quantMin <= quantMax)) {
    throw new ArgumentError(where, { quantMin, quantMax }, "quantMin must not exceed quantMax");
  }
  if (typeof zeroPoint === "number" && !(zeroPoint >= quantMin && zeroPoint <= quantMax)) {
    throw new ArgumentError(where, { zeroPoint, quantMin, quantMax }, "the zero point must lie in quantMin..quantMax");
  }
  const wanted = axis === null ? 1 : x.shape[axis];
  if (countOf(scale) !== wanted || countOf(zeroPoint) !== wanted) {
    const fields = { x: x.shape, axis, scales: countOf(scale), zeroPoints: countOf(zeroPoint) };
    throw new ShapeError(
      where,
      fields,
      "there must be one scale and one zero point for every slice of the axis, or one in all",
    );
  }
  return { dtype: x.dtype, shape: x.shape };
}

export const fakeQuantizeOp = defineOp<FakeInputs, FakeQuantAttrs>({
  name: "fakeQuantize",
  infer: (inputs, attrs) => [inferFakeQuantize("fakeQuantize", inputs, attrs)],
  forward: (inputs, attrs, [type]) => [forwardData(inputs, attrs, type!)],
  backward: (dy, { inputs, attrs }) => [apply(fakeQuantizeGradientOp, [dy, ...inputs], attrs), null, null],
});

/** The straight-through gradient: dy where x is inside the range, else 0. Linear in dy. */
export const fakeQuantizeGradientOp: Op<GradientInputs, FakeQuantAttrs> = defineOp<GradientInputs, FakeQuantAttrs>({
  name: "fakeQuantizeGradient",
  infer: ([dy]) => [{ dtype: dy.dtype, shape: dy.shape }],
  forward: ([dy, ...inputs], attrs) => [backwardData(dy, inputs, attrs)],
  backward: (ddx, { inputs: [, ...inputs], attrs }) => [
    apply(fakeQuantizeGradientOp, [ddx, ...inputs], attrs), null, null, null,
  ], // prettier-ignore
});

/**
 * Rounds x to the grid of one scale and zero point: (clamp(rne(x/scale) + zeroPoint, quantMin, quantMax) -
 * zeroPoint) * scale. Same shape and float dtype as x. Gradient to x only: straight through inside the range.
 * @param scale, zeroPoint numbers, or tensors with one element (then the zero point's range is not checked).
 * @throws ArgumentError unless quantMin <= quantMax and the zero point lies between; DtypeError unless x is float.
 */
export function fakeQuantizePerTensorAffine(
  x: Tensor,
  scale: Tensor | number,
  zeroPoint: Tensor | number,
  quantMin: number,
  quantMax: number,
): Tensor {
  return apply(fakeQuantizeOp, [x, scale, zeroPoint], { quantMin, quantMax, axis: null });
}

/**
 * The same with one scale and zero point a slice of `axis`. Float zero points are added before rounding.
 * @throws ShapeError when they do not fit the axis.
 */
export function fakeQuantizePerChannelAffine(
  x: Tensor,
  scales: Tensor,
  zeroPoints: Tensor,
  axis: number,
  quantMin: number,
  quantMax: number,
): Tensor {
  const where = "fakeQuantizePerChannelAffine";
  return apply(fakeQuantizeOp, [x, scales, zeroPoints], {
    quantMin,
    quantMax,
    axis: normalizeAxis(where, axis, x.rank),
  });
}
