/**
 * Shapes: arrays of sizes, row-major. Tensors are always contiguous, so strides follow from the shape.
 */

import { ShapeError } from "../errors.ts";

export type Shape = readonly number[];

export function numel(shape: Shape): number {
  let n = 1;
  for (const size of shape) n *= size;
  return n;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

/** The shape two operands broadcast to. @throws ShapeError when sizes differ and neither is 1. */
export function broadcastShapes(where: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(where, { a, b }, "sizes must be equal or 1 in every axis, counted from the end");
    }
    out[i] = x === 1 ? y : x;
  }
  return out;
}

/** Strides with which an operand of `shape` is read while walking `out`; 0 along broadcast axes. */
export function broadcastStrides(shape: Shape, out: Shape): number[] {
  const own = stridesOf(shape);
  const lead = out.length - shape.length;
  return out.map((_, i) => (i < lead || shape[i - lead] === 1 ? 0 : own[i - lead]!));
}

/** Axis in 0..rank-1 from one that may be negative. @throws ShapeError when it does not exist. */
export function normalizeAxis(where: string, axis: number, rank: number): number {
  const bound = Math.max(rank, 1);
  if (!Number.isInteger(axis) || axis < -bound || axis >= bound) {
    throw new ShapeError(where, { axis, rank }, `the axis must be an integer in ${-bound}..${bound - 1}`);
  }
  return axis < 0 ? axis + bound : axis;
}

/** Normalised axes without repeats; `undefined` means all. */
export function normalizeAxes(where: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = (typeof axes === "number" ? [axes] : axes).map((axis) => normalizeAxis(where, axis, rank));
  if (new Set(list).size !== list.length) throw new ShapeError(where, { axes }, "an axis may be named only once");
  return list;
}

/** Replaces a single -1 by what makes the element counts agree. @throws ShapeError when nothing does. */
export function resolveReshape(from: Shape, to: Shape): number[] {
  const total = numel(from);
  const unknown = to.indexOf(-1);
  if (to.some((size, i) => !Number.isInteger(size) || size < -1 || (size === -1 && i !== unknown))) {
    throw new ShapeError("reshape", { from, to }, "sizes must be non-negative integers with at most one -1");
  }
  const known = numel(to.filter((size) => size !== -1));
  const out = [...to];
  if (unknown >= 0 && known > 0) out[unknown] = total / known;
  if (numel(out) !== total || out.some((size) => !Number.isInteger(size) || size < 0)) {
    throw new ShapeError("reshape", { from, to }, "both shapes must hold the same number of elements");
  }
  return out;
}
