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

/** Truncated to integers; values that do not fit give any integer. */
@inline
function truncated(v: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_trunc_f32x4_s(v);
  return i32x4.trunc_sat_f32x4_s(v);
}

/** Addresses of the first table's counters for four values. */
@inline
function counters(v: v128, offset: v128, factor: v128, divisor: v128, last: v128, tables: v128): v128 {
  const scaled = f32x4.div(f32x4.mul(f32x4.sub(v, offset), factor), divisor);
  return i32x4.add(i32x4.shl(i32x4.min_u(truncated(scaled), last), 4), tables);
}

/** Bytes before the tables of f32_histogram: the range, and room for the addresses of eight counters. */
const HEAD: usize = 64;

/**
 * Range and histogram in one pass. out: smallest and largest value as f32 (both NaN when there is one), then at out + 64
 * four interleaved tables, counter t of bin b at 16 b + 4 t bytes, which take turns so that equal neighbours do not wait
 * for each other; the histogram is their sum. Adds to what out holds; the caller puts Infinity, -Infinity and zeros there.
 *
 * The bin is int(f32(f32(f32(v - lo) * bins) / f32(hi - lo))), v = hi in the last one. lo < hi. The counts are a histogram
 * of lo..hi only if the range found lies within: other values go to some bin.
 */
export function f32_histogram(
  lineStart: usize, lineEnd: usize, xLines: usize, x: usize, n: usize, lo: f32, hi: f32, bins: i32, out: usize,
): void {
  const offset = f32x4.splat(lo), factor = f32x4.splat(<f32>bins), divisor = f32x4.splat(hi - lo);
  const last = i32x4.splat(bins - 1), tables = i32x4.splat(<i32>(out + HEAD));
  // Addresses go through memory: taking them out of a vector one by one costs more.
  const even = out + 16, odd = out + 32;
  let low = v128.load32_splat(out), high = v128.load32_splat(out, 4), ordered = v128.and(f32x4.eq(low, low), f32x4.eq(high, high));
  for (let line = lineStart; line < lineEnd; line++) {
    let p = x + offsetAt(xLines, line);
    const end = p + (n << 2);
    for (; p + 32 <= end; p += 32) {
      const a = v128.load(p), b = v128.load(p, 16);
      v128.store(even, counters(a, offset, factor, divisor, last, tables));
      v128.store(odd, counters(b, offset, factor, divisor, last, tables));
      low = f32x4.pmin(low, a);
      high = f32x4.pmax(high, a);
      low = f32x4.pmin(low, b);
      high = f32x4.pmax(high, b);
      ordered = v128.and(ordered, v128.and(f32x4.eq(a, a), f32x4.eq(b, b)));
      let at: usize = load<u32>(even);
      store<u32>(at, load<u32>(at) + 1);
      at = load<u32>(even, 4);
      store<u32>(at, load<u32>(at, 4) + 1, 4);
      at = load<u32>(even, 8);
      store<u32>(at, load<u32>(at, 8) + 1, 8);
      at = load<u32>(even, 12);
      store<u32>(at, load<u32>(at, 12) + 1, 12);
      at = load<u32>(odd);
      store<u32>(at, load<u32>(at) + 1);
      at = load<u32>(odd, 4);
      store<u32>(at, load<u32>(at, 4) + 1, 4);
      at = load<u32>(odd, 8);
      store<u32>(at, load<u32>(at, 8) + 1, 8);
      at = load<u32>(odd, 12);
      store<u32>(at, load<u32>(at, 12) + 1, 12);
    }
    for (; p < end; p += 4) {
      const v = v128.load32_splat(p);
      low = f32x4.pmin(low, v);
      high = f32x4.pmax(high, v);
      ordered = v128.and(ordered, f32x4.eq(v, v));
      const at: usize = <u32>i32x4.extract_lane(counters(v, offset, factor, divisor, last, tables), 0);
      store<u32>(at, load<u32>(at) + 1);
    }
  }
  low = f32x4.pmin(low, v128.shuffle<f32>(low, low, 2, 3, 0, 1));
  high = f32x4.pmax(high, v128.shuffle<f32>(high, high, 2, 3, 0, 1));
  const clean = i32x4.all_true(ordered);
  f32.store(out, clean ? min(f32x4.extract_lane(low, 0), f32x4.extract_lane(low, 1)) : NaN);
  f32.store(out, clean ? max(f32x4.extract_lane(high, 0), f32x4.extract_lane(high, 1)) : NaN, 4);
}

/**
 * The histogram of `parts` results of f32_histogram, the first at `from`, each partBytes behind the one before: bins floats at
 * counts. Up to three more are written.
 */
export function f32_histogram_counts(bins: usize, parts: usize, partBytes: usize, from: usize, counts: usize): void {
  const first = from + HEAD, end = first + parts * partBytes;
  for (let at: usize = 0; at < bins << 4; at += 64) {
    let sums = i32x4.splat(0);
    for (let part = first; part < end; part += partBytes) {
      const a = v128.load(part + at), b = v128.load(part + at, 16), c = v128.load(part + at, 32), d = v128.load(part + at, 48);
      const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
      const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 2, 4, 6), v128.shuffle<i32>(c, d, 1, 3, 5, 7));
      sums = i32x4.add(sums, i32x4.add(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7)));
    }
    v128.store(counts + (at >> 2), f32x4.convert_i32x4_s(sums));
  }
}
