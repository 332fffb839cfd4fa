/**
 * Walking a tensor by blocks: `blockSize` has one entry an axis, and every block has its own parameters, stored
 * row-major in the shape of sizes divided by block sizes. Source: _get_reduction_params, torchao quant_primitives.py.
 */

import { ShapeError } from "../../errors.ts";
import { numel, stridesOf } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";

/** Block sizes with -1 replaced by the axis. @throws ShapeError unless every entry divides its axis. */
export function resolveBlock(where: string, shape: Shape, blockSize: readonly number[]): number[] {
  const block = blockSize.map((size, axis) => (size === -1 ? (shape[axis] ?? 1) : size));
  if (block.length === shape.length && block.every((size, axis) => size >= 1 && shape[axis]! % size === 0))
    return block;
  throw new ShapeError(
    where,
    { shape, blockSize },
    "there must be one block size an axis, and it must divide the axis",
  );
}

/** Shape of the parameters. @throws ShapeError */
export function scaleShape(where: string, shape: Shape, blockSize: readonly number[]): number[] {
  return resolveBlock(where, shape, blockSize).map((size, axis) => shape[axis]! / size);
}

/** Calls `f(start, end, block)` for each contiguous run of elements of one block. */
export function forEachBlockRun(
  shape: Shape,
  blockSize: readonly number[],
  f: (start: number, end: number, block: number) => void,
): void {
  const counts = shape.map((size, axis) => size / blockSize[axis]!);
  const strides = stridesOf(counts);
  const last = shape.length - 1;
  const length = last < 0 ? 1 : blockSize[last]!;
  const index = new Array<number>(shape.length).fill(0);
  const total = numel(shape);
  for (let start = 0; start < total; start += length) {
    let block = 0;
    for (let axis = 0; axis <= last; axis++) block += Math.floor(index[axis]! / blockSize[axis]!) * strides[axis]!;
    f(start, start + length, block);
    for (let axis = last; axis >= 0; axis--) {
      index[axis]! += axis === last ? length : 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}
