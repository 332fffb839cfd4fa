// Statistics that observers take: the range of a tensor, and its histogram, over lines (see shared/lines).

import { laneMask, offsetAt } from "../shared/lines.as";

/**
 * Smallest and largest of lines [lineStart, lineEnd) of n floats, to out[0] and out[1]. A NaN anywhere makes both
 * NaN; nothing gives Infinity and -Infinity. Up to 12 bytes past a line are read.
 */
export function f32_min_max(lineStart: usize, lineEnd: usize, xLines: usize, x: usize, n: usize, out: usize): void {
  let low0 = f32x4.splat(Infinity), low1 = low0, high0 = f32x4.splat(-Infinity), high1 = high0;
  let ordered = i32x4.splat(-1);
  for (let line = lineStart; line < lineEnd; line++) {
    let p = x + offsetAt(xLines, line);
    const end = p + (n << 2);
    for (; p + 32 <= end; p += 32) {
      const a = v128.load(p), b = v128.load(p, 16);
      low0 = f32x4.pmin(low0, a);
      low1 = f32x4.pmin(low1, b);
      high0 = f32x4.pmax(high0, a);
      high1 = f32x4.pmax(high1, b);
      ordered = v128.and(ordered, v128.and(f32x4.eq(a, a), f32x4.eq(b, b)));
    }
    for (; p < end; p += 16) {
      const left = (end - p) >> 2;
      // Lanes past the end repeat the first value.
      const a = left >= 4 ? v128.load(p) : v128.bitselect(v128.load(p), v128.load32_splat(p), laneMask(left));
      low0 = f32x4.pmin(low0, a);
      high0 = f32x4.pmax(high0, a);
      ordered = v128.and(ordered, f32x4.eq(a, a));
    }
  }
  low0 = f32x4.pmin(low0, low1);
  high0 = f32x4.pmax(high0, high1);
  low0 = f32x4.pmin(low0, v128.shuffle<f32>(low0, low0, 2, 3, 0, 1));
  high0 = f32x4.pmax(high0, v128.shuffle<f32>(high0, high0, 2, 3, 0, 1));
  const low = min(f32x4.extract_lane(low0, 0), f32x4.extract_lane(low0, 1));
  const high = max(f32x4.extract_lane(high0, 0), f32x4.extract_lane(high0, 1));
  const clean = i32x4.all_true(ordered);
  f32.store(out, clean ? low : NaN);
  f32.store(out, clean ? high : NaN, 4);
}

/** Adds one value to a histogram, or nothing when it lies outside. */
@inline
function count(counts: usize, v: f32, lo: f32, hi: f32, bins: f32, range: f32): void {
  if (!(v >= lo && v <= hi)) return;
  const bin = min(<u32>((v - lo) * bins / range), <u32>bins - 1);
  const at = counts + (bin << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/**
 * counts[b] += values of bin b = int(f32(f32(f32(v - lo) * bins) / f32(hi - lo))), v = hi in the last bin, values
 * outside [lo, hi] and NaN in none. lo < hi. Two tables of `bins` u32, at counts and behind it, take turns so
 * that equal neighbours do not wait for each other; their sum is the histogram. The caller clears them first.
 */
export function f32_histogram(
  lineStart: usize, lineEnd: usize, xLines: usize, x: usize, n: usize, lo: f32, hi: f32, bins: i32, counts: usize,
): void {
  const range: f32 = hi - lo, number = <f32>bins, second = counts + (<usize>bins << 2);
  const low = f32x4.splat(lo), high = f32x4.splat(hi), factor = f32x4.splat(number), divisor = f32x4.splat(range);
  const last = i32x4.splat(bins - 1);
  for (let line = lineStart; line < lineEnd; line++) {
    let p = x + offsetAt(xLines, line);
    const end = p + (n << 2);
    for (; p + 16 <= end; p += 16) {
      const v = v128.load(p);
      if (i32x4.all_true(v128.and(f32x4.ge(v, low), f32x4.le(v, high)))) {
        const scaled = f32x4.div(f32x4.mul(f32x4.sub(v, low), factor), divisor);
        const bin = i32x4.shl(i32x4.min_s(i32x4.trunc_sat_f32x4_s(scaled), last), 2);
        const b0 = counts + i32x4.extract_lane(bin, 0), b1 = second + i32x4.extract_lane(bin, 1);
        store<u32>(b0, load<u32>(b0) + 1);
        store<u32>(b1, load<u32>(b1) + 1);
        const b2 = counts + i32x4.extract_lane(bin, 2), b3 = second + i32x4.extract_lane(bin, 3);
        store<u32>(b2, load<u32>(b2) + 1);
        store<u32>(b3, load<u32>(b3) + 1);
      } else {
        for (let i: usize = 0; i < 16; i += 4) count(counts, f32.load(p + i), lo, hi, number, range);
      }
    }
    for (; p < end; p += 4) count(counts, f32.load(p), lo, hi, number, range);
  }
}
