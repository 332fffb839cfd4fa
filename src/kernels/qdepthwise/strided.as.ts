// Depthwise 3x3 with stride 2 by the adding dot: one output row of eight channels, sliding along x. Every output reads two
// new columns (columns.as.ts) and shares the third with its neighbour. A column's fourth row has a weight of zero: the third
// is read again. Weights are packed as for rows.as.ts, of which the lower row's are left out. The other multiplications
// gain too little over tap offsets.
import { BOUNDED, CHANNELS, FLIP, HAS_BIAS, HAS_LIMITS, HIGH_BYTES, LOW_BYTES, MAGIC_ZERO, OUT, OUT_BYTES, PANEL_BYTES, POST, POST_BYTES, WEIGHTS, WIDE_BIAS } from "../qgemm/layout";
import { limited16, MAGIC, storeRow } from "../shared/product-epilogue.as";
import { dot, finish, first, second, zip } from "./columns.as";

/** A row of `width` outputs, n channels; weights [kernel column][2][channel half] of 16 bytes. */
// prettier-ignore
function outputRow(d: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yPixel: usize, w: usize, post: usize, n: i32): void {
  const flip = v128.load32_splat(d, FLIP), ones = i16x8.splat(1);
  const full = n == 8 && load<i32>(d, OUT) == OUT_BYTES && load<i32>(d, BOUNDED) != 0 && load<i32>(d, WIDE_BIAS) == 0;
  const s = v128.load(post), t = v128.load(post, 16), m = f32x4.splat(MAGIC), z = v128.load32_splat(d, MAGIC_ZERO);
  const lo = v128.load32_splat(d, LOW_BYTES), hi = v128.load32_splat(d, HIGH_BYTES);
  const hasBias = load<i32>(d, HAS_BIAS) != 0, hasLimits = load<i32>(d, HAS_LIMITS) != 0;
  let r01 = zip<i8>(x, xRow, flip), r22 = zip<i8>(x + 2 * xRow, 0, flip);
  let p0 = first<i8>(r01, r22), q0 = second<i8>(r01, r22);
  let i: usize = 0;
  // Two outputs at once: each vector of weights is read for both.
  if (full) for (; i + 2 <= width; i += 2) {
    x += xPixel;
    r01 = zip<i8>(x, xRow, flip); r22 = zip<i8>(x + 2 * xRow, 0, flip);
    const p1 = first<i8>(r01, r22), q1 = second<i8>(r01, r22);
    x += xPixel;
    r01 = zip<i8>(x, xRow, flip); r22 = zip<i8>(x + 2 * xRow, 0, flip);
    const p2 = first<i8>(r01, r22), q2 = second<i8>(r01, r22);
    x += xPixel;
    r01 = zip<i8>(x, xRow, flip); r22 = zip<i8>(x + 2 * xRow, 0, flip);
    const p3 = first<i8>(r01, r22), q3 = second<i8>(r01, r22);
    x += xPixel;
    r01 = zip<i8>(x, xRow, flip); r22 = zip<i8>(x + 2 * xRow, 0, flip);
    const p4 = first<i8>(r01, r22), q4 = second<i8>(r01, r22);
    let u = v128.load(w);
    let a = dot<i8>(u, p0, s, ones), c = dot<i8>(u, p2, s, ones);
    u = v128.load(w, 16);
    let b = dot<i8>(u, q0, t, ones), e = dot<i8>(u, q2, t, ones);
    u = v128.load(w, 64);
    a = dot<i8>(u, p1, a, ones); c = dot<i8>(u, p3, c, ones);
    u = v128.load(w, 80);
    b = dot<i8>(u, q1, b, ones); e = dot<i8>(u, q3, e, ones);
    u = v128.load(w, 128);
    a = dot<i8>(u, p2, a, ones); c = dot<i8>(u, p4, c, ones);
    u = v128.load(w, 144);
    b = dot<i8>(u, q2, b, ones); e = dot<i8>(u, q4, e, ones);
    u = finish(post, a, b, c, e, m, z, hasBias);
    if (hasLimits) {
      u = limited16(u, lo, hi, flip);
      v128.store64_lane(y, u, 0);
      v128.store64_lane(y + yPixel, u, 1);
    } else {
      // A lone assignment would be computed in both cases.
      v128.store64_lane(y, u, 0);
      v128.store64_lane(y + yPixel, u, 1);
    }
    y += 2 * yPixel;
    p0 = p4; q0 = q4;
  }
  for (; i < width; i++) {
    x += xPixel;
    r01 = zip<i8>(x, xRow, flip); r22 = zip<i8>(x + 2 * xRow, 0, flip);
    let a = dot<i8>(v128.load(w, 64), first<i8>(r01, r22), dot<i8>(v128.load(w), p0, s, ones), ones);
    let b = dot<i8>(v128.load(w, 80), second<i8>(r01, r22), dot<i8>(v128.load(w, 16), q0, t, ones), ones);
    x += xPixel;
    r01 = zip<i8>(x, xRow, flip); r22 = zip<i8>(x + 2 * xRow, 0, flip);
    p0 = first<i8>(r01, r22); q0 = second<i8>(r01, r22);
    a = dot<i8>(v128.load(w, 128), p0, a, ones); b = dot<i8>(v128.load(w, 144), q0, b, ones);
    if (full) v128.store64_lane(y, limited16(finish(post, a, b, a, b, m, z, hasBias), lo, hi, flip), 0);
    else storeRow(d, post, y, a, b, n);
    y += yPixel;
  }
}

/**
 * y[r][c][channel] = post(start + sum over 3x3 of w * x) with stride 2, rows row0 <= r < row1 of one image; x is the
 * first tap of output (0, 0), strides are bytes. All channels of a row before the next, while its three rows of x are in
 * L1. y must not overlap x.
 */
export function qdepthwise_3x3s2_1x8__relaxed_dot(d: usize, row0: usize, row1: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yRow: usize, yPixel: usize): void {
  if (!ASC_FEATURE_RELAXED_SIMD) return;
  const step: usize = load<i32>(d, OUT) == OUT_BYTES ? 8 : 32;
  const panelBytes = load<usize>(d, PANEL_BYTES);
  const channels = load<i32>(d, CHANNELS);
  for (let row = row0; row < row1; row++) {
    let w = load<usize>(d, WEIGHTS);
    let post = load<usize>(d, POST);
    let from = x + 2 * row * xRow;
    let to = y + row * yRow;
    for (let left = channels; left > 0; left -= 8) {
      outputRow(d, width, from, xRow, xPixel, to, yPixel, w, post, min(left, 8));
      from += 8;
      to += step;
      w += panelBytes;
      post += POST_BYTES;
    }
  }
}
