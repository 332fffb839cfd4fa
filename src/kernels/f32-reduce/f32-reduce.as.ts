// Reductions of the middle axis of [outer, n, inner]: sums in f64, largest and smallest values with NaN spreading. Every
// result is made by one thread in one order, the same in both builds. Up to 12 bytes past x are read.

import { laneMask, storeLanes } from "../shared/lines.as";
import { high2, low2 } from "../shared/vector.as";
import { MAXIMUM, SUM } from "./kinds";

/** Sum of n dense floats. */
@inline
function rowSum(x: usize, bytes: usize): f64 {
  let s0 = f64x2.splat(0), s1 = s0;
  for (let i: usize = 0; i < bytes; i += 16) {
    let v = v128.load(x + i);
    if (i + 16 > bytes) v = v128.and(v, laneMask((bytes - i) >> 2));
    s0 = f64x2.add(s0, low2(v));
    s1 = f64x2.add(s1, high2(v));
  }
  return f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1) + (f64x2.extract_lane(s1, 0) + f64x2.extract_lane(s1, 1));
}

@inline
function extreme(kind: i32, a: v128, b: v128): v128 {
  return kind == MAXIMUM ? f32x4.max(a, b) : f32x4.min(a, b);
}

/** Largest or smallest of n >= 1 dense floats. */
@inline
function rowExtreme(kind: i32, x: usize, bytes: usize): f32 {
  let m = v128.load32_splat(x), i: usize = 0;
  for (; i + 16 <= bytes; i += 16) m = extreme(kind, m, v128.load(x + i));
  for (; i < bytes; i += 4) m = extreme(kind, m, v128.load32_splat(x + i));
  m = extreme(kind, m, v128.shuffle<i64>(m, m, 1, 1));
  return f32x4.extract_lane(extreme(kind, m, v128.shuffle<i32>(m, m, 1, 0, 3, 2)), 0);
}

/**
 * y[o][i] of x[o][0..n][i] for o in [outerStart, outerEnd), i < inner: with SUM the sum divided by `divisor` and rounded once,
 * else the largest or smallest. Extremes want n >= 1. y must not overlap x.
 */
export function f32_reduce(
  outerStart: usize, outerEnd: usize, n: usize, inner: usize, x: usize, y: usize, kind: i32, divisor: f64,
): void {
  const bytes = inner << 2, d = f64x2.splat(divisor);
  for (let o = outerStart; o < outerEnd; o++) {
    const px = x + o * n * bytes, py = y + o * bytes;
    if (inner == 1) {
      f32.store(py, kind == SUM ? <f32>(rowSum(px, n << 2) / divisor) : rowExtreme(kind, px, n << 2));
      continue;
    }
    for (let c: usize = 0; c < bytes; c += 16) {
      let p = px + c, s0 = f64x2.splat(0), s1 = s0, m = v128.load(p);
      for (const end = p + n * bytes; p < end; p += bytes) {
        const v = v128.load(p);
        if (kind == SUM) {
          s0 = f64x2.add(s0, low2(v));
          s1 = f64x2.add(s1, high2(v));
        } else {
          m = extreme(kind, m, v);
        }
      }
      if (kind == SUM) {
        m = v128.shuffle<i64>(f32x4.demote_f64x2_zero(f64x2.div(s0, d)), f32x4.demote_f64x2_zero(f64x2.div(s1, d)), 0, 2);
      }
      if (c + 16 <= bytes) v128.store(py + c, m);
      else storeLanes(py + c, m, (bytes - c) >> 2);
    }
  }
}
