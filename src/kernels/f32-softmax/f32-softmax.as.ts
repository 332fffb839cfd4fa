// Softmax over rows, and smooth activations, all through one exponential (shared/math). Within a few units in
// the last place of the exact functions; the same bits in both builds.

import { laneMask, storeLanes } from "../shared/lines.as";
import { exp4, log } from "../shared/math.as";

@inline
function rowMax(px: usize, bytes: usize): f32 {
  let m: f32 = -Infinity;
  for (let i: usize = 0; i < bytes; i += 4) m = max(m, f32.load(px + i));
  return m;
}

/**
 * y = e^(x - max) / sum, or with logarithm != 0 y = x - max - log(sum), for rows [rowStart, rowEnd) of n floats.
 * The sum is kept in f64. NaN in a row makes the row NaN. y may be x. x may be read 12 bytes past its end.
 */
export function f32_softmax(rowStart: usize, rowEnd: usize, n: usize, x: usize, y: usize, logarithm: i32): void {
  const bytes = n << 2;
  for (let r = rowStart; r < rowEnd; r++) {
    const px = x + r * bytes, py = y + r * bytes, highest = rowMax(px, bytes), m = f32x4.splat(highest);
    let sum = f64x2.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      let e = exp4(f32x4.sub(v128.load(px + i), m));
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
    for (let i: usize = 0; i < bytes; i += 4) {
      f32.store(py + i, logarithm ? f32.load(px + i) - highest - logTotal : f32.load(py + i) / total);
    }
  }
}

/** 1 / (1 + e^-x). */
@inline
function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** Which smooth activation f32_activation computes. */
const SIGMOID = 0;
const SILU = 1;
const TANH = 2;
const HARD_SIGMOID = 3;

@inline
function activate(v: v128, kind: i32): v128 {
  const one = f32x4.splat(1);
  if (kind == SIGMOID) return sigmoid4(v);
  if (kind == SILU) return f32x4.mul(v, sigmoid4(v));
  // tanh x = 2 sigmoid(2 x) - 1: absolute error below 2e-7.
  if (kind == TANH) return f32x4.sub(f32x4.mul(sigmoid4(f32x4.add(v, v)), f32x4.splat(2)), one);
  const gate = f32x4.pmin(f32x4.pmax(f32x4.add(v, f32x4.splat(3)), f32x4.splat(0)), f32x4.splat(6));
  if (kind == HARD_SIGMOID) return f32x4.div(gate, f32x4.splat(6));
  return f32x4.div(f32x4.mul(v, gate), f32x4.splat(6));
}

/** y = activation(x) for n floats; kind: 0 sigmoid, 1 silu, 2 tanh, 3 hardsigmoid, 4 hardswish. y may be x; x may be read 12 bytes past its end. */
export function f32_activation(n: usize, x: usize, y: usize, kind: i32): void {
  const bytes = n << 2;
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = activate(v128.load(x + i), kind);
    if (i + 16 <= bytes) v128.store(y + i, v);
    else storeLanes(y + i, v, (bytes - i) >> 2);
  }
}
