// Winograd convolution F(4x4, 3x3): a 4x4 block of outputs from a 6x6 block of inputs with 36 products instead of 144.
// Blocks are transformed (transform.as.ts), 36 small matrix products follow, and the result is transformed back, a few
// blocks at a time so that everything stays in the second-level cache.

import { again, held, madd } from "../shared/vector.as";
import { GAP, HALF_BLOCK, transformInput, transformKernel, transformOutput } from "./transform.as";

/**
 * Transforms 3x3 weights into out[36][ceil(n / 8)][channels][8], 64 bytes between planes. Element (o, c, ky, kx) is at
 * w + o * strideO + c * strideC + ky * strideY + kx * strideX (bytes; negative strides flip the kernel).
 * Missing columns of the last panel become zeros. n % 4 == 0. temporary: 1 KB, 16-byte aligned.
 */
export function f32_winograd_weights(
  w: usize, strideO: isize, strideC: isize, strideY: isize, strideX: isize, channels: usize, n: usize, out: usize, temporary: usize,
): void {
  const panels = (n + 7) >> 3, plane = panels * (channels << 5) + GAP, constants = temporary + HALF_BLOCK;
  const quarter = held(1.0 / 4.0, constants), sixth = held(1.0 / 6.0, constants + 4);
  const twelfth = held(1.0 / 12.0, constants + 8), small = held(1.0 / 24.0, constants + 12);
  // Both halves of a panel's row before the next channel: the 36 places written to are then finished while still cached.
  for (let panel: usize = 0; panel < panels; panel++) {
    for (let c: usize = 0; c < channels; c++) {
      for (let o = panel << 3; o < (panel + 1) << 3; o += 4) {
        const to = out + panel * (channels << 5) + (c << 5) + ((o & 4) << 2);
        if (o < n) {
          transformKernel(w + o * strideO + c * strideC, strideO, strideY, strideX, to, plane, quarter, sixth, twelfth, small, temporary);
        } else {
          for (let i: usize = 0; i < 36; i++) v128.store(to + i * plane, f32x4.splat(0));
        }
      }
    }
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
  const two = held(2, temporary + HALF_BLOCK), four = held(4, temporary + HALF_BLOCK + 4);
  for (let first = blockStart; first < blockEnd; first += group) {
    const count = min(group, blockEnd - first);
    for (let i: usize = 0; i < count; i++) {
      const image = (first + i) / blocksPerImage, inside = (first + i) % blocksPerImage;
      const from = x + image * xImage + (inside / blocksX) * 4 * xRow + (inside % blocksX) * 4 * vRow;
      for (let c: usize = 0; c < vRow; c += 16) transformInput(from + c, xRow, vRow, v + i * vRow + c, vPlane, two, four, temporary);
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
      const rows = min(height - top, 4), columns = min(width - left, 4);
      for (let o: usize = 0; o < mRow; o += 16) {
        transformOutput(
          m + i * mRow + o, mPlane, v128.load(bias + o), to + o, yRow, yPixel, rows, columns, low, high, two, four, temporary,
        );
      }
    }
  }
}
