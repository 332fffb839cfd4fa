// Depthwise convolution over padded NHWC: every channel has its own kernel, so vectors run over channels
// and nothing is shared between lanes. Four pixels by eight channels keep a weight in its register for
// four multiply-adds.

import { entry, storePart, storeRow } from "../shared/rows.as";
import { madd } from "../shared/vector.as";

/**
 * y[out[r] + 4c] = clamp(init[c] + sum_t x[table[r] + taps[t] + 4c] * w[t][c], lo, hi), rows r in
 * [rowStart, rowEnd), channels c < channels; w is [taps][channels]. Tables as in f32_gemm_6x8.
 * x, w and init may be read up to 28 bytes past their last channel. y must not overlap the inputs.
 */
export function f32_depthwise_4x8(
  rowStart: usize, rowEnd: usize, table: usize, out: usize, x: usize, taps: usize, tapTable: usize,
  w: usize, init: usize, y: usize, channels: usize, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi);
  const last = rowEnd - 1, wRow = channels << 2, tapEnd = tapTable + (taps << 2);
  for (let r = rowStart; r < rowEnd; r += 4) {
    const x0 = x + entry(table, r, last), x1 = x + entry(table, r + 1, last);
    const x2 = x + entry(table, r + 2, last), x3 = x + entry(table, r + 3, last);
    const y0 = y + entry(out, r, last), y1 = y + entry(out, r + 1, last);
    const y2 = y + entry(out, r + 2, last), y3 = y + entry(out, r + 3, last);
    for (let c: usize = 0; c < wRow; c += 32) {
      let c00 = v128.load(init + c), c01 = v128.load(init + c, 16);
      let c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00, c31 = c01;
      let weight = w + c;
      for (let t = tapTable; t < tapEnd; t += 4) {
        const at = <usize>load<u32>(t) + c;
        const b0 = v128.load(weight), b1 = v128.load(weight, 16);
        c00 = madd(v128.load(x0 + at), b0, c00); c01 = madd(v128.load(x0 + at, 16), b1, c01);
        c10 = madd(v128.load(x1 + at), b0, c10); c11 = madd(v128.load(x1 + at, 16), b1, c11);
        c20 = madd(v128.load(x2 + at), b0, c20); c21 = madd(v128.load(x2 + at, 16), b1, c21);
        c30 = madd(v128.load(x3 + at), b0, c30); c31 = madd(v128.load(x3 + at, 16), b1, c31);
        weight += wRow;
      }
      const n = (wRow - c) >> 2;
      storeRow(y0 + c, c00, c01, n, low, high);
      storeRow(y1 + c, c10, c11, n, low, high);
      storeRow(y2 + c, c20, c21, n, low, high);
      storeRow(y3 + c, c30, c31, n, low, high);
    }
  }
}

/**
 * Weight gradient: dw[t][c] += sum_r x[table[r] + taps[t] + 4c] * dy[out[r] + 4c], rows in order. Channels
 * [channelStart, channelEnd) only (channelStart a multiple of 4), so that threads can share the work.
 * The caller clears dw ([taps][channels]) first. x and dy may be read up to 12 bytes past their last channel.
 */
export function f32_depthwise_weight(
  rowStart: usize, rowEnd: usize, table: usize, out: usize, x: usize, taps: usize, tapTable: usize,
  dy: usize, dw: usize, channels: usize, channelStart: usize, channelEnd: usize,
): void {
  const wRow = channels << 2, end = table + (rowEnd << 2), lastTap = taps - 1;
  for (let c = channelStart << 2; c < channelEnd << 2; c += 16) {
    const n = min(channelEnd - (c >> 2), 4);
    for (let t: usize = 0; t < taps; t += 3) {
      const t1 = min(t + 1, lastTap), t2 = min(t + 2, lastTap);
      const x0 = x + c + entry(tapTable, t, lastTap), x1 = x + c + entry(tapTable, t1, lastTap);
      const x2 = x + c + entry(tapTable, t2, lastTap);
      const to0 = dw + t * wRow + c, to1 = dw + t1 * wRow + c, to2 = dw + t2 * wRow + c;
      let sum0 = v128.load(to0), sum1 = v128.load(to1), sum2 = v128.load(to2);
      let o = out + (rowStart << 2);
      for (let r = table + (rowStart << 2); r < end; r += 4) {
        const at: usize = load<u32>(r);
        const d = v128.load(dy + c + load<u32>(o));
        sum0 = madd(v128.load(x0 + at), d, sum0);
        sum1 = madd(v128.load(x1 + at), d, sum1);
        sum2 = madd(v128.load(x2 + at), d, sum2);
        o += 4;
      }
      storePart(to0, sum0, sum0, n);
      storePart(to1, sum1, sum1, n);
      storePart(to2, sum2, sum2, n);
    }
  }
}
