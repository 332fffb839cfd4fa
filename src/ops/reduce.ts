/**
 * Sums and means over axes, and the sum that takes a gradient back to a broadcast input's shape.
 *
 * Sums are accumulated in double and rounded once, so float32 results are at least as close to the true
 * sum as PyTorch's pairwise float32 ones.
 */

import { isFloat } from "../tensor/dtype.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { normalizeAxes, numel, sameShape, stridesOf } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { div } from "./arithmetic.ts";
import { fromDoubles } from "./loops.ts";
import { apply, defineOp, requireFloat, requireUnquantized } from "./op.ts";
import { expand, reshape } from "./shape.ts";

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
  return keepdim ? y : reshape(y, shape.map((size, axis) => (dim.includes(axis) ? 1 : size)));
}

/** Adds every element of `data` to the sum it belongs to. */
export function accumulate(data: TypedArray, shape: Shape, dim: readonly number[]): Float64Array {
  const kept = shape.map((size, axis) => (dim.includes(axis) ? 1 : size));
  const outStrides = stridesOf(kept).map((stride, axis) => (dim.includes(axis) ? 0 : stride));
  const out = new Float64Array(numel(kept));
  let inner = shape.length; // axes inner.. are all reduced, or all kept
  while (inner > 0 && dim.includes(inner - 1) === dim.includes(shape.length - 1)) inner--;
  const size = numel(shape.slice(inner));
  const reducesInner = dim.includes(shape.length - 1);
  const index = new Array<number>(inner).fill(0);
  let to = 0;
  for (let from = 0; from < data.length; from += size) {
    if (reducesInner) {
      let sum = 0;
      for (let i = from; i < from + size; i++) sum += data[i]!;
      out[to]! += sum;
    } else {
      for (let i = 0; i < size; i++) out[to + i]! += data[from + i]!;
    }
    for (let axis = inner - 1; axis >= 0; axis--) {
      to += outStrides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
      to -= outStrides[axis]! * shape[axis]!;
    }
  }
  return out;
}

export const sumOp = defineOp<readonly [Tensor], ReduceAttrs>({
  name: "sum",
  infer([x], attrs) {
    requireUnquantized("sum", x);
    return [{ dtype: isFloat(x.dtype) ? x.dtype : "int64", shape: reducedShape(x.shape, attrs) }];
  },
  forward: ([x], { dim }, [type]) => [fromDoubles(type!, accumulate(x.data, x.shape, dim))],
  backward: (dy, { inputs: [x], attrs }) => [expand(restoreDims(dy, x.shape, attrs), x.shape)],
});

export const meanOp = defineOp<readonly [Tensor], ReduceAttrs>({
  name: "mean",
  infer([x], attrs) {
    requireFloat("mean", x);
    return [{ dtype: x.dtype, shape: reducedShape(x.shape, attrs) }];
  },
  forward([x], { dim }, [type]) {
    const sums = accumulate(x.data, x.shape, dim);
    const count = reducedCount(x.shape, dim);
    for (let i = 0; i < sums.length; i++) sums[i]! /= count;
    return [fromDoubles(type!, sums)];
  },
  backward: (dy, { inputs: [x], attrs }) => [
    expand(div(restoreDims(dy, x.shape, attrs), reducedCount(x.shape, attrs.dim)), x.shape),
  ],
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
