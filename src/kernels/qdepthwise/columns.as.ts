// What the sliding depthwise kernels share: a column is four rows of one pixel, eight channels, interleaved so that a lane
// of a product holds one channel's rows. Dot form: one dot of four bytes; plain form: two dots of 16-bit pairs (rows 0, 1 and
// rows 2, 3).
import { POST_BIAS, POST_MULTIPLIER } from "../qgemm/layout";
import { bounded4, bytes16, plain4 } from "../shared/product-epilogue.as";

/** Rows 0 and 1 (or 2 and 3) of eight channels, bytes alternating. */
@inline
export function zip<V>(p: usize, row: usize, flip: v128): v128 {
  const a = v128.load64_zero(p);
  const b = v128.load64_zero(p + row);
  const bytes = i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return sizeof<V>() == 4 ? v128.xor(bytes, flip) : bytes;
}

/** acc + one column of four channels by the dot forms. */
@inline
export function dot<V>(w: v128, x: v128, acc: v128, ones: v128): v128 {
  if (sizeof<V>() == 1) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x), ones));
}

/** acc + one column of four channels: `low` holds the dot's bytes, or rows 0, 1 as i16 with rows 2, 3 in `high`, for which weights v are. */
@inline
export function column<V>(u: v128, v: v128, low: v128, high: v128, acc: v128, ones: v128): v128 {
  if (sizeof<V>() != 4) return dot<V>(u, low, acc, ones);
  return i32x4.add(i32x4.add(acc, i32x4.dot_i16x8_s(u, low)), i32x4.dot_i16x8_s(v, high));
}

/** Channels 0..3 (or 4..7) of a column as `column` wants them. */
@inline
export function first<V>(r01: v128, r23: v128): v128 {
  return sizeof<V>() == 4 ? i16x8.extend_low_i8x16_u(r01) : i16x8.shuffle(r01, r23, 0, 8, 1, 9, 2, 10, 3, 11);
}
@inline
export function second<V>(r01: v128, r23: v128): v128 {
  return sizeof<V>() == 4 ? i16x8.extend_high_i8x16_u(r01) : i16x8.shuffle(r01, r23, 4, 12, 5, 13, 6, 14, 7, 15);
}
@inline
export function firstHigh<V>(r23: v128): v128 {
  return sizeof<V>() == 4 ? i16x8.extend_low_i8x16_u(r23) : r23;
}
@inline
export function secondHigh<V>(r23: v128): v128 {
  return sizeof<V>() == 4 ? i16x8.extend_high_i8x16_u(r23) : r23;
}

/** Bytes of two outputs of eight channels: a and b, c and e. */
// prettier-ignore
@inline
export function finish(post: usize, a: v128, b: v128, c: v128, e: v128, m: v128, z: v128, hasBias: bool): v128 {
  const f0 = v128.load(post, POST_MULTIPLIER), f1 = v128.load(post, POST_MULTIPLIER + 16);
  if (!hasBias) return bytes16(plain4(a, f0, m, z), plain4(b, f1, m, z), plain4(c, f0, m, z), plain4(e, f1, m, z));
  const b0 = v128.load(post, POST_BIAS), b1 = v128.load(post, POST_BIAS + 16);
  return bytes16(bounded4(a, b0, f0, m, z), bounded4(b, b1, f1, m, z), bounded4(c, b0, f0, m, z), bounded4(e, b1, f1, m, z));
}
