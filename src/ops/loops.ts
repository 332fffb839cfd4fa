/**
 * The plain loops reference forwards are made of: map, broadcasting zip, and walks along one axis.
 *
 * Elementwise operators compute on Float32Array or Float64Array only: integers pass through doubles, which
 * hold them exactly. V8 compiles a loop for the array classes it has met and gives up above four, so a loop
 * that also met Int8Array and its kin would run forty times slower. For the same reason hot operators bring
 * a loop of their own, and not a function that one shared loop calls an element at a time.
 *
 * Results are rounded by being stored: a float32 tensor's storage is a Float32Array, which is one rounding
 * an operator, as in PyTorch.
 */

import { allocate } from "../tensor/dtype.ts";
import type { DType } from "../tensor/dtype.ts";
import { broadcastStrides, numel, sameShape } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor, emptyLike } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { forEachRow } from "./strided.ts";

export type FloatArray = Float32Array | Float64Array;

/** y[i] = f(x[i]) for all i. */
export type MapLoop = (x: FloatArray, y: FloatArray) => void;

/** y[o + k] = f(a[i + k si], b[j + k sj]) for k < n. */
export type ZipLoop = (
  n: number,
  y: FloatArray | Uint8Array,
  o: number,
  a: FloatArray,
  i: number,
  si: number,
  b: FloatArray,
  j: number,
  sj: number,
) => void;

/** A function of two numbers, and its loop for hot operators; the loop then only meets float32, which V8 likes best. */
export interface ZipKernel {
  readonly f: (a: number, b: number) => number;
  readonly loop: ZipLoop;
}

const alternatives = new Float64Array(2);

/** `a` if the condition holds, else `b`, without a branch: one on the sign of random data is guessed wrong half the time. */
export function choose(condition: boolean, a: number, b: number): number {
  alternatives[0] = b;
  alternatives[1] = a;
  return alternatives[Number(condition)]!;
}

/** The values as floats: the tensor's own array, or doubles for integers. */
export function floatsOf(x: Tensor): FloatArray {
  const { data } = x;
  return data instanceof Float32Array || data instanceof Float64Array ? data : new Float64Array(data);
}

/** Room for results of a dtype while they are computed: its own storage if that is float, else doubles. */
export function emptyFloats(dtype: DType, length: number): FloatArray {
  const own = allocate(dtype, length);
  return own instanceof Float32Array || own instanceof Float64Array ? own : new Float64Array(length);
}

/** A tensor of the given type from values computed as floats; rounds once, or wraps around for integers. */
export function fromDoubles(type: TensorType, values: FloatArray): Tensor {
  const empty = allocate(type.dtype, 0);
  if (values instanceof empty.constructor) return new Tensor(type.dtype, type.shape, values);
  const out = allocate(type.dtype, values.length);
  out.set(values);
  return new Tensor(type.dtype, type.shape, out);
}

/** The loop that calls `f` for every element: for operators that are not hot. */
export function mapWith(f: (v: number) => number): MapLoop {
  return (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = f(x[i]!);
  };
}

/** As `mapWith`, for two operands. */
export function zipWith(f: (a: number, b: number) => number): ZipLoop {
  return (n, y, o, a, i, si, b, j, sj) => {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = f(a[i]!, b[j]!);
  };
}

/** A tensor of the given type from `x`, element by element. */
export function mapTo(type: TensorType, x: Tensor, loop: MapLoop): Tensor {
  const out = emptyFloats(type.dtype, x.numel);
  loop(floatsOf(x), out);
  return fromDoubles(type, out);
}

/** A number in the precision that a dtype is computed in: PyTorch turns scalar arguments of float32 operators to float32. */
export function literalIn(dtype: DType, value: number): number {
  return dtype === "float64" ? value : Math.fround(value);
}

/** A number literal as the one value of an array, rounded to the dtype it is computed in, as in PyTorch. */
export function operandFloats(value: Tensor | number, dtype: DType): { data: FloatArray; shape: Shape } {
  if (typeof value !== "number") return { data: floatsOf(value), shape: value.shape };
  const data = emptyFloats(dtype, 1);
  data[0] = value;
  return { data, shape: [] };
}

function loopFor(kernel: ZipKernel | ZipLoop, ...arrays: readonly (FloatArray | Uint8Array)[]): ZipLoop {
  if (typeof kernel === "function") return kernel;
  return arrays.some((array) => array instanceof Float64Array) ? zipWith(kernel.f) : kernel.loop;
}

/**
 * A tensor of the given type from two operands, with broadcasting. `computed` is the dtype the operands are
 * promoted to, where it is not the result's.
 */
export function zipTo(
  type: TensorType,
  left: Tensor | number,
  right: Tensor | number,
  kernel: ZipKernel | ZipLoop,
  computed: DType = type.dtype,
): Tensor {
  const a = operandFloats(left, computed);
  const b = operandFloats(right, computed);
  const bool = type.dtype === "bool";
  const out = bool ? new Uint8Array(numel(type.shape)) : emptyFloats(type.dtype, numel(type.shape));
  const loop = loopFor(kernel, out, a.data, b.data);
  if (sameShape(a.shape, b.shape)) {
    loop(out.length, out, 0, a.data, 0, 1, b.data, 0, 1);
  } else {
    const strides = [broadcastStrides(a.shape, type.shape), broadcastStrides(b.shape, type.shape)];
    let at = 0;
    forEachRow(type.shape, strides, [0, 0], (size, [i, j], [si, sj]) => {
      loop(size, out, at, a.data, i!, si!, b.data, j!, sj!);
      at += size;
    });
  }
  return out instanceof Uint8Array ? new Tensor("bool", type.shape, out) : fromDoubles(type, out);
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
export function forEachLane(
  shape: Shape,
  axis: number,
  f: (start: number, stride: number, lane: number) => void,
): void {
  const { outer, size, inner } = axisView(shape, axis);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) f(o * size * inner + i, inner, o * inner + i);
  }
}

/** Zero-filled outputs of the inferred types. */
export function emptyOutputs(types: readonly TensorType[]): Tensor[] {
  return types.map(emptyLike);
}
