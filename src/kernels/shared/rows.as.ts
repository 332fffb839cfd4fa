// Reading offset tables, clamping, and storing part of a vector: what kernels over rows of pixels share.

/** v limited to lo..hi in four f32 lanes; NaN stays NaN. */
@inline
export function clamp(v: v128, lo: v128, hi: v128): v128 {
  return f32x4.pmin(f32x4.pmax(v, lo), hi);
}

/** Stores the first `n` of eight 32-bit values (n >= 1). */
@inline
export function storePart(y: usize, c0: v128, c1: v128, n: usize): void {
  if (n >= 8) {
    v128.store(y, c0);
    v128.store(y, c1, 16);
    return;
  }
  if (n >= 4) {
    v128.store(y, c0);
    y += 16;
    n -= 4;
    c0 = c1;
  }
  if (n >= 1) v128.store_lane<f32>(y, c0, 0);
  if (n >= 2) v128.store_lane<f32>(y, c0, 1, 4);
  if (n >= 3) v128.store_lane<f32>(y, c0, 2, 8);
}

/** Clamps eight sums and stores the first `n` of them (n >= 1). */
@inline
export function storeRow(y: usize, c0: v128, c1: v128, n: usize, lo: v128, hi: v128): void {
  storePart(y, clamp(c0, lo, hi), clamp(c1, lo, hi), n);
}

/** Byte offset in row `i` of a table, or in its last row when there are fewer. */
@inline
export function entry(table: usize, i: usize, last: usize): usize {
  return load<u32>(table + (min(i, last) << 2));
}
