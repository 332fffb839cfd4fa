// Depthwise 3x3 of floats with stride 1 or 2, sliding along x: four channels of two output rows. The nine weights stay in
// registers; every column of inputs is read once and added to the outputs that see it, of which two or three are open
// at a time. All channels of a row pair are done while its rows are in L1.

import { clamp, storePart } from "../shared/rows.as";
import { madd } from "../shared/vector.as";

@inline
function store4(y: usize, v: v128, n: usize): void {
  if (n >= 4) v128.store(y, v);
  else storePart(y, v, v, n);
}

/** Two rows of `width` outputs, n <= 4 channels. */
// prettier-ignore
function slide1(width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, y1: usize, yPixel: usize, w: usize, wRow: usize, init: usize, n: usize, low: v128, high: v128): void {
  const a0 = v128.load(w), a1 = v128.load(w + wRow), a2 = v128.load(w + 2 * wRow);
  const b0 = v128.load(w + 3 * wRow), b1 = v128.load(w + 4 * wRow), b2 = v128.load(w + 5 * wRow);
  const c0 = v128.load(w + 6 * wRow), c1 = v128.load(w + 7 * wRow), c2 = v128.load(w + 8 * wRow);
  let x1 = x + xRow, x2 = x1 + xRow, x3 = x2 + xRow;
  let s = v128.load(x), t = v128.load(x1), u = v128.load(x2), v = v128.load(x3);
  let p0 = v128.load(init), q0 = p0, p1 = p0, q1 = p0;
  p0 = madd(u, c0, madd(t, b0, madd(s, a0, p0))); q0 = madd(v, c0, madd(u, b0, madd(t, a0, q0)));
  x += xPixel; x1 += xPixel; x2 += xPixel; x3 += xPixel;
  s = v128.load(x); t = v128.load(x1); u = v128.load(x2); v = v128.load(x3);
  p0 = madd(u, c1, madd(t, b1, madd(s, a1, p0))); q0 = madd(v, c1, madd(u, b1, madd(t, a1, q0)));
  p1 = madd(u, c0, madd(t, b0, madd(s, a0, p1))); q1 = madd(v, c0, madd(u, b0, madd(t, a0, q1)));
  for (let i: usize = 0; i < width; i++) {
    x += xPixel; x1 += xPixel; x2 += xPixel; x3 += xPixel;
    s = v128.load(x);
    p0 = madd(s, a2, p0); p1 = madd(s, a1, p1); let p2 = madd(s, a0, v128.load(init));
    t = v128.load(x1);
    p0 = madd(t, b2, p0); p1 = madd(t, b1, p1); p2 = madd(t, b0, p2);
    q0 = madd(t, a2, q0); q1 = madd(t, a1, q1); let q2 = madd(t, a0, v128.load(init));
    u = v128.load(x2);
    p0 = madd(u, c2, p0); p1 = madd(u, c1, p1); p2 = madd(u, c0, p2);
    q0 = madd(u, b2, q0); q1 = madd(u, b1, q1); q2 = madd(u, b0, q2);
    v = v128.load(x3);
    q0 = madd(v, c2, q0); q1 = madd(v, c1, q1); q2 = madd(v, c0, q2);
    store4(y, clamp(p0, low, high), n);
    store4(y1, clamp(q0, low, high), n);
    y += yPixel; y1 += yPixel;
    p0 = p1; p1 = p2; q0 = q1; q1 = q2;
  }
}

/** The same with stride 2: five rows of x for two of y, and two outputs open at a time. */
// prettier-ignore
function slide2(width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, y1: usize, yPixel: usize, w: usize, wRow: usize, init: usize, n: usize, low: v128, high: v128): void {
  const a0 = v128.load(w), a1 = v128.load(w + wRow), a2 = v128.load(w + 2 * wRow);
  const b0 = v128.load(w + 3 * wRow), b1 = v128.load(w + 4 * wRow), b2 = v128.load(w + 5 * wRow);
  const c0 = v128.load(w + 6 * wRow), c1 = v128.load(w + 7 * wRow), c2 = v128.load(w + 8 * wRow);
  let x1 = x + xRow, x2 = x1 + xRow, x3 = x2 + xRow, x4 = x3 + xRow;
  let p = v128.load(init), q = p, s = v128.load(x2);
  p = madd(s, c0, madd(v128.load(x1), b0, madd(v128.load(x), a0, p)));
  q = madd(v128.load(x4), c0, madd(v128.load(x3), b0, madd(s, a0, q)));
  for (let i: usize = 0; i < width; i++) {
    x += xPixel; x1 += xPixel; x2 += xPixel; x3 += xPixel; x4 += xPixel;
    s = v128.load(x2);
    p = madd(s, c1, madd(v128.load(x1), b1, madd(v128.load(x), a1, p)));
    q = madd(v128.load(x4), c1, madd(v128.load(x3), b1, madd(s, a1, q)));
    x += xPixel; x1 += xPixel; x2 += xPixel; x3 += xPixel; x4 += xPixel;
    s = v128.load(x);
    p = madd(s, a2, p); let r = madd(s, a0, v128.load(init));
    s = v128.load(x1);
    p = madd(s, b2, p); r = madd(s, b0, r);
    s = v128.load(x2);
    p = madd(s, c2, p); r = madd(s, c0, r); q = madd(s, a2, q); let t = madd(s, a0, v128.load(init));
    s = v128.load(x3);
    q = madd(s, b2, q); t = madd(s, b0, t);
    s = v128.load(x4);
    q = madd(s, c2, q); t = madd(s, c0, t);
    store4(y, clamp(p, low, high), n);
    store4(y1, clamp(q, low, high), n);
    y += yPixel; y1 += yPixel;
    p = r; q = t;
  }
}

/**
 * y[r][i][c] = clamp(init[c] + sum of x[stride r + ky][stride i + kx][c] * w[3 ky + kx][c], lo, hi), rows
 * row0 <= r < row1 of one image, i < width, c < channels, stride 1 or 2. x is the first tap of output (0, 0); strides of
 * x and y are bytes; w is [9][channels]. An odd last row is done with the one before it, so an image needs two rows.
 * Columns of x that the last output does not see, up to two, and 12 bytes past a channel may be read. y must not overlap x.
 */
export function f32_depthwise_3x3_rows(
  row0: usize, row1: usize, width: usize, x: usize, xRow: usize, xPixel: usize, y: usize, yRow: usize, yPixel: usize,
  w: usize, init: usize, channels: usize, stride: i32, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi), wRow = channels << 2;
  for (let row = row0; row < row1; row += 2) {
    const r = min(row, row1 - 2), from = x + r * stride * xRow, to = y + r * yRow;
    for (let c: usize = 0; c < wRow; c += 16) {
      const n = (wRow - c) >> 2;
      if (stride == 1) slide1(width, from + c, xRow, xPixel, to + c, to + c + yRow, yPixel, w + c, wRow, init + c, n, low, high);
      else slide2(width, from + c, xRow, xPixel, to + c, to + c + yRow, yPixel, w + c, wRow, init + c, n, low, high);
    }
  }
}
