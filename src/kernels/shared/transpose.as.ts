// Transposing 32-bit elements and bytes in registers, and gathering them.

/** Stores the transpose of the 4x4 block at s (rows `sRow` bytes apart) to d (rows `dRow` bytes apart). */
@inline
export function block4x4(s: usize, sRow: usize, d: usize, dRow: usize): void {
  const r0 = v128.load(s), r1 = v128.load(s + sRow), r2 = v128.load(s + 2 * sRow), r3 = v128.load(s + 3 * sRow);
  const t0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const t2 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7), t3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(d, v128.shuffle<i64>(t0, t1, 0, 2));
  v128.store(d + dRow, v128.shuffle<i64>(t0, t1, 1, 3));
  v128.store(d + 2 * dRow, v128.shuffle<i64>(t2, t3, 0, 2));
  v128.store(d + 3 * dRow, v128.shuffle<i64>(t2, t3, 1, 3));
}

/** Four 32-bit elements `stride` bytes apart. */
@inline
export function gather4(at: usize, stride: isize): v128 {
  let v = v128.load32_zero(at);
  v = v128.load_lane<f32>(at + stride, v, 1);
  v = v128.load_lane<f32>(at + 2 * stride, v, 2);
  return v128.load_lane<f32>(at + 3 * stride, v, 3);
}

/** Low and high bytes of a and b alternating. */
@inline
export function zipLow(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
@inline
export function zipHigh(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
