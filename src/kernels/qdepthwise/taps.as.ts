// Depthwise convolution with any taps, sixteen channels of one pixel at a time. Dot form: four taps are
// interleaved by byte, so that each lane of a dot product holds one channel's four taps (weights s8
// [taps / 4][16][4]). Plain form: pairs of taps, widened (weights i16 [taps / 2][16][2]). The descriptor
// is the matrix product's; its runs are the taps' offsets, padded with repeated ones of weight zero.
import { BOUNDED, CHANNELS, FLIP, HIGH_BYTES, LOW_BYTES, MAGIC_ZERO, OUT, OUT_BYTES, PANEL_BYTES, PIX_IN, PIX_OUT, POST, POST_BIAS, POST_BYTES, POST_MULTIPLIER, RUN_COUNT, RUNS, WEIGHTS, WIDE_BIAS, WIDE_PANEL_BYTES, WIDE_WEIGHTS } from "../qgemm/layout";
import { zipHigh, zipLow } from "../shared/transpose.as";
import { bounded16, bounded4, MAGIC, storeRow } from "../shared/product-epilogue.as";

@inline
function dot<V>(w: v128, x: v128, acc: v128, ones: v128): v128 {
  if (sizeof<V>() == 1) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x), ones));
}

/** The same by pairs of bytes. */
@inline
function zipPairsLow(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
@inline
function zipPairsHigh(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** Sixteen finished channels to y, n of them stored; the second eight are `second` bytes behind. */
// prettier-ignore
@inline
function finish(d: usize, post: usize, y: usize, n: i32, bounded: bool, second: usize, a0: v128, a1: v128, a2: v128, a3: v128): void {
  if (!bounded || n < 16) {
    storeRow(d, post, y, a0, a1, min(n, 8));
    if (n > 8) storeRow(d, post + POST_BYTES, y + second, a2, a3, n - 8);
    return;
  }
  const m = f32x4.splat(MAGIC), z = v128.load32_splat(d, MAGIC_ZERO);
  const r0 = bounded4(a0, v128.load(post, POST_BIAS), v128.load(post, POST_MULTIPLIER), m, z);
  const r1 = bounded4(a1, v128.load(post, POST_BIAS + 16), v128.load(post, POST_MULTIPLIER + 16), m, z);
  const r2 = bounded4(a2, v128.load(post, POST_BYTES + POST_BIAS), v128.load(post, POST_BYTES + POST_MULTIPLIER), m, z);
  const r3 = bounded4(a3, v128.load(post, POST_BYTES + POST_BIAS + 16), v128.load(post, POST_BYTES + POST_MULTIPLIER + 16), m, z);
  const lo = v128.load32_splat(d, LOW_BYTES), hi = v128.load32_splat(d, HIGH_BYTES);
  v128.store(y, bounded16(r0, r1, r2, r3, lo, hi, v128.load32_splat(d, FLIP)));
}

/** Sums of one pixel's sixteen channels by the dot product. */
// prettier-ignore
@inline
function pixelDot<V>(d: usize, x: usize, y: usize, w: usize, post: usize, n: i32, bounded: bool, second: usize): void {
  let a0 = v128.load(post), a1 = v128.load(post, 16), a2 = v128.load(post, POST_BYTES), a3 = v128.load(post, POST_BYTES + 16);
  const ones = i16x8.splat(1);
  let tap = load<usize>(d, RUNS);
  const end = tap + (load<usize>(d, RUN_COUNT) << 2);
  for (; tap < end; tap += 16) {
    const t0 = v128.load(x + load<i32>(tap)), t1 = v128.load(x + load<i32>(tap, 4));
    const t2 = v128.load(x + load<i32>(tap, 8)), t3 = v128.load(x + load<i32>(tap, 12));
    const l01 = zipLow(t0, t1), l23 = zipLow(t2, t3), h01 = zipHigh(t0, t1), h23 = zipHigh(t2, t3);
    a0 = dot<V>(v128.load(w), zipPairsLow(l01, l23), a0, ones);
    a1 = dot<V>(v128.load(w, 16), zipPairsHigh(l01, l23), a1, ones);
    a2 = dot<V>(v128.load(w, 32), zipPairsLow(h01, h23), a2, ones);
    a3 = dot<V>(v128.load(w, 48), zipPairsHigh(h01, h23), a3, ones);
    w += 64;
  }
  finish(d, post, y, n, bounded, second, a0, a1, a2, a3);
}

/** The same in plain SIMD, two taps at a time. */
// prettier-ignore
@inline
function pixelPlain(d: usize, x: usize, y: usize, w: usize, post: usize, n: i32, bounded: bool, second: usize): void {
  let a0 = v128.load(post), a1 = v128.load(post, 16), a2 = v128.load(post, POST_BYTES), a3 = v128.load(post, POST_BYTES + 16);
  const flip = v128.load32_splat(d, FLIP);
  let tap = load<usize>(d, RUNS);
  const end = tap + (load<usize>(d, RUN_COUNT) << 2);
  for (; tap < end; tap += 8) {
    const t0 = v128.xor(v128.load(x + load<i32>(tap)), flip), t1 = v128.xor(v128.load(x + load<i32>(tap, 4)), flip);
    const low = zipLow(t0, t1), high = zipHigh(t0, t1);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load(w), i16x8.extend_low_i8x16_u(low)));
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v128.load(w, 16), i16x8.extend_high_i8x16_u(low)));
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v128.load(w, 32), i16x8.extend_low_i8x16_u(high)));
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v128.load(w, 48), i16x8.extend_high_i8x16_u(high)));
    w += 64;
  }
  finish(d, post, y, n, bounded, second, a0, a1, a2, a3);
}

/** All channels of pixels pixel0 <= p < pixel1. V = i32 is the plain form. */
@inline
function pixels<V>(d: usize, x: usize, y: usize, pixel0: usize, pixel1: usize): void {
  const bytes = load<i32>(d, OUT) == OUT_BYTES;
  const bounded = bytes && load<i32>(d, BOUNDED) != 0 && load<i32>(d, WIDE_BIAS) == 0;
  const second: usize = bytes ? 8 : 32;
  const inEnd = load<usize>(d, PIX_IN) + pixel1 * 4;
  let w = load<usize>(d, sizeof<V>() == 4 ? WIDE_WEIGHTS : WEIGHTS);
  let post = load<usize>(d, POST);
  for (let left = load<i32>(d, CHANNELS); left > 0; left -= 16) {
    const n = min(left, 16);
    let po = load<usize>(d, PIX_OUT) + pixel0 * 4;
    for (let pi = load<usize>(d, PIX_IN) + pixel0 * 4; pi < inEnd; pi += 4) {
      if (sizeof<V>() == 4) pixelPlain(d, x + load<i32>(pi), y + load<i32>(po), w, post, n, bounded, second);
      else pixelDot<V>(d, x + load<i32>(pi), y + load<i32>(po), w, post, n, bounded, second);
      po += 4;
    }
    x += 16;
    y += 2 * second;
    w += load<usize>(d, sizeof<V>() == 4 ? WIDE_PANEL_BYTES : PANEL_BYTES);
    post += 2 * POST_BYTES;
  }
}

/** y[pixel][channel] = post(start + sum over taps of w * x), pixels pixel0 <= p < pixel1. y must not overlap x. scratch is not used. */
export function qdepthwise_1x16c4__relaxed_dot(d: usize, x: usize, y: usize, pixel0: usize, pixel1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) pixels<i8>(d, x, y, pixel0, pixel1);
}

/** The same where pairs of products are added in 16 bits. */
export function qdepthwise_1x16c4__relaxed_i16(d: usize, x: usize, y: usize, pixel0: usize, pixel1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) pixels<i16>(d, x, y, pixel0, pixel1);
}

/** The same in plain SIMD. */
export function qdepthwise_1x16c2__simd128(d: usize, x: usize, y: usize, pixel0: usize, pixel1: usize, scratch: usize): void {
  pixels<i32>(d, x, y, pixel0, pixel1);
}
