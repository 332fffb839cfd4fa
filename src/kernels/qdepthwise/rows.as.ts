// Depthwise 3x3 with stride 1: two output rows of eight channels, sliding along x. A column (columns.as.ts), rows y..y+3 of
// one pixel, is read and interleaved once and used by three outputs of both rows, whose weights are the same column
// shifted by one row: (w0, w1, w2, 0) and (0, w0, w1, w2).
import { BOUNDED, CHANNELS, FLIP, HAS_BIAS, HAS_LIMITS, HIGH_BYTES, LOW_BYTES, MAGIC_ZERO, OUT, OUT_BYTES, PANEL_BYTES, POST, POST_BYTES, WEIGHTS, WIDE_BIAS, WIDE_PANEL_BYTES, WIDE_WEIGHTS } from "../qgemm/layout";
import { limited16, MAGIC, storeRow } from "../shared/product-epilogue.as";
import { column, dot, finish, first, firstHigh, second, secondHigh, zip } from "./columns.as";

/** Two rows of w outputs; weights [kernel column][output row][channel half] of 16 bytes, in plain SIMD twice. */
// prettier-ignore
@inline
function rowPair<V>(d: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yRow: usize, yPixel: usize, w: usize, post: usize, n: i32): void {
  const flip = v128.load32_splat(d, FLIP), ones = i16x8.splat(1);
  const full = n == 8 && load<i32>(d, OUT) == OUT_BYTES && load<i32>(d, BOUNDED) != 0 && load<i32>(d, WIDE_BIAS) == 0;
  const s = v128.load(post), t = v128.load(post, 16), m = f32x4.splat(MAGIC);
  const lo = v128.load32_splat(d, LOW_BYTES), hi = v128.load32_splat(d, HIGH_BYTES), z = v128.load32_splat(d, MAGIC_ZERO);
  const hasBias = load<i32>(d, HAS_BIAS) != 0, hasLimits = load<i32>(d, HAS_LIMITS) != 0;
  let r01 = zip<V>(x, xRow, flip), r23 = zip<V>(x + 2 * xRow, xRow, flip);
  let p0 = first<V>(r01, r23), q0 = second<V>(r01, r23), g0 = firstHigh<V>(r23), h0 = secondHigh<V>(r23);
  x += xPixel;
  r01 = zip<V>(x, xRow, flip); r23 = zip<V>(x + 2 * xRow, xRow, flip);
  let p1 = first<V>(r01, r23), q1 = second<V>(r01, r23), g1 = firstHigh<V>(r23), h1 = secondHigh<V>(r23);
  let i: usize = 0;
  if (sizeof<V>() != 4) {
    // Two columns of outputs at once: each vector of weights is read for both.
    if (full) for (; i + 2 <= width; i += 2) {
      x += xPixel;
      r01 = zip<V>(x, xRow, flip); r23 = zip<V>(x + 2 * xRow, xRow, flip);
      const p2 = first<V>(r01, r23), q2 = second<V>(r01, r23);
      x += xPixel;
      r01 = zip<V>(x, xRow, flip); r23 = zip<V>(x + 2 * xRow, xRow, flip);
      const p3 = first<V>(r01, r23), q3 = second<V>(r01, r23);
      let u = v128.load(w);
      let a0 = dot<V>(u, p0, s, ones), a1 = dot<V>(u, p1, s, ones);
      u = v128.load(w, 32);
      let c0 = dot<V>(u, p0, s, ones), c1 = dot<V>(u, p1, s, ones);
      u = v128.load(w, 64);
      a0 = dot<V>(u, p1, a0, ones); a1 = dot<V>(u, p2, a1, ones);
      u = v128.load(w, 96);
      c0 = dot<V>(u, p1, c0, ones); c1 = dot<V>(u, p2, c1, ones);
      u = v128.load(w, 128);
      a0 = dot<V>(u, p2, a0, ones); a1 = dot<V>(u, p3, a1, ones);
      u = v128.load(w, 160);
      c0 = dot<V>(u, p2, c0, ones); c1 = dot<V>(u, p3, c1, ones);
      u = v128.load(w, 16);
      let b0 = dot<V>(u, q0, t, ones), b1 = dot<V>(u, q1, t, ones);
      u = v128.load(w, 48);
      let e0 = dot<V>(u, q0, t, ones), e1 = dot<V>(u, q1, t, ones);
      u = v128.load(w, 80);
      b0 = dot<V>(u, q1, b0, ones); b1 = dot<V>(u, q2, b1, ones);
      u = v128.load(w, 112);
      e0 = dot<V>(u, q1, e0, ones); e1 = dot<V>(u, q2, e1, ones);
      u = v128.load(w, 144);
      b0 = dot<V>(u, q2, b0, ones); b1 = dot<V>(u, q3, b1, ones);
      u = v128.load(w, 176);
      e0 = dot<V>(u, q2, e0, ones); e1 = dot<V>(u, q3, e1, ones);
      let left = finish(post, a0, b0, c0, e0, m, z, hasBias), right = finish(post, a1, b1, c1, e1, m, z, hasBias);
      if (hasLimits) { left = limited16(left, lo, hi, flip); right = limited16(right, lo, hi, flip); }
      v128.store64_lane(y, left, 0);
      v128.store64_lane(y + yRow, left, 1);
      y += yPixel;
      v128.store64_lane(y, right, 0);
      v128.store64_lane(y + yRow, right, 1);
      y += yPixel;
      p0 = p2; q0 = q2; p1 = p3; q1 = q3;
    }
  }
  for (; i < width; i++) {
    x += xPixel;
    r01 = zip<V>(x, xRow, flip); r23 = zip<V>(x + 2 * xRow, xRow, flip);
    const p2 = first<V>(r01, r23), q2 = second<V>(r01, r23), g2 = firstHigh<V>(r23), h2 = secondHigh<V>(r23);
    const a = column<V>(v128.load(w, 128), sizeof<V>() == 4 ? v128.load(w, 320) : ones, p2, g2, column<V>(v128.load(w, 64), sizeof<V>() == 4 ? v128.load(w, 256) : ones, p1, g1, column<V>(v128.load(w, 0), sizeof<V>() == 4 ? v128.load(w, 192) : ones, p0, g0, s, ones), ones), ones);
    const b = column<V>(v128.load(w, 144), sizeof<V>() == 4 ? v128.load(w, 336) : ones, q2, h2, column<V>(v128.load(w, 80), sizeof<V>() == 4 ? v128.load(w, 272) : ones, q1, h1, column<V>(v128.load(w, 16), sizeof<V>() == 4 ? v128.load(w, 208) : ones, q0, h0, t, ones), ones), ones);
    const c = column<V>(v128.load(w, 160), sizeof<V>() == 4 ? v128.load(w, 352) : ones, p2, g2, column<V>(v128.load(w, 96), sizeof<V>() == 4 ? v128.load(w, 288) : ones, p1, g1, column<V>(v128.load(w, 32), sizeof<V>() == 4 ? v128.load(w, 224) : ones, p0, g0, s, ones), ones), ones);
    const e = column<V>(v128.load(w, 176), sizeof<V>() == 4 ? v128.load(w, 368) : ones, q2, h2, column<V>(v128.load(w, 112), sizeof<V>() == 4 ? v128.load(w, 304) : ones, q1, h1, column<V>(v128.load(w, 48), sizeof<V>() == 4 ? v128.load(w, 240) : ones, q0, h0, t, ones), ones), ones);
    if (full) {
      const bytes = limited16(finish(post, a, b, c, e, m, z, hasBias), lo, hi, flip);
      v128.store64_lane(y, bytes, 0);
      v128.store64_lane(y + yRow, bytes, 1);
    } else {
      storeRow(d, post, y, a, b, n);
      storeRow(d, post, y + yRow, c, e, n);
    }
    y += yPixel;
    p0 = p1; q0 = q1; g0 = g1; h0 = h1;
    p1 = p2; q1 = q2; g1 = g2; h1 = h2;
  }
}

/**
 * Output rows row0 <= r < row1 of one image (row1 - row0 >= 2); an odd last row is done with the one before it. All
 * channels of a row pair before the next, while its four rows of x are in L1.
 */
@inline
function image<V>(d: usize, row0: usize, row1: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yRow: usize, yPixel: usize): void {
  const step: usize = load<i32>(d, OUT) == OUT_BYTES ? 8 : 32;
  const panelBytes = load<usize>(d, sizeof<V>() == 4 ? WIDE_PANEL_BYTES : PANEL_BYTES);
  const channels = load<i32>(d, CHANNELS);
  for (let row = row0; row < row1; row += 2) {
    const r = min(row, row1 - 2);
    let w = load<usize>(d, sizeof<V>() == 4 ? WIDE_WEIGHTS : WEIGHTS);
    let post = load<usize>(d, POST);
    let from = x + r * xRow;
    let to = y + r * yRow;
    for (let left = channels; left > 0; left -= 8) {
      rowPair<V>(d, width, from, xRow, xPixel, to, yRow, yPixel, w, post, min(left, 8));
      from += 8;
      to += step;
      w += panelBytes;
      post += POST_BYTES;
    }
  }
}

/**
 * y[r][c][channel] = post(start + sum over 3x3 of w * x), rows row0 <= r < row1 (at least two) of one image; x is the
 * first tap of output (0, 0), strides are bytes. y must not overlap x.
 */
export function qdepthwise_3x3_2x8__relaxed_dot(d: usize, row0: usize, row1: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yRow: usize, yPixel: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) image<i8>(d, row0, row1, width, x, xRow, xPixel, y, yRow, yPixel);
}

/** The same where pairs of products are added in 16 bits. */
export function qdepthwise_3x3_2x8__relaxed_i16(d: usize, row0: usize, row1: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yRow: usize, yPixel: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) image<i16>(d, row0, row1, width, x, xRow, xPixel, y, yRow, yPixel);
}

/** The same in plain SIMD. */
export function qdepthwise_3x3_2x8__simd128(d: usize, row0: usize, row1: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yRow: usize, yPixel: usize): void {
  image<i32>(d, row0, row1, width, x, xRow, xPixel, y, yRow, yPixel);
}
