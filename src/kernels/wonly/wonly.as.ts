// f32 activations times packed 8-bit or 4-bit weights: y = bias + sum over groups of (sum of x * (q - z)) * s.
// A panel is eight channels; each group of k holds its scales f32 [8], zero points i16 [8] and integers
// [k][8] (s8) or [k / 2][8] (u4, even k in the low nibble). Weights are widened in registers and shared by
// four rows; a single row reads four panels at once. Sums run in k order, products by `madd`, so the simd
// build has one result on every machine. B = i8 stands for s8, i16 for u4.
import { storePart } from "../shared/rows.as";
import { madd } from "../shared/vector.as";

const HEAD: usize = 48;
const ZEROS: usize = 32;

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

/** Eight integers less their zero points, of step k (even, where they are nibbles) of a group whose integers start at w. */
@inline
function even8<B>(w: usize, k: usize, zeros: v128): v128 {
  if (sizeof<B>() == 1) return i16x8.sub(v128.load8x8_s(w + (k << 3)), zeros);
  return i16x8.sub(v128.and(v128.load8x8_u(w + (k << 2)), i16x8.splat(15)), zeros);
}

/** The same of step k + 1. */
@inline
function odd8<B>(w: usize, k: usize, zeros: v128): v128 {
  if (sizeof<B>() == 1) return i16x8.sub(v128.load8x8_s(w + (k << 3) + 8), zeros);
  return i16x8.sub(i16x8.shr_u(v128.load8x8_u(w + (k << 2)), 4), zeros);
}

@inline
function low4(q: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q));
}
@inline
function high4(q: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q));
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
    const length = min(group, depth - k), q = w + HEAD, z = v128.load(w, ZEROS);
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    for (let i: usize = 0; i < length; i++) {
      const v = (i & 1) != 0 ? odd8<B>(q, i - 1, z) : even8<B>(q, i, z), l = low4(v), h = high4(v), at = (k + i) << 2;
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
function rows4<B>(from: usize, to: usize, rows: usize, depth: usize, group: usize, channels: usize, x: usize, xStride: usize, w: usize, bias: usize, y: usize, yStride: usize): void {
  const size = panelBytes<B>(depth, group);
  w += from * size;
  for (let c = from << 3; c < min(to << 3, channels); c += 8) {
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
    const length = min(group, depth - k), pairs = length & ~1;
    const z0 = v128.load(w0, ZEROS), z1 = v128.load(w1, ZEROS), z2 = v128.load(w2, ZEROS), z3 = v128.load(w3, ZEROS);
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    let v: v128;
    for (let i: usize = 0; i < pairs; i += 2) {
      const s = v128.load32_splat(x + ((k + i) << 2)), t = v128.load32_splat(x + ((k + i) << 2), 4);
      v = even8<B>(w0 + HEAD, i, z0); a0 = madd(s, low4(v), a0); c0 = madd(s, high4(v), c0);
      v = even8<B>(w1 + HEAD, i, z1); a1 = madd(s, low4(v), a1); c1 = madd(s, high4(v), c1);
      v = even8<B>(w2 + HEAD, i, z2); a2 = madd(s, low4(v), a2); c2 = madd(s, high4(v), c2);
      v = even8<B>(w3 + HEAD, i, z3); a3 = madd(s, low4(v), a3); c3 = madd(s, high4(v), c3);
      v = odd8<B>(w0 + HEAD, i, z0); a0 = madd(t, low4(v), a0); c0 = madd(t, high4(v), c0);
      v = odd8<B>(w1 + HEAD, i, z1); a1 = madd(t, low4(v), a1); c1 = madd(t, high4(v), c1);
      v = odd8<B>(w2 + HEAD, i, z2); a2 = madd(t, low4(v), a2); c2 = madd(t, high4(v), c2);
      v = odd8<B>(w3 + HEAD, i, z3); a3 = madd(t, low4(v), a3); c3 = madd(t, high4(v), c3);
    }
    if (pairs < length) {
      const s = v128.load32_splat(x + ((k + pairs) << 2));
      v = even8<B>(w0 + HEAD, pairs, z0); a0 = madd(s, low4(v), a0); c0 = madd(s, high4(v), c0);
      v = even8<B>(w1 + HEAD, pairs, z1); a1 = madd(s, low4(v), a1); c1 = madd(s, high4(v), c1);
      v = even8<B>(w2 + HEAD, pairs, z2); a2 = madd(s, low4(v), a2); c2 = madd(s, high4(v), c2);
      v = even8<B>(w3 + HEAD, pairs, z3); a3 = madd(s, low4(v), a3); c3 = madd(s, high4(v), c3);
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
function row1<B>(from: usize, to: usize, depth: usize, group: usize, channels: usize, x: usize, w: usize, bias: usize, y: usize): void {
  const size = panelBytes<B>(depth, group);
  const last = w + ((channels - 1) >> 3) * size;
  w += from * size;
  for (let c = from << 3; c < min(to << 3, channels); c += 32) {
    fourPanels<B>(depth, group, x, w, min(w + size, last), min(w + 2 * size, last), min(w + 3 * size, last), bias + (c << 2), y + (c << 2), min<usize>(32, min(to << 3, channels) - c));
    w += 4 * size;
  }
}

/** y[r][c] of the panels from..to, rows >= 1, depth >= 1, 8-bit weights. x, y rows and strides in bytes; bias f32 padded to 8. x and y must not overlap. */
export function wonly_s8_4x8(from: usize, to: usize, rows: usize, depth: usize, group: usize, channels: usize, x: usize, xStride: usize, w: usize, bias: usize, y: usize, yStride: usize): void {
  rows4<i8>(from, to, rows, depth, group, channels, x, xStride, w, bias, y, yStride);
}

/** The same with 4-bit weights; group is even or covers depth. */
export function wonly_u4_4x8(from: usize, to: usize, rows: usize, depth: usize, group: usize, channels: usize, x: usize, xStride: usize, w: usize, bias: usize, y: usize, yStride: usize): void {
  rows4<i16>(from, to, rows, depth, group, channels, x, xStride, w, bias, y, yStride);
}

/** One row, 8-bit weights, channels >= 1; the panels from..to, four at a time. */
export function wonly_s8_1x32(from: usize, to: usize, depth: usize, group: usize, channels: usize, x: usize, w: usize, bias: usize, y: usize): void {
  row1<i8>(from, to, depth, group, channels, x, w, bias, y);
}

/** One row, 4-bit weights. */
export function wonly_u4_1x32(from: usize, to: usize, depth: usize, group: usize, channels: usize, x: usize, w: usize, bias: usize, y: usize): void {
  row1<i16>(from, to, depth, group, channels, x, w, bias, y);
}
