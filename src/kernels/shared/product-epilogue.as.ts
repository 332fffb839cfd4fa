// What happens to the eight accumulators of one pixel after the K loop: requantization to bytes, raw
// i32, or scaled f32. The arithmetic is one add, one multiply and one rounding in f32, in the order
// of reference.ts; rounding adds 1.5 * 2^23, exact below 2^22. Fast paths rely on a bound known when the
// layer is packed and clamp bytes; storeRow clamps floats first and serves everything else.
import {
  FLIP,
  HIGH,
  HIGH_BYTES,
  LOW,
  LOW_BYTES,
  MAGIC_ZERO,
  OUT,
  OUT_BYTES,
  OUT_F32_TWICE,
  OUT_I32,
  POST_BIAS,
  POST_MULTIPLIER,
  POST_WIDE_BIAS,
  WIDE_BIAS,
  ZERO_POINT,
} from "../qgemm/layout";

/** Adding this f32 to |v| < 2^22 leaves rne(v) in the low bits of the sum. */
export const MAGIC: f32 = 12582912;

/** The high half of v in the low half. */
@inline
function upper(v: v128): v128 {
  return i64x2.shuffle(v, v, 1, 1);
}

/** Four sums plus the f64 biases at `wide`, each rounded once to f32. */
@inline
function wide4(acc: v128, wide: usize): v128 {
  const sum = f32x4.convert_i32x4_s(acc);
  const low = f64x2.add(f64x2.promote_low_f32x4(sum), v128.load(wide));
  const high = f64x2.add(f64x2.promote_low_f32x4(upper(sum)), v128.load(wide, 16));
  return i64x2.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** Lanes 4 * half... of the sums of a panel plus their biases, as f32. */
@inline
function biased4(d: usize, acc: v128, post: usize, half: usize): v128 {
  if (load<i32>(d, WIDE_BIAS)) return wide4(acc, post + POST_WIDE_BIAS + (half << 5));
  return f32x4.add(f32x4.convert_i32x4_s(acc), v128.load(post + (half << 4), POST_BIAS));
}

/** Four bounded lanes of sums with bias: rne(sum * multiplier) + zero point. */
@inline
function scaled(sum: v128, multiplier: v128, magic: v128, magicZero: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(sum, multiplier), magic), magicZero);
}

/** Four sums plus the f64 biases at `wide`, for outputs that are finished elsewhere. */
@inline
export function wideSum4(acc: v128, wide: usize): v128 {
  return wide4(acc, wide);
}

function wideBytes(d: usize, post: usize, a: v128, b: v128, c: v128, e: v128): v128 {
  const f = v128.load(post, POST_MULTIPLIER);
  const g = v128.load(post, POST_MULTIPLIER + 16);
  const m = f32x4.splat(MAGIC);
  const z = v128.load32_splat(d, MAGIC_ZERO);
  const low = post + POST_WIDE_BIAS;
  const high = low + 32;
  const p = scaled(wide4(a, low), f, m, z);
  const q = scaled(wide4(b, high), g, m, z);
  const r = scaled(wide4(c, low), f, m, z);
  const s = scaled(wide4(e, high), g, m, z);
  return bytes16(p, q, r, s);
}

/** Bytes of two pixels (a, b) and (c, e) of one panel whose bias is wide. A call, not inlined. */
@inline
export function wide16(d: usize, post: usize, a: v128, b: v128, c: v128, e: v128): v128 {
  return wideBytes(d, post, a, b, c, e);
}

/** Four lanes: clamp(sum * multiplier) rounded to even, as i32. */
@inline
function round4(sum: v128, multiplier: v128, low: v128, high: v128, magic: v128): v128 {
  const v = f32x4.mul(sum, multiplier);
  return i32x4.sub(f32x4.add(f32x4.pmin(high, f32x4.pmax(low, v)), magic), magic);
}

/** Four bounded lanes: rne((acc + bias) * multiplier) + zero point, as i32. */
@inline
export function bounded4(acc: v128, bias: v128, multiplier: v128, magic: v128, magicZero: v128): v128 {
  return scaled(f32x4.add(f32x4.convert_i32x4_s(acc), bias), multiplier, magic, magicZero);
}

/** The same without a bias. */
@inline
export function plain4(acc: v128, multiplier: v128, magic: v128, magicZero: v128): v128 {
  return scaled(f32x4.convert_i32x4_s(acc), multiplier, magic, magicZero);
}

/** Sixteen bounded results as bytes: two pixels of eight channels, or one of sixteen. */
@inline
export function bytes16(a: v128, b: v128, c: v128, e: v128): v128 {
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, e));
}

/** Bytes clamped further and flipped as they are stored; needed where HAS_LIMITS is set. */
@inline
export function limited16(bytes: v128, low: v128, high: v128, flip: v128): v128 {
  return v128.xor(i8x16.min_u(i8x16.max_u(bytes, low), high), flip);
}

/** Sixteen bounded results as stored bytes. */
@inline
export function bounded16(a: v128, b: v128, c: v128, e: v128, low: v128, high: v128, flip: v128): v128 {
  return limited16(bytes16(a, b, c, e), low, high, flip);
}

/** Eight rounded lanes plus zero point, as eight stored bytes in the low half. */
@inline
function bytes8(low4: v128, high4: v128, zeroPoint: v128, flip: v128): v128 {
  const words = i16x8.add_sat_s(i16x8.narrow_i32x4_s(low4, high4), zeroPoint);
  return v128.xor(i8x16.narrow_i16x8_u(words, words), flip);
}

/** The first n (1..8) bytes of v at y. */
@inline
export function storeBytes(y: usize, v: v128, n: i32): void {
  if (n >= 8) {
    v128.store64_lane(y, v, 0);
    return;
  }
  if (n & 4) {
    v128.store32_lane(y, v, 0);
    y += 4;
    v = i64x2.shr_u(v, 32);
  }
  if (n & 2) {
    v128.store16_lane(y, v, 0);
    y += 2;
    v = i64x2.shr_u(v, 16);
  }
  if (n & 1) v128.store8_lane(y, v, 0);
}

/** The first n (1..8) 32-bit lanes of (low, high) at y. */
function storeLanes(y: usize, low: v128, high: v128, n: i32): void {
  if (n & 8) {
    v128.store(y, low);
    v128.store(y, high, 16);
    return;
  }
  if (n & 4) {
    v128.store(y, low);
    y += 16;
    low = high;
  }
  if (n & 2) {
    v128.store64_lane(y, low, 0);
    y += 8;
    low = upper(low);
  }
  if (n & 1) v128.store32_lane(y, low, 0);
}

/** The first n (1..8) of eight reals at y. */
@inline
export function storeLanes8(y: usize, low: v128, high: v128, n: i32): void {
  storeLanes(y, low, high, n);
}

/** Two lanes (the low ones): f32(f32(acc) * multiplier + bias), rounded once. */
@inline
function scaled2(acc: v128, multiplier: v128, bias: v128): v128 {
  const product = f64x2.mul(f64x2.promote_low_f32x4(acc), f64x2.promote_low_f32x4(multiplier));
  return f32x4.demote_f64x2_zero(f64x2.add(product, f64x2.promote_low_f32x4(bias)));
}

function scaled4(acc: v128, multiplier: v128, bias: v128): v128 {
  const f = f32x4.convert_i32x4_s(acc);
  const top = scaled2(upper(f), upper(multiplier), upper(bias));
  return i64x2.shuffle(scaled2(f, multiplier, bias), top, 0, 2);
}

function finishRow(d: usize, post: usize, y: usize, low: v128, high: v128, n: i32): void {
  const out = load<i32>(d, OUT);
  if (out == OUT_I32) return storeLanes(y, low, high, n);
  const bias0 = v128.load(post, POST_BIAS);
  const bias1 = v128.load(post, POST_BIAS + 16);
  const scale0 = v128.load(post, POST_MULTIPLIER);
  const scale1 = v128.load(post, POST_MULTIPLIER + 16);
  if (out == OUT_BYTES) {
    const least = v128.load32_splat(d, LOW);
    const most = v128.load32_splat(d, HIGH);
    const magic = f32x4.splat(MAGIC);
    const r0 = round4(biased4(d, low, post, 0), scale0, least, most, magic);
    const r1 = round4(biased4(d, high, post, 1), scale1, least, most, magic);
    const zeroPoint = i16x8.splat(<i16>load<i32>(d, ZERO_POINT));
    return storeBytes(y, bytes8(r0, r1, zeroPoint, v128.load32_splat(d, FLIP)), n);
  }
  if (out == OUT_F32_TWICE) {
    const r0 = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(low), scale0), bias0);
    const r1 = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(high), scale1), bias1);
    return storeLanes(y, r0, r1, n);
  }
  storeLanes(y, scaled4(low, scale0, bias0), scaled4(high, scale1, bias1), n);
}

/** Any output form, any channel count: one pixel's accumulators to y. A call, not inlined: fast paths have their own. */
@inline
export function storeRow(d: usize, post: usize, y: usize, low: v128, high: v128, n: i32): void {
  finishRow(d, post, y, low, high, n);
}
