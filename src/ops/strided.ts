/**
 * Copying through strides: the one loop behind permute, expand, slice, flip and their relatives.
 *
 * Tensors are always contiguous, so an operator that PyTorch would answer with a view is here a copy that
 * reads its input with other strides (0 along repeated axes, negative along flipped ones).
 */

import { allocate } from "../tensor/dtype.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import type { QParams } from "../tensor/qparams.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";

/** Merges neighbouring axes that one stride can walk, and drops axes of size 1. */
function collapse(shape: Shape, strides: readonly number[]): { shape: number[]; strides: number[] } {
  const merged: { shape: number[]; strides: number[] } = { shape: [], strides: [] };
  for (let axis = 0; axis < shape.length; axis++) {
    if (shape[axis] === 1) continue;
    const last = merged.shape.length - 1;
    if (last >= 0 && merged.strides[last] === strides[axis]! * shape[axis]!) {
      merged.shape[last]! *= shape[axis]!;
      merged.strides[last] = strides[axis]!;
    } else {
      merged.shape.push(shape[axis]!);
      merged.strides.push(strides[axis]!);
    }
  }
  return merged;
}

/** Calls `row(offset)` with the offset of every innermost row, in row-major order. */
function forEachRow(shape: Shape, strides: readonly number[], offset: number, row: (offset: number) => void): void {
  const rank = shape.length - 1;
  const index = new Array<number>(rank).fill(0);
  for (let left = numel(shape.slice(0, rank)); left > 0; left--) {
    row(offset);
    for (let axis = rank - 1; axis >= 0; axis--) {
      offset += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
      offset -= strides[axis]! * shape[axis]!;
    }
  }
}

/** The elements of `data` at offset + index · strides, in row-major order of `shape`, as values of `type`. */
export function readStrided(type: TensorType, data: TypedArray, strides: readonly number[], offset = 0): Tensor {
  const out = allocate(type.dtype, numel(type.shape));
  const walk = collapse(type.shape, strides);
  if (out.length > 0 && walk.shape.length === 0) out[0] = data[offset]!;
  if (out.length > 0 && walk.shape.length > 0) {
    const size = walk.shape.at(-1)!;
    const step = walk.strides.at(-1)!;
    let at = 0;
    forEachRow(walk.shape, walk.strides, offset, (from) => {
      for (const end = at + size; at < end; at++, from += step) out[at] = data[from]!;
    });
  }
  return new Tensor(type.dtype, type.shape, out, type.qparams);
}

/** The reverse: writes `values`, in row-major order of `shape`, to `out` at offset + index · strides. */
export function writeStrided(
  out: TypedArray,
  values: TypedArray,
  shape: Shape,
  strides: readonly number[],
  offset = 0,
): void {
  if (values.length === 0) return;
  const walk = collapse(shape, strides);
  if (walk.shape.length === 0) {
    out[offset] = values[0]!;
    return;
  }
  const size = walk.shape.at(-1)!;
  const step = walk.strides.at(-1)!;
  let at = 0;
  forEachRow(walk.shape, walk.strides, offset, (to) => {
    for (const end = at + size; at < end; at++, to += step) out[to] = values[at]!;
  });
}

/** Quantization parameters after `axis` has become `moved(axis)`; per-tensor parameters do not change. */
export function moveQParamsAxis(qparams: QParams | undefined, moved: (axis: number) => number): QParams | undefined {
  return qparams === undefined || qparams.kind === "perTensor" ? qparams : { ...qparams, axis: moved(qparams.axis) };
}
