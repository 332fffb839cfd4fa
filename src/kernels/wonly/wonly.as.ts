// f32 activations times packed 8-bit or 4-bit weights: y = bias + sum over groups of (sum of x * (q - z)) * s.
// A panel is eight channels; each group of k holds its scales f32 [8], zero points f32 [8] and integers
// [k][8] (s8) or [k / 2][8] (u4, even k in the low nibble). Weights are widened in registers and shared by
// four rows; a single row reads four panels at once. Sums run in k order, products by `madd`, so the simd
// build has one result on every machine. B = i8 stands for s8, i16 for u4.
import { storePart } from "../shared/rows.as";
import { madd } from "../shared/vector.as";

const HEAD: usize = 64;

/** Bytes of the integers of `k` steps of a panel. */
@inline
function integerBytes<B>(k: usize): usize {
  return sizeof<B>() == 1 ? k << 3 : ((k + 1) >> 1) << 3;
}

/** Bytes of one panel. */
@inline
function panelBytes<B>(depth: usize, group: usize): usize {
  const whole = depth / group;
  const rest = depth - whole * group;
  return whole * (HEAD + integerBytes<B>(group)) + (rest > 0 ? HEAD + integerBytes<B>(rest) : 0);
}

/** Eight integers as i16: of step k of a group whose integers start at w. */
@inline
function integers8<B>(w: usize, k: usize): v128 {
  if (sizeof<B>() == 1) return v128.load8x8_s(w + (k << 3));
  const bytes = v128.load8x8_u(w + ((k >> 1) << 3));
  return (k & 1) != 0 ? i16x8.shr_u(bytes, 4) : v128.and(bytes, i16x8.splat(15));
}

@inline
function low4(q: v128, zero: v128): v128 {
  return f32x4.sub(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q)), zero);
}
@inline
function high4(q: v128, zero: v128): v128 {
  return f32x4.sub(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q)), zero);
}

/** Adds one group's scaled sums of one row to what is in y (or to the bias, for the first group). */
@inline
function addGroup(w: usize, from: usize, y: usize, a: v128, c: v128, n: usize): void {
  const low = madd(a, v128.load(w), v128.load(from));
  const high = madd(c, v128.load(w, 16), v128.load(from, 16));
  storePart(y, low, high, n);
}

/** Four rows (repeats allowed) of one panel. */
// prettier-ignore
function fourRows<B>(depth: usize, group: usize, x0: usize, x1: usize, x2: usize, x3: usize, w: usize, bias: usize, y0: usize, y1: usize, y2: usize, y3: usize, n: usize): void {
  for (let k: usize = 0; k < depth; k += group) {
    const length = min(group, depth - k), q = w + HEAD;
    const zl = v128.load(w, 32), zh = v128.load(w, 48);
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    for (let i: usize = 0; i < length; i++) {
      const v = integers8<B>(q, i), l = low4(v, zl), h = high4(v, zh), at = (k + i) << 2;
      let s = v128.load32_splat(x0 + at); a0 = madd(s, l, a0); c0 = madd(s, h, c0);
      s = v128.load32_splat(x1 + at); a1 = madd(s, l, a1); c1 = madd(s, h, c1);
      s = v128.load32_splat(x2 + at); a2 = madd(s, l, a2); c2 = madd(s, h, c2);
      s = v128.load32_splat(x3 + at); a3 = madd(s, l, a3); c3 = madd(s, h, c3);
    }
    const first = k == 0;
    addGroup(w, first ? bias : y3, y3, a3, c3, n);
    if (y2 != y3) addGroup(w, first ? bias : y2, y2, a2, c2, n);
    if (y1 != y2) addGroup(w, first ? bias : y1, y1, a1, c1, n);
    if (y0 != y1) addGroup(w, first ? bias : y0, y0, a0, c0, n);
    w = q + integerBytes<B>(length);
  }
}

@inline
function rows4<B>(rows: usize, depth: usize, group: usize, channels: usize, x: usize, xStride: usize, w: usize, bias: usize, y: usize, yStride: usize): void {
  const size = panelBytes<B>(depth, group);
  for (let c: usize = 0; c < channels; c += 8) {
    for (let r: usize = 0; r < rows; r += 4) {
      const r1 = min(r + 1, rows - 1), r2 = min(r + 2, rows - 1), r3 = min(r + 3, rows - 1);
      const n = min<usize>(8, channels - c);
      const o = y + (c << 2);
      fourRows<B>(depth, group, x + r * xStride, x + r1 * xStride, x + r2 * xStride, x + r3 * xStride, w, bias + (c << 2), o + r * yStride, o + r1 * yStride, o + r2 * yStride, o + r3 * yStride, n);
    }
    w += size;
  }
}

/** One row of four panels (the ones behind the last channel repeat it and are not stored). */
// prettier-ignore
function fourPanels<B>(depth: usize, group: usize, x: usize, w0: usize, w1: usize, w2: usize, w3: usize, bias: usize, y: usize, n: usize): void {
  for (let k: usize = 0; k < depth; k += group) {
    const length = min(group, depth - k);
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    for (let i: usize = 0; i < length; i++) {
      const s = v128.load32_splat(x + ((k + i) << 2));
      let v = integers8<B>(w0 + HEAD, i); a0 = madd(s, low4(v, v128.load(w0, 32)), a0); c0 = madd(s, high4(v, v128.load(w0, 48)), c0);
      v = integers8<B>(w1 + HEAD, i); a1 = madd(s, low4(v, v128.load(w1, 32)), a1); c1 = madd(s, high4(v, v128.load(w1, 48)), c1);
      v = integers8<B>(w2 + HEAD, i); a2 = madd(s, low4(v, v128.load(w2, 32)), a2); c2 = madd(s, high4(v, v128.load(w2, 48)), c2);
      v = integers8<B>(w3 + HEAD, i); a3 = madd(s, low4(v, v128.load(w3, 32)), a3); c3 = madd(s, high4(v, v128.load(w3, 48)), c3);
    }
    const from = k == 0 ? bias : y;
    addGroup(w0, from, y, a0, c0, min<usize>(n, 8));
    if (n > 8) addGroup(w1, from + 32, y + 32, a1, c1, min<usize>(n - 8, 8));
    if (n > 16) addGroup(w2, from + 64, y + 64, a2, c2, min<usize>(n - 16, 8));
    if (n > 24) addGroup(w3, from + 96, y + 96, a3, c3, min<usize>(n - 24, 8));
    const next = HEAD + integerBytes<B>(length);
    w0 += next; w1 += next; w2 += next; w3 += next;
  }
}

@inline
function row1<B>(depth: usize, group: usize, channels: usize, x: usize, w: usize, bias: usize, y: usize): void {
  const size = panelBytes<B>(depth, group);
  const last = w + ((channels - 1) >> 3) * size;
  for (let c: usize = 0; c < channels; c += 32) {
    fourPanels<B>(depth, group, x, w, min(w + size, last), min(w + 2 * size, last), min(w + 3 * size, last), bias + (c << 2), y + (c << 2), min<usize>(32, channels - c));
    w += 4 * size;
  }
}

/** y[r][c] of rows >= 1, depth >= 1, 8-bit weights. x, y rows and strides in bytes; bias f32 padded to 8. x and y must not overlap. */
export function wonly_s8_4x8(rows: usize, depth: usize, group: usize, channels: usize, x: usize, xStride: usize, w: usize, bias: usize, y: usize, yStride: usize): void {
  rows4<i8>(rows, depth, group, channels, x, xStride, w, bias, y, yStride);
}

/** The same with 4-bit weights; group is even or covers depth. */
export function wonly_u4_4x8(rows: usize, depth: usize, group: usize, channels: usize, x: usize, xStride: usize, w: usize, bias: usize, y: usize, yStride: usize): void {
  rows4<i16>(rows, depth, group, channels, x, xStride, w, bias, y, yStride);
}

/** One row, 8-bit weights, channels >= 1. */
export function wonly_s8_1x32(depth: usize, group: usize, channels: usize, x: usize, w: usize, bias: usize, y: usize): void {
  row1<i8>(depth, group, channels, x, w, bias, y);
}

/** One row, 4-bit weights. */
export function wonly_u4_1x32(depth: usize, group: usize, channels: usize, x: usize, w: usize, bias: usize, y: usize): void {
  row1<i16>(depth, group, channels, x, w, bias, y);
}
