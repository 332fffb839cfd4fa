// Float functions of one operand over lines (see shared/lines): those of one exponential, within a few units in the last
// place of the exact functions, the same bits in both builds; and others, most of a few operations, each rounded once. y may be x,
// with the same table. Up to 12 bytes past a line are read, never written.

import { offsetAt, storeLanes } from "../shared/lines.as";
import {
  EXP_C0, EXP_C1, EXP_C2, EXP_C3, EXP_C4, EXP_C5, EXP_HIGH, EXP_LOW, LN2_HIGH, LN2_LOW, LOG2_E, ROUND_MAGIC, exp4, log4,
} from "../shared/math.as";
import {
  ABS, CEIL, CUBE, ELU, ERF, EXP, FLOOR, GELU, GELU_TANH, HARD_SIGMOID, HARD_SWISH, LEAKY_RELU, LOG, LOG_SIGMOID, MISH, NEG,
  RECIPROCAL, ROUND, RSQRT, SIGMOID, SILU, SOFTPLUS, SOFTSIGN, SQRT, SQUARE, TANH, THRESHOLD, TRUNC,
} from "./kinds";

/** sqrt(1/2), sqrt(2/pi), and the cube's weight of gelu's tanh form. */
const SQRT_HALF: f32 = 0.70710678118654752;
const SQRT_2_PI: f32 = 0.79788456080286536;
const GELU_CUBE: f32 = 0.044715;
/** From here on tanh(ln(1 + e^x)) is 1. */
const MISH_HIGH: f32 = 20;

/** c0 + c1 u + ... + c5 u^5, in pairs: fewer roundings behind one another. */
@inline
function fifth4(u: v128, c0: f32, c1: f32, c2: f32, c3: f32, c4: f32, c5: f32): v128 {
  const u2 = f32x4.mul(u, u);
  const low = f32x4.add(f32x4.mul(f32x4.splat(c1), u), f32x4.splat(c0));
  const middle = f32x4.add(f32x4.mul(f32x4.splat(c3), u), f32x4.splat(c2));
  const high = f32x4.add(f32x4.mul(f32x4.splat(c5), u), f32x4.splat(c4));
  return f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(high, u2), middle), u2), low);
}

/** The error function: v N(v^2) / D(v^2) on [-4, 4], where it reaches 1 in f32; a fit that is off by 2.5e-8 of the value. */
@inline
function erf4(v: v128): v128 {
  const one = f32x4.splat(1), end = f32x4.splat(4), x = f32x4.pmin(f32x4.pmax(v, f32x4.neg(end)), end), u = f32x4.mul(x, x);
  const n = fifth4(u, 1.1283791, 0.19354051, 5.3101134e-2, 3.8831448e-3, 2.8456067e-4, 1.9868085e-6);
  const d = fifth4(u, 1, 0.50485337, 0.11534811, 1.5206855e-2, 1.1855213e-3, 3.7420166e-5);
  return f32x4.pmin(f32x4.pmax(f32x4.div(f32x4.mul(n, x), d), f32x4.neg(one)), one);
}

/** 1 - erf of a >= 0, where e is e^-a^2: t P(t) e with t = 1 / (1 + 0.35 a); a fit that is off by 3e-9. */
@inline
function erfc4(a: v128, e: v128): v128 {
  const t = f32x4.div(f32x4.splat(1), f32x4.add(f32x4.mul(a, f32x4.splat(0.35)), f32x4.splat(1)));
  let p = f32x4.add(f32x4.mul(f32x4.splat(-0.19264567), t), f32x4.splat(0.74529105));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.6236492));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.62088734));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.031340856));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.22261123));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.19616435));
  return f32x4.mul(f32x4.mul(p, t), e);
}

/** What is exponentiated. */
@inline
function exponent(kind: i32, v: v128, a: v128, c: v128): v128 {
  if (kind <= SILU) return f32x4.neg(v);
  if (kind == TANH) return f32x4.neg(f32x4.add(v, v));
  if (kind == GELU) return f32x4.mul(f32x4.mul(v, v), f32x4.splat(-0.5));
  if (kind == GELU_TANH) {
    const inner = f32x4.mul(f32x4.add(v, f32x4.mul(f32x4.mul(f32x4.mul(v, v), v), f32x4.splat(GELU_CUBE))), f32x4.splat(SQRT_2_PI));
    return f32x4.neg(f32x4.add(inner, inner));
  }
  // Of half the exponent, and squared: so results reach from the smallest to Infinity.
  if (kind == EXP) return f32x4.mul(v, f32x4.splat(0.5));
  if (kind == ELU) return f32x4.mul(v, c);
  if (kind == MISH) return f32x4.pmin(v, f32x4.splat(MISH_HIGH));
  return f32x4.neg(f32x4.abs(kind == SOFTPLUS ? f32x4.mul(v, a) : v));
}

/** Natural logarithm; a call, not inlined. */
function logarithm(x: v128): v128 {
  return log4(x);
}

/** ln(1 + e^x), where e is e^-|x|. */
@inline
function softplus4(x: v128, e: v128): v128 {
  return f32x4.add(f32x4.max(x, f32x4.splat(0)), logarithm(f32x4.add(e, f32x4.splat(1))));
}

/** y = kind(x) over lines [lineStart, lineEnd) of n floats; kind: the first of kinds.ts. */
export function f32_exponential(
  lineStart: usize, lineEnd: usize, xLines: usize, yLines: usize, x: usize, y: usize, n: usize, kind: i32, a: f32, b: f32, c: f32,
): void {
  const low = f32x4.splat(EXP_LOW), high = f32x4.splat(EXP_HIGH), log2e = f32x4.splat(LOG2_E);
  const ln2High = f32x4.splat(LN2_HIGH), ln2Low = f32x4.splat(LN2_LOW), one = f32x4.splat(1), magic = f32x4.splat(ROUND_MAGIC);
  const c5 = f32x4.splat(EXP_C5), c4 = f32x4.splat(EXP_C4), c3 = f32x4.splat(EXP_C3);
  const c2 = f32x4.splat(EXP_C2), c1 = f32x4.splat(EXP_C1), c0 = f32x4.splat(EXP_C0);
  const va = f32x4.splat(a), vb = f32x4.splat(b), vc = f32x4.splat(c), bytes = n << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    const px = x + offsetAt(xLines, line), py = y + offsetAt(yLines, line);
    for (let i: usize = 0; i < bytes; i += 16) {
      let v = v128.load(px + i);
      const e = exp4(exponent(kind, v, va, vc), low, high, log2e, ln2High, ln2Low, c5, c4, c3, c2, c1, c0, one, magic);
      if (kind <= GELU_TANH) {
        // tanh x = 2 sigmoid(2 x) - 1: absolute error below 2e-7.
        const sigmoid = f32x4.div(one, f32x4.add(one, e));
        if (kind == SIGMOID) v = sigmoid;
        else if (kind == TANH) v = f32x4.sub(f32x4.add(sigmoid, sigmoid), one);
        else v = f32x4.mul(v, sigmoid);
      } else if (kind == GELU) {
        const rest = erfc4(f32x4.mul(f32x4.abs(v), f32x4.splat(SQRT_HALF)), e), two = f32x4.splat(2);
        v = f32x4.mul(f32x4.mul(v, f32x4.splat(0.5)), v128.bitselect(rest, f32x4.sub(two, rest), f32x4.lt(v, f32x4.splat(0))));
      } else if (kind == EXP) {
        v = f32x4.mul(e, e);
      } else if (kind == ELU) {
        v = v128.bitselect(f32x4.mul(v, va), f32x4.mul(f32x4.sub(e, one), vb), f32x4.gt(v, f32x4.splat(0)));
      } else if (kind == MISH) {
        // tanh(ln(1 + e)) = (e^2 + 2 e) / (e^2 + 2 e + 2)
        const m = f32x4.mul(e, f32x4.add(e, f32x4.splat(2)));
        v = f32x4.mul(v, f32x4.div(m, f32x4.add(m, f32x4.splat(2))));
      } else if (kind == SOFTPLUS) {
        const scaled = f32x4.mul(v, va);
        v = v128.bitselect(v, f32x4.div(softplus4(scaled, e), va), f32x4.gt(scaled, vb));
      } else {
        v = f32x4.neg(softplus4(f32x4.neg(v), e));
      }
      if (i + 16 <= bytes) v128.store(py + i, v);
      else storeLanes(py + i, v, (bytes - i) >> 2);
    }
  }
}

/** One of the second functions of kinds.ts. */
@inline
function simple4(kind: i32, v: v128, a: v128, b: v128): v128 {
  const zero = f32x4.splat(0), one = f32x4.splat(1);
  if (kind <= HARD_SWISH) {
    const six = f32x4.splat(6), gate = f32x4.pmin(f32x4.pmax(f32x4.add(v, f32x4.splat(3)), zero), six);
    return f32x4.div(kind == HARD_SIGMOID ? gate : f32x4.mul(v, gate), six);
  }
  if (kind == LEAKY_RELU) return v128.bitselect(f32x4.mul(v, a), v, f32x4.lt(v, zero));
  if (kind == ERF) return erf4(v);
  if (kind == NEG) return f32x4.neg(v);
  if (kind == ABS) return f32x4.abs(v);
  if (kind == SQRT) return f32x4.sqrt(v);
  if (kind == RSQRT) return f32x4.div(one, f32x4.sqrt(v));
  if (kind == RECIPROCAL) return f32x4.div(one, v);
  if (kind == FLOOR) return f32x4.floor(v);
  if (kind == CEIL) return f32x4.ceil(v);
  if (kind == TRUNC) return f32x4.trunc(v);
  if (kind == ROUND) return f32x4.nearest(v);
  if (kind == SQUARE) return f32x4.mul(v, v);
  if (kind == CUBE) return f32x4.mul(f32x4.mul(v, v), v);
  if (kind == THRESHOLD) return v128.bitselect(b, v, f32x4.le(v, a));
  if (kind == SOFTSIGN) return f32x4.div(v, f32x4.add(one, f32x4.abs(v)));
  return logarithm(v);
}

/** y = kind(x) over lines [lineStart, lineEnd) of n floats; kind: the second of kinds.ts. */
export function f32_unary(
  lineStart: usize, lineEnd: usize, xLines: usize, yLines: usize, x: usize, y: usize, n: usize, kind: i32, a: f32, b: f32,
): void {
  const va = f32x4.splat(a), vb = f32x4.splat(b), bytes = n << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    const px = x + offsetAt(xLines, line), py = y + offsetAt(yLines, line);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = simple4(kind, v128.load(px + i), va, vb);
      if (i + 16 <= bytes) v128.store(py + i, v);
      else storeLanes(py + i, v, (bytes - i) >> 2);
    }
  }
}
