// Four lanes at a time between f32 and stored bytes: the inlined arithmetic of every family with f32 in
// the middle. R stands for a rounding rule, so that each loop is compiled for its rule: i8 round then
// add, i16 add then round, i32 add then round twice, i64 divide then round. F is i8 for a plain
// dequantization, i16 for a fused one through f64 and i32 for a fused one by relaxed_madd, which gives the
// same where the machine fuses, since the product and the sum of a byte fit f64 exactly. Constants come in as splats, which the loops hoist.
import { D_FUSED, D_OFFSET, D_PROBE, D_SCALE, Q_FACTOR, Q_NAN_HIGH, Q_OFFSET } from "../quantize/layout";
import { madd } from "./vector.as";

/** 1.5 * 2^23: adding it leaves rne(v) in the low bits, |v| < 2^22. */
export const MAGIC: f32 = 12582912;

@inline
function upper(v: v128): v128 {
  return i64x2.shuffle(v, v, 1, 1);
}

/** f32(a * b + c) rounded once, four f32 lanes of a; b and c are f64x2 splats of f32 values. */
@inline
export function fused4(a: v128, b: v128, c: v128): v128 {
  const low = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(a), b), c);
  const high = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(upper(a)), b), c);
  return i64x2.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** Splat of an f32 field, widened when the arithmetic is. */
@inline
export function splat(wide: bool, p: usize): v128 {
  return wide ? f64x2.splat(<f64>load<f32>(p)) : v128.load32_splat(p);
}

/** First constant of quantize4. */
@inline
export function factorOf<R>(q: usize): v128 {
  return splat(sizeof<R>() == 2, q + Q_FACTOR);
}

/** Second constant of quantize4. */
@inline
export function offsetOf<R>(q: usize): v128 {
  return splat(sizeof<R>() == 2, q + Q_OFFSET);
}

/** Four reals in units of the output scale, as the rule rounds them. */
@inline
function scale4<R>(v: v128, factor: v128, offset: v128): v128 {
  if (sizeof<R>() == 8) {
    v = f32x4.div(v, factor);
  } else if (sizeof<R>() == 2) {
    v = fused4(v, factor, offset);
  } else {
    v = f32x4.mul(v, factor);
    if (sizeof<R>() == 4) v = f32x4.add(v, offset);
  }
  return v;
}

/** Clamped and rounded integers of four reals, before Q_SHIFT is added. NaN gives the low clamp. */
@inline
export function quantize4<R>(v: v128, factor: v128, offset: v128, low: v128, high: v128, magic: v128): v128 {
  v = scale4<R>(v, factor, offset);
  return i32x4.sub(f32x4.add(f32x4.pmin(high, f32x4.pmax(low, v)), magic), magic);
}

/** Rounded integers of four bounded reals with Q_SHIFT added, not clamped. */
@inline
export function quantizeBounded4<R>(v: v128, factor: v128, offset: v128, magic: v128, magicShift: v128): v128 {
  return i32x4.sub(f32x4.add(scale4<R>(v, factor, offset), magic), magicShift);
}

/** Sixteen clamped bytes of sixteen results of quantizeBounded4. */
@inline
export function packBounded16(a: v128, b: v128, c: v128, d: v128, low: v128, high: v128, flip: v128): v128 {
  const bytes = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  return v128.xor(i8x16.min_u(i8x16.max_u(bytes, low), high), flip);
}

/** What NaN is replaced by before quantize4. */
@inline
export function nanSide(q: usize): v128 {
  return f32x4.splat(load<i32>(q, Q_NAN_HIGH) ? Infinity : -Infinity);
}

@inline
export function settleNan(v: v128, side: v128): v128 {
  return v128.bitselect(v, side, f32x4.eq(v, v));
}

/** Sixteen unsigned bytes of sixteen rounded integers. */
@inline
export function pack16(a: v128, b: v128, c: v128, d: v128, shift: v128, flip: v128): v128 {
  const low = i16x8.add_sat_s(i16x8.narrow_i32x4_s(a, b), shift);
  const high = i16x8.add_sat_s(i16x8.narrow_i32x4_s(c, d), shift);
  return v128.xor(i8x16.narrow_i16x8_u(low, high), flip);
}

/** First constant of dequantize4. */
@inline
export function scaleOf<F>(d: usize): v128 {
  return splat(sizeof<F>() == 2, d + D_SCALE);
}

/** Second constant of dequantize4. */
@inline
export function addendOf<F>(d: usize): v128 {
  return splat(sizeof<F>() == 2, d + D_OFFSET);
}

/** Reals of four integers u - D_SUBTRACT, given as floats. */
@inline
export function real4<F>(q: v128, scale: v128, addend: v128): v128 {
  if (sizeof<F>() == 1) return f32x4.mul(q, scale);
  if (sizeof<F>() == 4) return madd(q, scale, addend);
  return fused4(q, scale, addend);
}

/** Reals of four integers u - D_SUBTRACT. */
@inline
export function dequantize4<F>(q: v128, scale: v128, addend: v128): v128 {
  return real4<F>(f32x4.convert_i32x4_s(q), scale, addend);
}

/** Whether a record is to be dequantized in one rounding, F = i16 or i32. */
@inline
export function isFused(d: usize): bool {
  return load<i32>(d, D_FUSED) != 0;
}

/** Whether F = i32 rounds once here: only then is p * p minus its rounded self not zero. */
@inline
export function fusesHere(d: usize): bool {
  if (!ASC_FEATURE_RELAXED_SIMD) return false;
  const p = v128.load32_splat(d, D_PROBE);
  return f32x4.extract_lane(madd(p, p, f32x4.neg(f32x4.mul(p, p))), 0) != 0;
}

/** Integers minus `subtract` (i16x8) of sixteen unsigned bytes, lanes 4k..4k+3. */
@inline
export function lanes0(u: v128, subtract: v128): v128 {
  return i32x4.extend_low_i16x8_s(i16x8.sub(i16x8.extend_low_i8x16_u(u), subtract));
}
@inline
export function lanes1(u: v128, subtract: v128): v128 {
  return i32x4.extend_high_i16x8_s(i16x8.sub(i16x8.extend_low_i8x16_u(u), subtract));
}
@inline
export function lanes2(u: v128, subtract: v128): v128 {
  return i32x4.extend_low_i16x8_s(i16x8.sub(i16x8.extend_high_i8x16_u(u), subtract));
}
@inline
export function lanes3(u: v128, subtract: v128): v128 {
  return i32x4.extend_high_i16x8_s(i16x8.sub(i16x8.extend_high_i8x16_u(u), subtract));
}
