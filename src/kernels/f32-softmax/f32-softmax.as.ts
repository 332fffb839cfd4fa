// Softmax over rows, through one exponential (shared/math). Within a few units in the last place of the exact function;
// the same bits in both builds.

import { laneMask, storeLanes } from "../shared/lines.as";
import {
  EXP_C0, EXP_C1, EXP_C2, EXP_C3, EXP_C4, EXP_C5, EXP_HIGH, EXP_LOW, LN2_HIGH, LN2_LOW, LOG2_E, ROUND_MAGIC, exp4, log,
} from "../shared/math.as";
import { LOGARITHM, ROWS_OF_NOTHING_ARE_ZERO } from "./kinds";

/** Largest of a row, NaN left out: it shows in the sum. */
@inline
function rowMax(px: usize, bytes: usize): f32 {
  let m = f32x4.splat(-Infinity), i: usize = 0;
  for (; i + 16 <= bytes; i += 16) m = f32x4.pmax(m, v128.load(px + i));
  let most = max(max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)), max(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)));
  for (; i < bytes; i += 4) {
    const v = f32.load(px + i);
    if (v > most) most = v;
  }
  return most;
}

/** Whether all of a row is -Infinity. */
@inline
function isNothing(px: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes; i += 4) {
    if (f32.load(px + i) != -Infinity) return false;
  }
  return true;
}

/**
 * y = e^(x - max) / sum, or as LOGARITHM y = x - max - log(sum), for rows [rowStart, rowEnd) of n floats; kind: see kinds.ts.
 * The sum is kept in f64. NaN in a row makes the row NaN. y may be x. x may be read 12 bytes past its end.
 */
export function f32_softmax(rowStart: usize, rowEnd: usize, n: usize, x: usize, y: usize, kind: i32): void {
  const logarithm = kind == LOGARITHM;
  const low = f32x4.splat(EXP_LOW), high = f32x4.splat(EXP_HIGH), log2e = f32x4.splat(LOG2_E);
  const ln2High = f32x4.splat(LN2_HIGH), ln2Low = f32x4.splat(LN2_LOW), one = f32x4.splat(1), magic = f32x4.splat(ROUND_MAGIC);
  const c5 = f32x4.splat(EXP_C5), c4 = f32x4.splat(EXP_C4), c3 = f32x4.splat(EXP_C3);
  const c2 = f32x4.splat(EXP_C2), c1 = f32x4.splat(EXP_C1), c0 = f32x4.splat(EXP_C0);
  const bytes = n << 2;
  for (let r = rowStart; r < rowEnd; r++) {
    const px = x + r * bytes, py = y + r * bytes, highest = rowMax(px, bytes), m = f32x4.splat(highest);
    if (kind == ROWS_OF_NOTHING_ARE_ZERO && highest == -Infinity && isNothing(px, bytes)) {
      memory.fill(py, 0, bytes);
      continue;
    }
    let sum = f64x2.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      let e = exp4(f32x4.sub(v128.load(px + i), m), low, high, log2e, ln2High, ln2Low, c5, c4, c3, c2, c1, c0, one, magic);
      const whole = i + 16 <= bytes;
      if (!whole) e = v128.and(e, laneMask((bytes - i) >> 2));
      sum = f64x2.add(sum, f64x2.add(f64x2.promote_low_f32x4(e), f64x2.promote_low_f32x4(v128.shuffle<i64>(e, e, 1, 1))));
      if (logarithm) continue;
      if (whole) v128.store(py + i, e);
      else storeLanes(py + i, e, (bytes - i) >> 2);
    }
    const total = <f32>(f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
    // log of NaN and of what is not a number is left to the subtraction: total is in [1, n] or NaN.
    const logTotal: f32 = total == total ? log(total) : total;
    const divisor = f32x4.splat(total), shift = f32x4.splat(logTotal);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = logarithm ? f32x4.sub(f32x4.sub(v128.load(px + i), m), shift) : f32x4.div(v128.load(py + i), divisor);
      if (i + 16 <= bytes) v128.store(py + i, v);
      else storeLanes(py + i, v, (bytes - i) >> 2);
    }
  }
}
