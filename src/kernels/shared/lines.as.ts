// Loops over lines of floats. A line is a contiguous run found through a table of u32 byte offsets: a row
// of a bordered image, or a piece of a flat array. Tables of one entry serve flat arrays.

/** Pixels taken for one vector of channels before the next: a block stays in the first-level cache. */
export const BLOCK: usize = 64;

/** Bits of the first n of four lanes set (n = 1, 2, 3). */
@inline
export function laneMask(n: usize): v128 {
  return i32x4.gt_s(i32x4.splat(<i32>n), i32x4(0, 1, 2, 3));
}

/** Byte offset number `i` of a table. */
@inline
export function offsetAt(table: usize, i: usize): usize {
  return load<u32>(table + (i << 2));
}

/** Stores the first n lanes (n = 1, 2, 3). */
@inline
export function storeLanes(y: usize, v: v128, n: usize): void {
  v128.store_lane<f32>(y, v, 0);
  if (n >= 2) v128.store_lane<f32>(y, v, 1, 4);
  if (n >= 3) v128.store_lane<f32>(y, v, 2, 8);
}
