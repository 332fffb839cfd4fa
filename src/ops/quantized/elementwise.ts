/**
 * Elementwise operators of one 8-bit tensor: a table of 256 results, looked up.
 *
 * The results are made by the real function and the rounding of requantize.ts; since whole vectors and the rest of
 * the elements round differently there, there are two tables.
 */

import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import type { QuantizedDType, TypedArray } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { defineOp } from "../op.ts";
import type { Attrs, Op } from "../op.ts";
import { inverseScale } from "../quantize/numerics.ts";
import { NO_GRADIENT, quantizedType, realValues, realValuesFused, requireByte } from "./common.ts";
import type { OutputQParams, PerTensorType } from "./common.ts";
import { addThenRound, blockEnd, roundThenAdd, targetOf } from "./requantize.ts";

/** The first `end` elements through one table, the rest through another; tables are indexed from the lowest integer. */
export function lookUp(
  x: Tensor,
  type: TensorType,
  vector: TypedArray,
  single: TypedArray,
  end = blockEnd(x.numel),
): Tensor {
  const out = allocate(type.dtype, x.numel);
  const { min } = dtypeInfo[x.dtype];
  const { data } = x;
  for (let i = 0; i < end; i++) out[i] = vector[data[i]! - min]!;
  for (let i = end; i < out.length; i++) out[i] = single[data[i]! - min]!;
  return new Tensor(type.dtype, type.shape, out, type.qparams);
}

/**
 * A table of `f(real value)` requantized: the vector form, with its own multiplier, and the single-element form.
 */
function resultTables(
  x: PerTensorType,
  output: OutputQParams,
  inverse: number,
  f: (v: number) => number,
): [TypedArray, TypedArray] {
  const target = targetOf(x.dtype, output);
  const vectorTarget = { ...target, inverse };
  const vector = allocate(x.dtype, 256);
  const single = allocate(x.dtype, 256);
  realValuesFused(x).forEach((v, i) => (vector[i] = roundThenAdd(f(v), vectorTarget)));
  realValues(x).forEach((v, i) => (single[i] = addThenRound(f(v), target)));
  return [vector, single];
}

/**
 * Defines y = quantize(f(dequantize(x))). `output` gives the result's parameters; `f` must round each step to float32.
 * Some vector kernels take their multiplier from the double scale, f32(1 / s), others from f32(s).
 */
export function elementwise<A extends Attrs>(
  name: string,
  output: (x: PerTensorType, attrs: A) => OutputQParams,
  f: (attrs: A) => (v: number) => number,
  { inverseOfDouble = false } = {},
): Op<readonly [Tensor], A> {
  return defineOp<readonly [Tensor], A>({
    name,
    infer([x], attrs) {
      const type = requireByte(name, x);
      return [quantizedType(name, type.dtype, x.shape, output(type, attrs))];
    },
    forward([x], attrs, [type]) {
      const checked = requireByte(name, x);
      const result = output(checked, attrs);
      const inverse = inverseOfDouble ? Math.fround(1 / result.scale) : inverseScale(result.scale);
      return [lookUp(x, type!, ...resultTables(checked, result, inverse, f(attrs)))];
    },
    backward: NO_GRADIENT,
    isElementwise: true,
  });
}

/** Defines an operator on the integers themselves, which keeps the parameters of its input. */
export function onIntegers<A extends Attrs>(
  name: string,
  f: (x: PerTensorType, attrs: A) => (q: number) => number,
): Op<readonly [Tensor], A> {
  return defineOp<readonly [Tensor], A>({
    name,
    infer([x]) {
      requireByte(name, x);
      return [x];
    },
    forward([x], attrs, [type]) {
      const { min } = dtypeInfo[x.dtype];
      const g = f(requireByte(name, x), attrs);
      const table = allocate(x.dtype, 256);
      for (let i = 0; i < 256; i++) table[i] = g(i + min);
      return [lookUp(x, type!, table, table)];
    },
    backward: NO_GRADIENT,
    isElementwise: true,
  });
}

/** The fixed parameters of functions into [0, 1]: every step of the dtype is used. */
export function zeroToOne(dtype: QuantizedDType): OutputQParams {
  return { scale: 1 / 256, zeroPoint: dtypeInfo[dtype].min };
}

/** The fixed parameters of functions into [-1, 1]. */
export function minusOneToOne(dtype: QuantizedDType): OutputQParams {
  return { scale: 2 / 256, zeroPoint: dtypeInfo[dtype].min + 128 };
}
