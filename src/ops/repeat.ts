/**
 * Repeating and rotating, made of reshape, expand, slice and cat.
 */

import { ShapeError } from "../errors.ts";
import { normalizeAxis } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { cat } from "./cat.ts";
import { expand, reshape, unsqueeze } from "./shape.ts";
import { slice } from "./slicing.ts";

/** x laid side by side `sizes[i]` times along axis i; sizes may have more axes than x. @throws ShapeError when fewer. */
export function repeat(x: Tensor, sizes: readonly number[]): Tensor {
  const lead = sizes.length - x.rank;
  if (lead < 0)
    throw new ShapeError("repeat", { shape: x.shape, sizes }, "there must be one count for every axis", "Use tile");
  const own = sizes.map((_, i) => x.shape[i - lead] ?? 1);
  const apart = reshape(
    x,
    own.flatMap((size) => [1, size]),
  );
  const wide = expand(
    apart,
    own.flatMap((size, i) => [sizes[i]!, size]),
  );
  return reshape(
    wide,
    own.map((size, i) => size * sizes[i]!),
  );
}

/** As `repeat`, but missing counts in front are 1. */
export function tile(x: Tensor, sizes: readonly number[]): Tensor {
  const missing = Math.max(0, x.rank - sizes.length);
  return repeat(x, [...new Array<number>(missing).fill(1), ...sizes]);
}

/** Every slice of axis `dim` repeated in place. @throws ShapeError */
export function repeatInterleave(x: Tensor, repeats: number, dim: number): Tensor {
  const axis = normalizeAxis("repeatInterleave", dim, x.rank);
  const apart = unsqueeze(x, axis + 1);
  const wide = expand(
    apart,
    apart.shape.map((size, i) => (i === axis + 1 ? repeats : size)),
  );
  return reshape(
    wide,
    x.shape.map((size, i) => (i === axis ? size * repeats : size)),
  );
}

/** x rotated by `shifts` places along `dims`: what leaves at the end enters at the start. @throws ShapeError */
export function roll(x: Tensor, shifts: number | readonly number[], dims: number | readonly number[]): Tensor {
  const [by, along] = [[shifts].flat(), [dims].flat()];
  if (by.length !== along.length)
    throw new ShapeError("roll", { shifts, dims }, "there must be one shift for every axis");
  return along.reduce((rolled, dim, i) => {
    const size = rolled.size(dim);
    const cut = size === 0 ? 0 : ((-by[i]! % size) + size) % size;
    return cut === 0 ? rolled : cat([slice(rolled, dim, cut), slice(rolled, dim, 0, cut)], dim);
  }, x);
}
