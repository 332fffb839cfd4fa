/**
 * The plain loops reference forwards are made of: map, broadcasting zip, and walks along one axis.
 *
 * Results are rounded by being stored: a float32 tensor's storage is a Float32Array, which is one rounding
 * an operator, as in PyTorch.
 */

import { allocate } from "../tensor/dtype.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { broadcastStrides, numel, sameShape } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor, emptyLike } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";

/** y[i] = f(x[i]) in the given type. */
export function mapTo(type: TensorType, x: Tensor, f: (v: number) => number): Tensor {
  const out = allocate(type.dtype, x.numel);
  const { data } = x;
  for (let i = 0; i < out.length; i++) out[i] = f(data[i]!);
  return new Tensor(type.dtype, type.shape, out, type.qparams);
}

function zipWalk(out: TypedArray, shape: Shape, a: Tensor, b: Tensor, f: (x: number, y: number) => number): void {
  const rank = shape.length;
  const sa = broadcastStrides(a.shape, shape);
  const sb = broadcastStrides(b.shape, shape);
  const index = new Array<number>(rank).fill(0);
  const [da, db] = [a.data, b.data];
  let ia = 0;
  let ib = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = f(da[ia]!, db[ib]!);
    for (let axis = rank - 1; axis >= 0; axis--) {
      ia += sa[axis]!;
      ib += sb[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
      ia -= sa[axis]! * shape[axis]!;
      ib -= sb[axis]! * shape[axis]!;
    }
  }
}

/** y = f(a, b) elementwise with broadcasting; `type` is the result's. Number literals stand for 0-d tensors. */
export function zipTo(
  type: TensorType,
  a: Tensor | number,
  b: Tensor | number,
  f: (x: number, y: number) => number,
): Tensor {
  if (typeof b === "number") return mapTo(type, a as Tensor, (x) => f(x, b));
  if (typeof a === "number") return mapTo(type, b, (y) => f(a, y));
  const out = allocate(type.dtype, numel(type.shape));
  if (sameShape(a.shape, b.shape)) {
    const [da, db] = [a.data, b.data];
    for (let i = 0; i < out.length; i++) out[i] = f(da[i]!, db[i]!);
  } else {
    zipWalk(out, type.shape, a, b, f);
  }
  return new Tensor(type.dtype, type.shape, out);
}

/** A tensor of the given type from values computed in double; rounds once. */
export function fromDoubles(type: TensorType, values: Float64Array): Tensor {
  if (type.dtype === "float64") return new Tensor(type.dtype, type.shape, values);
  const out = allocate(type.dtype, values.length);
  out.set(values);
  return new Tensor(type.dtype, type.shape, out);
}

/** A tensor seen as [outer, size, inner] around one axis. */
export interface AxisView {
  readonly outer: number;
  readonly size: number;
  readonly inner: number;
}

export function axisView(shape: Shape, axis: number): AxisView {
  return { outer: numel(shape.slice(0, axis)), size: shape[axis] ?? 1, inner: numel(shape.slice(axis + 1)) };
}

/** Calls `f(start, stride, lane)` for each lane along `axis`. */
export function forEachLane(shape: Shape, axis: number, f: (start: number, stride: number, lane: number) => void): void {
  const { outer, size, inner } = axisView(shape, axis);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) f(o * size * inner + i, inner, o * inner + i);
  }
}

/** Zero-filled outputs of the inferred types. */
export function emptyOutputs(types: readonly TensorType[]): Tensor[] {
  return types.map(emptyLike);
}
