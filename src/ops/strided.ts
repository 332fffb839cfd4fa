/**
 * Walking tensors through strides: the loops behind broadcasting, sums, permute, expand, slice and flip.
 *
 * Tensors are always contiguous, so an operator that PyTorch would answer with a view is here a copy that
 * reads its input with other strides (0 along repeated axes, negative along flipped ones). Neighbouring
 * axes that one stride can walk are merged first, which leaves few long rows.
 */

import { allocate } from "../tensor/dtype.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import type { QParams } from "../tensor/qparams.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";

export type Strides = readonly number[];

/** Drops axes of size 1 and merges neighbours wherever every operand can walk them with one stride. */
function collapse(shape: Shape, operands: readonly Strides[]): { shape: number[]; operands: number[][] } {
  const merged = { shape: [] as number[], operands: operands.map((): number[] => []) };
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const last = merged.shape.length - 1;
    if (last >= 0 && operands.every((strides, k) => merged.operands[k]![last] === strides[axis]! * size)) {
      merged.shape[last]! *= size;
      operands.forEach((strides, k) => (merged.operands[k]![last] = strides[axis]!));
    } else {
      merged.shape.push(size);
      operands.forEach((strides, k) => merged.operands[k]!.push(strides[axis]!));
    }
  });
  if (merged.shape.length === 0) {
    merged.shape.push(1);
    for (const strides of merged.operands) strides.push(0);
  }
  return merged;
}

/**
 * Visits `shape` row by row, in row-major order: `row(size, offsets, steps)` gets the length of the row and, for
 * each operand, where it starts and the stride along it. The array `offsets` is reused between calls.
 */
export function forEachRow(
  shape: Shape,
  operands: readonly Strides[],
  start: readonly number[],
  row: (size: number, offsets: readonly number[], steps: Strides) => void,
): void {
  if (numel(shape) === 0) return;
  const walk = collapse(shape, operands);
  const rank = walk.shape.length - 1;
  const steps = walk.operands.map((strides) => strides[rank]!);
  const index = new Array<number>(rank).fill(0);
  const offsets = [...start];
  for (let left = numel(walk.shape.slice(0, rank)); left > 0; left--) {
    row(walk.shape[rank]!, offsets, steps);
    for (let axis = rank - 1; axis >= 0; axis--) {
      const size = walk.shape[axis]!;
      const wraps = ++index[axis]! === size;
      if (wraps) index[axis] = 0;
      for (let k = 0; k < offsets.length; k++) offsets[k]! += walk.operands[k]![axis]! * (wraps ? 1 - size : 1);
      if (!wraps) break;
    }
  }
}

/**
 * The same memory as unsigned integers (float64 stays). Loops that only move elements use it, so that they meet
 * four array classes, not eight: more than four make V8 give up on fast element access.
 */
export function bitsOf(data: TypedArray): Uint8Array | Uint16Array | Uint32Array | Float64Array {
  const { buffer, byteOffset, length, BYTES_PER_ELEMENT } = data;
  if (data instanceof Float64Array) return data;
  if (BYTES_PER_ELEMENT === 4) return new Uint32Array(buffer, byteOffset, length);
  return BYTES_PER_ELEMENT === 2
    ? new Uint16Array(buffer, byteOffset, length)
    : new Uint8Array(buffer, byteOffset, length);
}

/** The elements of `data` at offset + index · strides, in row-major order of the type's shape. */
export function readStrided(type: TensorType, data: TypedArray, strides: Strides, offset = 0): Tensor {
  const values = allocate(type.dtype, numel(type.shape));
  const [from, to] = [bitsOf(data), bitsOf(values)];
  let at = 0;
  forEachRow(type.shape, [strides], [offset], (size, [first], [step]) => {
    let i = first!;
    for (const end = at + size; at < end; at++, i += step!) to[at] = from[i]!;
  });
  return new Tensor(type.dtype, type.shape, values, type.qparams);
}

/** The reverse: writes `values`, in row-major order of `shape`, to `data` at offset + index · strides. */
export function writeStrided(data: TypedArray, values: TypedArray, shape: Shape, strides: Strides, offset = 0): void {
  const [from, to] = [bitsOf(values), bitsOf(data)];
  let at = 0;
  forEachRow(shape, [strides], [offset], (size, [first], [step]) => {
    let i = first!;
    for (const end = at + size; at < end; at++, i += step!) to[i] = from[at]!;
  });
}

/** Quantization parameters after `axis` has become `moved(axis)`; per-tensor parameters do not change. */
export function moveQParamsAxis(qparams: QParams | undefined, moved: (axis: number) => number): QParams | undefined {
  return qparams === undefined || qparams.kind === "perTensor" ? qparams : { ...qparams, axis: moved(qparams.axis) };
}
