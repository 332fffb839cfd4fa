// The float matrix product that dense layers and convolutions share: six rows ("pixels") by eight
// columns, twelve accumulators, the largest tile whose operands fit the fifteen vector registers an
// x64 engine can use. A row is found through a table of byte offsets and read as `taps` contiguous
// runs, so one loop serves a matrix (one tap), a convolution over a padded NHWC image (one tap a
// kernel row), dilation and groups (one tap a kernel point). Sums run over taps, then over the run,
// in order: the result does not depend on tiling or on the number of threads.

import { entry, storeRow } from "../shared/rows.as";
import { block4x4, gather4 } from "../shared/transpose.as";
import { again, madd } from "../shared/vector.as";

/**
 * Rows r0..r5 times one packed panel, from the initial values at i0..i5 (eight floats each).
 * w advances eight floats a step.
 */
@inline
function tile(
  x: usize, table: usize, out: usize, r: usize, last: usize, taps: usize, tapTable: usize, run: usize,
  w: usize, init: usize, accumulate: bool, y: usize, n: usize, lo: v128, hi: v128,
): void {
  const p0 = x + entry(table, r, last), p1 = x + entry(table, r + 1, last), p2 = x + entry(table, r + 2, last);
  const p3 = x + entry(table, r + 3, last), p4 = x + entry(table, r + 4, last), p5 = x + entry(table, r + 5, last);
  const y0 = y + entry(out, r, last), y1 = y + entry(out, r + 1, last), y2 = y + entry(out, r + 2, last);
  const y3 = y + entry(out, r + 3, last), y4 = y + entry(out, r + 4, last), y5 = y + entry(out, r + 5, last);
  let i = accumulate ? y0 : init;
  let c00 = v128.load(i), c01 = v128.load(i, 16);
  i = accumulate ? y1 : init;
  let c10 = v128.load(i), c11 = v128.load(i, 16);
  i = accumulate ? y2 : init;
  let c20 = v128.load(i), c21 = v128.load(i, 16);
  i = accumulate ? y3 : init;
  let c30 = v128.load(i), c31 = v128.load(i, 16);
  i = accumulate ? y4 : init;
  let c40 = v128.load(i), c41 = v128.load(i, 16);
  i = accumulate ? y5 : init;
  let c50 = v128.load(i), c51 = v128.load(i, 16);
  const tapEnd = tapTable + (taps << 2);
  for (; tapTable < tapEnd; tapTable += 4) {
    const tap: usize = load<u32>(tapTable);
    let a0 = p0 + tap, a1 = p1 + tap, a2 = p2 + tap, a3 = p3 + tap, a4 = p4 + tap, a5 = p5 + tap;
    const end = a0 + (run << 2);
    const end4 = a0 + ((run >> 2) << 4);
    let b0: v128, b1: v128, a: v128;
    while (a0 < end4) {
      b0 = v128.load(w); b1 = v128.load(w, 16);
      a = v128.load32_splat(a0); c00 = madd(a, b0, c00); c01 = madd(a, again(b1, w + 16), c01);
      a = v128.load32_splat(a1); c10 = madd(a, b0, c10); c11 = madd(a, again(b1, w + 16), c11);
      a = v128.load32_splat(a2); c20 = madd(a, b0, c20); c21 = madd(a, again(b1, w + 16), c21);
      a = v128.load32_splat(a3); c30 = madd(a, b0, c30); c31 = madd(a, again(b1, w + 16), c31);
      a = v128.load32_splat(a4); c40 = madd(a, b0, c40); c41 = madd(a, again(b1, w + 16), c41);
      a = v128.load32_splat(a5); c50 = madd(a, b0, c50); c51 = madd(a, again(b1, w + 16), c51);
      b0 = v128.load(w, 32); b1 = v128.load(w, 48);
      a = v128.load32_splat(a0, 4); c00 = madd(a, b0, c00); c01 = madd(a, again(b1, w + 48), c01);
      a = v128.load32_splat(a1, 4); c10 = madd(a, b0, c10); c11 = madd(a, again(b1, w + 48), c11);
      a = v128.load32_splat(a2, 4); c20 = madd(a, b0, c20); c21 = madd(a, again(b1, w + 48), c21);
      a = v128.load32_splat(a3, 4); c30 = madd(a, b0, c30); c31 = madd(a, again(b1, w + 48), c31);
      a = v128.load32_splat(a4, 4); c40 = madd(a, b0, c40); c41 = madd(a, again(b1, w + 48), c41);
      a = v128.load32_splat(a5, 4); c50 = madd(a, b0, c50); c51 = madd(a, again(b1, w + 48), c51);
      b0 = v128.load(w, 64); b1 = v128.load(w, 80);
      a = v128.load32_splat(a0, 8); c00 = madd(a, b0, c00); c01 = madd(a, again(b1, w + 80), c01);
      a = v128.load32_splat(a1, 8); c10 = madd(a, b0, c10); c11 = madd(a, again(b1, w + 80), c11);
      a = v128.load32_splat(a2, 8); c20 = madd(a, b0, c20); c21 = madd(a, again(b1, w + 80), c21);
      a = v128.load32_splat(a3, 8); c30 = madd(a, b0, c30); c31 = madd(a, again(b1, w + 80), c31);
      a = v128.load32_splat(a4, 8); c40 = madd(a, b0, c40); c41 = madd(a, again(b1, w + 80), c41);
      a = v128.load32_splat(a5, 8); c50 = madd(a, b0, c50); c51 = madd(a, again(b1, w + 80), c51);
      b0 = v128.load(w, 96); b1 = v128.load(w, 112);
      a = v128.load32_splat(a0, 12); c00 = madd(a, b0, c00); c01 = madd(a, again(b1, w + 112), c01);
      a = v128.load32_splat(a1, 12); c10 = madd(a, b0, c10); c11 = madd(a, again(b1, w + 112), c11);
      a = v128.load32_splat(a2, 12); c20 = madd(a, b0, c20); c21 = madd(a, again(b1, w + 112), c21);
      a = v128.load32_splat(a3, 12); c30 = madd(a, b0, c30); c31 = madd(a, again(b1, w + 112), c31);
      a = v128.load32_splat(a4, 12); c40 = madd(a, b0, c40); c41 = madd(a, again(b1, w + 112), c41);
      a = v128.load32_splat(a5, 12); c50 = madd(a, b0, c50); c51 = madd(a, again(b1, w + 112), c51);
      a0 += 16; a1 += 16; a2 += 16; a3 += 16; a4 += 16; a5 += 16; w += 128;
    }
    while (a0 < end) {
      b0 = v128.load(w); b1 = v128.load(w, 16);
      a = v128.load32_splat(a0); c00 = madd(a, b0, c00); c01 = madd(a, again(b1, w + 16), c01);
      a = v128.load32_splat(a1); c10 = madd(a, b0, c10); c11 = madd(a, again(b1, w + 16), c11);
      a = v128.load32_splat(a2); c20 = madd(a, b0, c20); c21 = madd(a, again(b1, w + 16), c21);
      a = v128.load32_splat(a3); c30 = madd(a, b0, c30); c31 = madd(a, again(b1, w + 16), c31);
      a = v128.load32_splat(a4); c40 = madd(a, b0, c40); c41 = madd(a, again(b1, w + 16), c41);
      a = v128.load32_splat(a5); c50 = madd(a, b0, c50); c51 = madd(a, again(b1, w + 16), c51);
      a0 += 4; a1 += 4; a2 += 4; a3 += 4; a4 += 4; a5 += 4; w += 32;
    }
  }
  storeRow(y0, c00, c01, n, lo, hi);
  storeRow(y1, c10, c11, n, lo, hi);
  storeRow(y2, c20, c21, n, lo, hi);
  storeRow(y3, c30, c31, n, lo, hi);
  storeRow(y4, c40, c41, n, lo, hi);
  storeRow(y5, c50, c51, n, lo, hi);
}

/**
 * y[out[r] + 4j] = clamp(init[j] + sum_t sum_k x[table[r] + taps[t] + 4k] * w[t * run + k][j], lo, hi)
 * for rows r in [rowStart, rowEnd) and columns j < n.
 *
 * table, out: u32 byte offsets by row (of x and y); tapTable: u32 byte offsets of the runs.
 * w: packed panels [ceil(n / 8)][k][8] (f32_pack), `panelStride` bytes apart. init: ceil(n / 8) * 8 floats;
 * with accumulate != 0 sums start from y instead. rowBlock: rows visited for one panel before the next.
 * A NaN sum stays NaN. y must not overlap x, w, init or the tables. taps, run, n and the row range may be empty.
 */
export function f32_gemm_6x8(
  rowStart: usize, rowEnd: usize, table: usize, out: usize, x: usize, taps: usize, tapTable: usize, run: usize,
  w: usize, panelStride: usize, init: usize, accumulate: i32, y: usize, n: usize, lo: f32, hi: f32, rowBlock: usize,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi);
  const last = rowEnd - 1;
  for (let block = rowStart; block < rowEnd; block += rowBlock) {
    const blockEnd = min(block + rowBlock, rowEnd);
    let panel = w, start = init, yPanel = y;
    for (let left: isize = n; left > 0; left -= 8) {
      for (let r = block; r < blockEnd; r += 6) {
        tile(x, table, out, r, last, taps, tapTable, run, panel, start, accumulate != 0, yPanel, left, low, high);
      }
      panel += panelStride;
      start += 32;
      yPanel += 32;
    }
  }
}

/**
 * One row times all panels, six panels (48 columns) at a time so that twelve chains hide the latency:
 * y[j] = clamp(init[j] + sum_k x[k] * w[k][j], lo, hi), j < n. Same order of sums as f32_gemm_6x8.
 */
export function f32_gemv_1x48(
  x: usize, k: usize, w: usize, panelStride: usize, init: usize, y: usize, n: usize, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi);
  const end = x + (k << 2);
  let left: isize = n;
  for (; left > 40; left -= 48) {
    let w0 = w, w1 = w0 + panelStride, w2 = w1 + panelStride, w3 = w2 + panelStride, w4 = w3 + panelStride, w5 = w4 + panelStride;
    let c00 = v128.load(init), c01 = v128.load(init, 16), c10 = v128.load(init, 32), c11 = v128.load(init, 48);
    let c20 = v128.load(init, 64), c21 = v128.load(init, 80), c30 = v128.load(init, 96), c31 = v128.load(init, 112);
    let c40 = v128.load(init, 128), c41 = v128.load(init, 144), c50 = v128.load(init, 160), c51 = v128.load(init, 176);
    for (let p = x; p < end; p += 4) {
      const a = v128.load32_splat(p);
      c00 = madd(a, v128.load(w0), c00); c01 = madd(a, v128.load(w0, 16), c01);
      c10 = madd(a, v128.load(w1), c10); c11 = madd(a, v128.load(w1, 16), c11);
      c20 = madd(a, v128.load(w2), c20); c21 = madd(a, v128.load(w2, 16), c21);
      c30 = madd(a, v128.load(w3), c30); c31 = madd(a, v128.load(w3, 16), c31);
      c40 = madd(a, v128.load(w4), c40); c41 = madd(a, v128.load(w4, 16), c41);
      c50 = madd(a, v128.load(w5), c50); c51 = madd(a, v128.load(w5, 16), c51);
      w0 += 32; w1 += 32; w2 += 32; w3 += 32; w4 += 32; w5 += 32;
    }
    storeRow(y, c00, c01, 8, low, high);
    storeRow(y + 32, c10, c11, 8, low, high);
    storeRow(y + 64, c20, c21, 8, low, high);
    storeRow(y + 96, c30, c31, 8, low, high);
    storeRow(y + 128, c40, c41, 8, low, high);
    storeRow(y + 160, c50, c51, <usize>left - 40, low, high);
    w = w5 - (k << 5) + panelStride;
    init += 192;
    y += 192;
  }
  for (; left > 0; left -= 8) {
    let c0 = v128.load(init), c1 = v128.load(init, 16), b = w;
    for (let p = x; p < end; p += 4) {
      const a = v128.load32_splat(p);
      c0 = madd(a, v128.load(b), c0);
      c1 = madd(a, v128.load(b, 16), c1);
      b += 32;
    }
    storeRow(y, c0, c1, left, low, high);
    w += panelStride;
    init += 32;
    y += 32;
  }
}

/** Eight neighbouring columns of k rows, from rows that are contiguous along columns or along k, or neither. */
@inline
function packPanel(k: usize, from: usize, rowBytes: usize, columnBytes: usize, out: usize): void {
  const end = out + (k << 5);
  if (columnBytes == 4) {
    for (; out < end; out += 32) {
      v128.store(out, v128.load(from));
      v128.store(out, v128.load(from, 16), 16);
      from += rowBytes;
    }
    return;
  }
  if (rowBytes == 4) {
    for (; out + 128 <= end; out += 128) {
      block4x4(from, columnBytes, out, 32);
      block4x4(from + 4 * columnBytes, columnBytes, out + 16, 32);
      from += 16;
    }
  }
  for (; out < end; out += 32) {
    v128.store(out, gather4(from, columnBytes));
    v128.store(out, gather4(from + 4 * columnBytes, columnBytes), 16);
    from += rowBytes;
  }
}

/**
 * Packs a matrix b[k][n] into panels [ceil(n / 8)][k][8], missing columns as zeros. Element (i, j) is at
 * b + i * rowBytes + j * columnBytes, so a transposed matrix packs by swapping the two strides.
 */
export function f32_pack(k: usize, n: usize, b: usize, rowBytes: usize, columnBytes: usize, panelBytes: usize, out: usize): void {
  for (let j: usize = 0; j < n; j += 8) {
    const columns = min(n - j, 8), from = b + j * columnBytes;
    if (columns == 8) {
      packPanel(k, from, rowBytes, columnBytes, out);
    } else {
      for (let i: usize = 0; i < k; i++) {
        for (let c: usize = 0; c < 8; c++) {
          f32.store(out + (i << 5) + (c << 2), c < columns ? f32.load(from + i * rowBytes + c * columnBytes) : 0);
        }
      }
    }
    out += panelBytes;
  }
}
