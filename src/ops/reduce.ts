/**
 * Sums and means over axes, and the sum that takes a gradient back to a broadcast input's shape.
 *
 * Sums are accumulated in double and rounded once, so float32 results are at least as close to the true
 * sum as PyTorch's pairwise float32 ones.
 */

import { isFloat } from "../tensor/dtype.ts";
import { broadcastStrides, normalizeAxes, numel, sameShape, stridesOf } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { div } from "./arithmetic.ts";
import { floatsOf, fromDoubles } from "./loops.ts";
import type { FloatArray } from "./loops.ts";
import { apply, defineOp, requireFloat, requireUnquantized } from "./op.ts";
import { quantizedMeanOp } from "./quantized/pools.ts";
import { expand, reshape } from "./shape.ts";
import { forEachRow } from "./strided.ts";

/** Axes to reduce: one, several, or all when left out (an empty list too means all, as in PyTorch). */
export type Dims = number | readonly number[] | null | undefined;

export interface ReduceOptions {
  /** Leave the reduced axes in the shape, with size 1. */
  readonly keepdim?: boolean;
}

/** Attributes of every reduction: sorted axes and whether they stay. */
export type ReduceAttrs = { readonly dim: readonly number[]; readonly keepdim: boolean };

export function reduceAttrs(where: string, x: TensorType, dim: Dims, { keepdim = false }: ReduceOptions): ReduceAttrs {
  const all = dim === null || dim === undefined || (typeof dim !== "number" && dim.length === 0);
  const axes = normalizeAxes(where, all ? undefined : dim, x.shape.length);
  return { dim: axes.filter((axis) => axis < x.shape.length).sort((a, b) => a - b), keepdim };
}

export function reducedShape(shape: Shape, { dim, keepdim }: ReduceAttrs): number[] {
  return keepdim
    ? shape.map((size, axis) => (dim.includes(axis) ? 1 : size))
    : shape.filter((_, axis) => !dim.includes(axis));
}

/** A reduced tensor seen with its reduced axes as size 1, so that it broadcasts against the input. */
export function restoreDims(y: Tensor, shape: Shape, { dim, keepdim }: ReduceAttrs): Tensor {
  return keepdim
    ? y
    : reshape(
        y,
        shape.map((size, axis) => (dim.includes(axis) ? 1 : size)),
      );
}

/** Sums, in double, over the axes `dim`; the result is laid out as if those axes had size 1. */
export function accumulate(data: FloatArray, shape: Shape, dim: readonly number[]): Float64Array {
  const kept = shape.map((size, axis) => (dim.includes(axis) ? 1 : size));
  const out = new Float64Array(numel(kept));
  forEachRow(shape, [stridesOf(shape), broadcastStrides(kept, shape)], [0, 0], (size, [from, to], [, step]) => {
    const end = from! + size;
    if (step === 0) {
      let sum = 0;
      for (let i = from!; i < end; i++) sum += data[i]!;
      out[to!]! += sum;
    } else {
      for (let i = from!, o = to!; i < end; i++, o++) out[o]! += data[i]!;
    }
  });
  return out;
}

export const sumOp = defineOp<readonly [Tensor], ReduceAttrs>({
  name: "sum",
  infer([x], attrs) {
    requireUnquantized("sum", x);
    return [{ dtype: isFloat(x.dtype) ? x.dtype : "int64", shape: reducedShape(x.shape, attrs) }];
  },
  forward: ([x], { dim }, [type]) => [fromDoubles(type!, accumulate(floatsOf(x), x.shape, dim))],
  backward: (dy, { inputs: [x], attrs }) => [expand(restoreDims(dy, x.shape, attrs), x.shape)],
});

export const meanOp = defineOp<readonly [Tensor], ReduceAttrs>({
  name: "mean",
  infer([x], attrs) {
    requireFloat("mean", x);
    return [{ dtype: x.dtype, shape: reducedShape(x.shape, attrs) }];
  },
  forward([x], { dim }, [type]) {
    const sums = accumulate(floatsOf(x), x.shape, dim);
    const count = reducedCount(x.shape, dim);
    for (let i = 0; i < sums.length; i++) sums[i]! /= count;
    return [fromDoubles(type!, sums)];
  },
  backward: (dy, { inputs: [x], attrs }) => [
    expand(div(restoreDims(dy, x.shape, attrs), reducedCount(x.shape, attrs.dim)), x.shape),
  ],
  quantized: (inputs, attrs) => apply(quantizedMeanOp, inputs, attrs),
});

/** How many elements one result is made of. */
export function reducedCount(shape: Shape, dim: readonly number[]): number {
  return numel(dim.map((axis) => shape[axis]!));
}

/** Sum over axes; integers and bools give int64. */
export function sum(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(sumOp, [x], reduceAttrs("sum", x, dim, options));
}

/** Mean over axes of a float tensor; NaN where there is nothing to average. @throws DtypeError */
export function mean(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(meanOp, [x], reduceAttrs("mean", x, dim, options));
}

/** Sums `x` over the axes along which `shape` was broadcast to x's shape. The same tensor when there are none. */
export function sumToShape(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.rank - shape.length;
  const dim = x.shape.map((_, axis) => axis).filter((axis) => axis < lead || shape[axis - lead] !== x.shape[axis]);
  return reshape(dim.length > 0 ? sum(x, dim) : x, shape);
}
