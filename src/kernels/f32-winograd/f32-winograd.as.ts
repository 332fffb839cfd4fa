// Winograd convolution F(4x4, 3x3): a 4x4 block of outputs from a 6x6 block of inputs with 36 products
// instead of 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015; points 0, 1,
// -1, 2, -2 and infinity). Blocks are transformed, 36 small matrix products follow, and the result is
// transformed back, a few blocks at a time so that everything stays in the second-level cache. The weight
// gradient is F(3x3, 4x4): the same points, with the output gradient in the role of the kernel.

import { f32_conv_weight_6x8 } from "../f32-conv-weight/f32-conv-weight.as";
import { clamp } from "../shared/rows.as";
import { gather4 } from "../shared/transpose.as";
import { again, madd } from "../shared/vector.as";

/**
 * Bytes between the ends of one of the 36 planes and the start of the next. Without them planes lie powers of
 * two apart for usual channel counts, and all 36 stores of a block fall into the same few cache sets.
 */
const GAP: usize = 64;

@inline
function times(v: v128, factor: f32): v128 {
  return f32x4.mul(v, f32x4.splat(factor));
}

@inline
function twice(v: v128): v128 {
  return f32x4.add(v, v);
}

/** Sums instead of products with 4: engines would make the constant anew each time. */
@inline
function fourTimes(v: v128): v128 {
  return twice(twice(v));
}

/** Six inputs at s, s + ss, ... to six transformed values at d, d + ds, ... (rows of B^T). */
@inline
function inputLine(s: usize, ss: usize, d: usize, ds: usize): void {
  const d1 = v128.load(s + ss), d2 = v128.load(s + 2 * ss), d3 = v128.load(s + 3 * ss), d4 = v128.load(s + 4 * ss);
  const even = f32x4.sub(d4, fourTimes(d2)), odd = f32x4.sub(d3, fourTimes(d1));
  const near = f32x4.sub(d4, d2), far = twice(f32x4.sub(d3, d1));
  v128.store(d, f32x4.add(fourTimes(f32x4.sub(v128.load(s), d2)), near));
  v128.store(d + ds, f32x4.add(even, odd));
  v128.store(d + 2 * ds, f32x4.sub(even, odd));
  v128.store(d + 3 * ds, f32x4.add(near, far));
  v128.store(d + 4 * ds, f32x4.sub(near, far));
  v128.store(d + 5 * ds, f32x4.sub(f32x4.sub(v128.load(s + 5 * ss), d3), twice(far)));
}

/** Three kernel values to six (rows of G); with four = true, four values of an output gradient to six. */
@inline
function kernelLine(s: usize, ss: usize, d: usize, ds: usize, four: bool): void {
  const g0 = v128.load(s), g1 = v128.load(s + ss), g2 = v128.load(s + 2 * ss);
  const g3 = four ? v128.load(s + 3 * ss) : f32x4.splat(0);
  const even1 = times(f32x4.add(g0, g2), -1.0 / 6.0), odd1 = times(f32x4.add(g1, g3), -1.0 / 6.0);
  const even2 = times(f32x4.add(g0, times(g2, 4)), 1.0 / 24.0), odd2 = times(f32x4.add(g1, times(g3, 4)), 1.0 / 12.0);
  v128.store(d, times(g0, 0.25));
  v128.store(d + ds, f32x4.add(even1, odd1));
  v128.store(d + 2 * ds, f32x4.sub(even1, odd1));
  v128.store(d + 3 * ds, f32x4.add(even2, odd2));
  v128.store(d + 4 * ds, f32x4.sub(even2, odd2));
  v128.store(d + 5 * ds, four ? g3 : g2);
}

/** Six products to four outputs (rows of A^T), or with three = true to the three of a weight gradient. */
@inline
function outputLine(s: usize, ss: usize, d: usize, ds: usize, three: bool): void {
  const m1 = v128.load(s + ss), m2 = v128.load(s + 2 * ss), m3 = v128.load(s + 3 * ss), m4 = v128.load(s + 4 * ss);
  const m5 = v128.load(s + 5 * ss);
  const sum1 = f32x4.add(m1, m2), difference1 = f32x4.sub(m1, m2);
  const sum2 = f32x4.add(m3, m4), difference2 = f32x4.sub(m3, m4);
  const square = f32x4.add(sum1, fourTimes(sum2));
  v128.store(d, f32x4.add(f32x4.add(v128.load(s), sum1), sum2));
  v128.store(d + ds, f32x4.add(difference1, twice(difference2)));
  v128.store(d + 2 * ds, three ? f32x4.add(square, m5) : square);
  if (!three) v128.store(d + 3 * ds, f32x4.add(f32x4.add(difference1, twice(fourTimes(difference2))), m5));
}

/**
 * Transforms 3x3 weights into out[36][ceil(n / 8)][channels][8], 64 bytes between planes. Element (o, c, ky, kx) is at
 * w + o * strideO + c * strideC + ky * strideY + kx * strideX (bytes; negative strides flip the kernel).
 * Missing columns of the last panel become zeros. n % 4 == 0. temporary: 1 KB, 16-byte aligned.
 */
export function f32_winograd_weights(
  w: usize, strideO: isize, strideC: isize, strideY: isize, strideX: isize, channels: usize, n: usize, out: usize, temporary: usize,
): void {
  const panels = (n + 7) >> 3, plane = panels * (channels << 5) + GAP, half = temporary + 9 * 16, full = half + 18 * 16;
  // Both halves of a panel's row before the next channel: the 36 places written to are then finished while still cached.
  for (let panel: usize = 0; panel < panels; panel++) {
    for (let c: usize = 0; c < channels; c++) {
      for (let o = panel << 3; o < (panel + 1) << 3; o += 4) {
        let row = w + o * strideO + c * strideC;
        for (let y: usize = 0; y < 144; y += 48) {
          for (let x: usize = 0, at = row; x < 48; x += 16) {
            v128.store(temporary + y + x, o < n ? gather4(at, strideO) : f32x4.splat(0));
            at += strideX;
          }
          row += strideY;
        }
        for (let x: usize = 0; x < 3; x++) kernelLine(temporary + (x << 4), 48, half + (x << 4), 48, false);
        for (let y: usize = 0; y < 6; y++) kernelLine(half + y * 48, 16, full + y * 96, 16, false);
        const to = out + panel * (channels << 5) + (c << 5) + ((o & 4) << 2);
        for (let i: usize = 0; i < 36; i++) v128.store(to + i * plane, v128.load(full + (i << 4)));
      }
    }
  }
}

/** Transforms one 6x6 block of all channels; the 36 results lie `plane` bytes apart. channels % 4 == 0. */
@inline
function transformInput(x: usize, row: usize, pixel: usize, channels: usize, out: usize, plane: usize, temporary: usize): void {
  for (let c: usize = 0; c < channels << 2; c += 16) {
    for (let i: usize = 0; i < 6; i++) inputLine(x + c + i * pixel, row, temporary + (i << 4), 96);
    for (let i: usize = 0; i < 6; i++) inputLine(temporary + i * 96, 16, out + c + i * 6 * plane, plane);
  }
}

/**
 * y[r][j] = sum_k a[r][k] w[k][j] for six rows, row r at the smaller of r and last, and the first n (4 or more) of eight
 * columns: the tile of f32-gemm without tables, initial sums and clamps, for sums as short as 8. k % 4 == 0.
 */
@inline
function product(a: usize, aRow: usize, last: usize, k: usize, w: usize, y: usize, yRow: usize, n: usize): void {
  let a0 = a, a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow, a4 = a3 + aRow, a5 = a4 + aRow;
  if (last < 5) {
    const end = a + last * aRow;
    a1 = min(a1, end);
    a2 = min(a2, end);
    a3 = min(a3, end);
    a4 = min(a4, end);
    a5 = end;
  }
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  for (const end = a0 + (k << 2); a0 < end; w += 128) {
    let b0 = v128.load(w), b1 = v128.load(w, 16);
    let v = v128.load32_splat(a0); c00 = madd(v, b0, c00); c01 = madd(v, again(b1, w + 16), c01);
    v = v128.load32_splat(a1); c10 = madd(v, b0, c10); c11 = madd(v, again(b1, w + 16), c11);
    v = v128.load32_splat(a2); c20 = madd(v, b0, c20); c21 = madd(v, again(b1, w + 16), c21);
    v = v128.load32_splat(a3); c30 = madd(v, b0, c30); c31 = madd(v, again(b1, w + 16), c31);
    v = v128.load32_splat(a4); c40 = madd(v, b0, c40); c41 = madd(v, again(b1, w + 16), c41);
    v = v128.load32_splat(a5); c50 = madd(v, b0, c50); c51 = madd(v, again(b1, w + 16), c51);
    b0 = v128.load(w, 32); b1 = v128.load(w, 48);
    v = v128.load32_splat(a0, 4); c00 = madd(v, b0, c00); c01 = madd(v, again(b1, w + 48), c01);
    v = v128.load32_splat(a1, 4); c10 = madd(v, b0, c10); c11 = madd(v, again(b1, w + 48), c11);
    v = v128.load32_splat(a2, 4); c20 = madd(v, b0, c20); c21 = madd(v, again(b1, w + 48), c21);
    v = v128.load32_splat(a3, 4); c30 = madd(v, b0, c30); c31 = madd(v, again(b1, w + 48), c31);
    v = v128.load32_splat(a4, 4); c40 = madd(v, b0, c40); c41 = madd(v, again(b1, w + 48), c41);
    v = v128.load32_splat(a5, 4); c50 = madd(v, b0, c50); c51 = madd(v, again(b1, w + 48), c51);
    b0 = v128.load(w, 64); b1 = v128.load(w, 80);
    v = v128.load32_splat(a0, 8); c00 = madd(v, b0, c00); c01 = madd(v, again(b1, w + 80), c01);
    v = v128.load32_splat(a1, 8); c10 = madd(v, b0, c10); c11 = madd(v, again(b1, w + 80), c11);
    v = v128.load32_splat(a2, 8); c20 = madd(v, b0, c20); c21 = madd(v, again(b1, w + 80), c21);
    v = v128.load32_splat(a3, 8); c30 = madd(v, b0, c30); c31 = madd(v, again(b1, w + 80), c31);
    v = v128.load32_splat(a4, 8); c40 = madd(v, b0, c40); c41 = madd(v, again(b1, w + 80), c41);
    v = v128.load32_splat(a5, 8); c50 = madd(v, b0, c50); c51 = madd(v, again(b1, w + 80), c51);
    b0 = v128.load(w, 96); b1 = v128.load(w, 112);
    v = v128.load32_splat(a0, 12); c00 = madd(v, b0, c00); c01 = madd(v, again(b1, w + 112), c01);
    v = v128.load32_splat(a1, 12); c10 = madd(v, b0, c10); c11 = madd(v, again(b1, w + 112), c11);
    v = v128.load32_splat(a2, 12); c20 = madd(v, b0, c20); c21 = madd(v, again(b1, w + 112), c21);
    v = v128.load32_splat(a3, 12); c30 = madd(v, b0, c30); c31 = madd(v, again(b1, w + 112), c31);
    v = v128.load32_splat(a4, 12); c40 = madd(v, b0, c40); c41 = madd(v, again(b1, w + 112), c41);
    v = v128.load32_splat(a5, 12); c50 = madd(v, b0, c50); c51 = madd(v, again(b1, w + 112), c51);
    a0 += 16; a1 += 16; a2 += 16; a3 += 16; a4 += 16; a5 += 16;
  }
  let y1 = y + yRow, y2 = y1 + yRow, y3 = y2 + yRow, y4 = y3 + yRow, y5 = y4 + yRow;
  if (last < 5) {
    const end = y + last * yRow;
    y1 = min(y1, end);
    y2 = min(y2, end);
    y3 = min(y3, end);
    y4 = min(y4, end);
    y5 = end;
  }
  v128.store(y, c00); v128.store(y1, c10); v128.store(y2, c20); v128.store(y3, c30); v128.store(y4, c40); v128.store(y5, c50);
  if (n < 8) return;
  v128.store(y, c01, 16); v128.store(y1, c11, 16); v128.store(y2, c21, 16); v128.store(y3, c31, 16); v128.store(y4, c41, 16);
  v128.store(y5, c51, 16);
}

/**
 * 3x3 convolution with stride 1 over blocks [blockStart, blockEnd) of 4x4 outputs; block b of an image is
 * (b / blocksX, b % blocksX). y[n][i][j][o] = clamp(bias[o] + sum w * x, lo, hi).
 *
 * x: bordered NHWC whose first window starts at x; it must hold a whole 6x6 block for every block of outputs.
 * u: from f32_winograd_weights. bias: n rounded up to 8 floats. Outputs beyond height and width are not stored.
 * group: blocks transformed together. scratch: 36 * (group * (channels + n) + 32) floats, then 1 KB, 16-byte aligned.
 * channels % 4 == 0 and n % 4 == 0.
 */
export function f32_winograd_conv(
  blockStart: usize, blockEnd: usize, blocksX: usize, blocksPerImage: usize, x: usize, xImage: usize, xRow: usize,
  channels: usize, u: usize, bias: usize, y: usize, yImage: usize, yRow: usize, yPixel: usize, n: usize,
  height: usize, width: usize, lo: f32, hi: f32, scratch: usize, group: usize,
): void {
  const vRow = channels << 2, mRow = n << 2, vPlane = group * vRow + GAP, mPlane = group * mRow + GAP;
  const v = scratch, m = v + 36 * vPlane, temporary = m + 36 * mPlane;
  const panelBytes = channels << 5, low = f32x4.splat(lo), high = f32x4.splat(hi), uPlane = ((n + 7) >> 3) * panelBytes + GAP;
  for (let first = blockStart; first < blockEnd; first += group) {
    const count = min(group, blockEnd - first);
    for (let i: usize = 0; i < count; i++) {
      const image = (first + i) / blocksPerImage, inside = (first + i) % blocksPerImage;
      const from = x + image * xImage + (inside / blocksX) * 4 * xRow + (inside % blocksX) * 4 * vRow;
      transformInput(from, xRow, vRow, channels, v + i * vRow, vPlane, temporary);
    }
    for (let i: usize = 0; i < 36; i++) {
      let panel = u + i * uPlane;
      for (let j: usize = 0; j < n; j += 8) {
        for (let r: usize = 0; r < count; r += 6) {
          product(v + i * vPlane + r * vRow, vRow, count - r - 1, channels, panel, m + i * mPlane + r * mRow + (j << 2), mRow, n - j);
        }
        panel += panelBytes;
      }
    }
    for (let i: usize = 0; i < count; i++) {
      const image = (first + i) / blocksPerImage, inside = (first + i) % blocksPerImage;
      const top = (inside / blocksX) * 4, left = (inside % blocksX) * 4;
      const to = y + image * yImage + top * yRow + left * yPixel;
      storeOutput(m + i * mRow, mPlane, bias, to, yRow, yPixel, n, min(height - top, 4), min(width - left, 4), low, high, temporary);
    }
  }
}

/** One row of outputs from six values 16 bytes apart: bias, clamp, and the first `columns` of four stored. */
@inline
function storeOutputRow(s: usize, bias: v128, low: v128, high: v128, y: usize, pixel: usize, columns: usize): void {
  const m1 = v128.load(s, 16), m2 = v128.load(s, 32), m3 = v128.load(s, 48), m4 = v128.load(s, 64);
  const sum1 = f32x4.add(m1, m2), difference1 = f32x4.sub(m1, m2);
  const sum2 = f32x4.add(m3, m4), difference2 = twice(f32x4.sub(m3, m4));
  v128.store(y, clamp(f32x4.add(f32x4.add(f32x4.add(v128.load(s), sum1), sum2), bias), low, high));
  if (columns < 2) return;
  v128.store(y + pixel, clamp(f32x4.add(f32x4.add(difference1, difference2), bias), low, high));
  if (columns < 3) return;
  v128.store(y + 2 * pixel, clamp(f32x4.add(f32x4.add(sum1, fourTimes(sum2)), bias), low, high));
  if (columns < 4) return;
  const last = f32x4.add(f32x4.add(difference1, fourTimes(difference2)), v128.load(s, 80));
  v128.store(y + 3 * pixel, clamp(f32x4.add(last, bias), low, high));
}

/** Transforms one block back, adds the bias, clamps, and stores its rows x columns outputs. */
@inline
function storeOutput(
  m: usize, plane: usize, bias: usize, y: usize, yRow: usize, yPixel: usize, n: usize, rows: usize, columns: usize,
  low: v128, high: v128, temporary: usize,
): void {
  for (let o: usize = 0; o < n << 2; o += 16) {
    const start = v128.load(bias + o);
    for (let i: usize = 0; i < 6; i++) outputLine(m + o + i * plane, 6 * plane, temporary + (i << 4), 96, false);
    for (let i: usize = 0; i < rows; i++) storeOutputRow(temporary + i * 96, start, low, high, y + i * yRow + o, yPixel, columns);
  }
}

/**
 * Weight gradient of a 3x3 convolution with stride 1, summed in the transformed domain: du[slot][36][n][channels] (64 bytes
 * between planes) = sum over the slot's blocks in order. Blocks are shared among `slots` slots, and [slotFrom, slotTo) are
 * computed: threads that share slots change no bit. f32_winograd_weight_grad adds the slots up.
 *
 * x: bordered NHWC as in f32_winograd_conv; dy: NHWC with zeros up to whole 4x4 blocks. scratch:
 * 36 * (group * (channels + n) + 32) floats, one table entry, and 1 KB. channels % 4 == 0 and n % 4 == 0.
 */
export function f32_winograd_weight_sums(
  slotFrom: usize, slotTo: usize, slots: usize, blocks: usize, blocksX: usize, blocksPerImage: usize, x: usize, xImage: usize, xRow: usize,
  channels: usize, dy: usize, dyImage: usize, dyRow: usize, n: usize, du: usize, scratch: usize, group: usize,
): void {
  const vRow = channels << 2, mRow = n << 2, vPlane = group * vRow + GAP, mPlane = group * mRow + GAP, duPlane = n * vRow + GAP;
  const v = scratch, m = v + 36 * vPlane, zero = m + 36 * mPlane, temporary = (zero + 4 + 15) & ~15;
  store<u32>(zero, 0);
  for (let slot = slotFrom; slot < slotTo; slot++) {
    const sums = du + slot * 36 * duPlane, end = (slot + 1) * blocks / slots;
    memory.fill(sums, 0, 36 * duPlane);
    for (let first = slot * blocks / slots; first < end; first += group) {
      const count = min(group, end - first);
      for (let i: usize = 0; i < count; i++) {
        const image = (first + i) / blocksPerImage, inside = (first + i) % blocksPerImage;
        const top = (inside / blocksX) * 4, left = (inside % blocksX) * 4;
        transformInput(x + image * xImage + top * xRow + left * vRow, xRow, vRow, channels, v + i * vRow, vPlane, temporary);
        const from = dy + image * dyImage + top * dyRow + left * mRow, to = m + i * mRow;
        for (let o: usize = 0; o < mRow; o += 16) {
          for (let j: usize = 0; j < 4; j++) kernelLine(from + o + j * mRow, dyRow, temporary + (j << 4), 64, true);
          for (let j: usize = 0; j < 6; j++) kernelLine(temporary + (j << 6), 16, to + o + j * 6 * mPlane, mPlane, true);
        }
      }
      for (let i: usize = 0; i < 36; i++) {
        f32_conv_weight_6x8(
          0, n, 1, zero, zero, count, v + i * vPlane, vRow, 1, zero, channels, m + i * mPlane, mRow, sums + i * duPlane, vRow,
        );
      }
    }
  }
}

/** dw[n][9][channels] from the sums of f32_winograd_weight_sums, whose slots are added to the first. temporary: 1 KB. channels % 4 == 0. */
export function f32_winograd_weight_grad(channels: usize, n: usize, du: usize, slots: usize, dw: usize, temporary: usize): void {
  const vRow = channels << 2, plane = n * vRow + GAP, bytes = plane * 36;
  for (let slot: usize = 1; slot < slots; slot++) {
    const from = du + slot * bytes;
    for (let i: usize = 0; i < bytes; i += 16) v128.store(du + i, f32x4.add(v128.load(du + i), v128.load(from + i)));
  }
  for (let o: usize = 0; o < n; o++) {
    for (let c: usize = 0; c < vRow; c += 16) {
      for (let i: usize = 0; i < 6; i++) outputLine(du + o * vRow + c + i * plane, 6 * plane, temporary + (i << 4), 96, true);
      const to = dw + o * 9 * vRow + c;
      for (let i: usize = 0; i < 3; i++) outputLine(temporary + i * 96, 16, to + i * 3 * vRow, vRow, true);
    }
  }
}
