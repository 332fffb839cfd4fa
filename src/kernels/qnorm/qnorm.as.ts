// Softmax and layer norm of rows of stored bytes. Sums of integers are exact and taken in vectors; sums
// of exponentials are taken one by one in f64, since their order shows; the rest is f32 in the order
// of reference.ts. Exponentials come from a table, so they are the host's own.
import { Q_FLIP, Q_HIGH, Q_LOW, Q_SHIFT } from "../quantize/layout";
import { factorOf, MAGIC, offsetOf, pack16, quantize4 } from "../shared/quantize-lanes.as";
import {
  N_BIAS,
  N_EPS,
  N_EXPONENTIALS,
  N_FLIP,
  N_LENGTH,
  N_OFFSET,
  N_QUANTIZER,
  N_ROWS,
  N_SCALE,
  N_SECOND,
  N_SPLIT,
  N_WEIGHT,
  N_X_STRIDE,
  N_Y_STRIDE,
  N_ZERO_POINT,
} from "./layout";

/** Largest unsigned form of a row of n >= 1 bytes. */
function largest(x: usize, n: usize, flip: v128): usize {
  let best = i8x16.splat(0);
  const end = x + n;
  for (; x + 16 <= end; x += 16) best = i8x16.max_u(best, v128.xor(v128.load(x), flip));
  for (; x < end; x++) best = i8x16.max_u(best, v128.xor(v128.load8_splat(x), flip));
  best = i8x16.max_u(best, i8x16.shuffle(best, best, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  best = i8x16.max_u(best, i64x2.shr_u(best, 32));
  best = i8x16.max_u(best, i64x2.shr_u(best, 16));
  best = i8x16.max_u(best, i64x2.shr_u(best, 8));
  return <usize>(<u8>i8x16.extract_lane_u(best, 0));
}

/** y[i] = quantize(e[i] / sum of e), e the exponentials of a row; R is the rounding rule. */
function softmaxRow<R>(x: usize, n: usize, mask: u8, e: usize, y: usize, q: usize): void {
  let sum: f64 = 0;
  for (let i: usize = 0; i < n; i++) sum += <f64>load<f32>(e + ((<usize>(load<u8>(x + i) ^ mask)) << 2));
  const total = f32x4.splat(<f32>sum);
  const factor = factorOf<R>(q);
  const offset = offsetOf<R>(q);
  const low = v128.load32_splat(q, Q_LOW);
  const high = v128.load32_splat(q, Q_HIGH);
  const shift = v128.load16_splat(q, Q_SHIFT);
  const flip = v128.load32_splat(q, Q_FLIP);
  const magic = f32x4.splat(MAGIC);
  for (let i: usize = 0; i < n; i++) {
    const v = v128.load32_splat(e + ((<usize>(load<u8>(x + i) ^ mask)) << 2));
    const r = quantize4<R>(f32x4.div(v, total), factor, offset, low, high, magic);
    v128.store8_lane(y + i, pack16(r, r, r, r, shift, flip), 0);
  }
}

/** Softmax of every row of record r by a rounding rule. Rows are not empty. y may be x with equal strides. */
export function qsoftmax_rows(rule: i32, r: usize, x: usize, y: usize): void {
  const n = load<usize>(r, N_LENGTH);
  const flip = v128.load32_splat(r, N_FLIP);
  const mask = load<u8>(r, N_FLIP);
  const q = r + N_QUANTIZER;
  for (let rows = load<usize>(r, N_ROWS); rows > 0; rows--) {
    const e = load<usize>(r, N_EXPONENTIALS) + (largest(x, n, flip) << 10);
    if (rule == 1) softmaxRow<i16>(x, n, mask, e, y, q);
    else if (rule == 2) softmaxRow<i32>(x, n, mask, e, y, q);
    else if (rule == 3) softmaxRow<i64>(x, n, mask, e, y, q);
    else softmaxRow<i8>(x, n, mask, e, y, q);
    x += load<usize>(r, N_X_STRIDE);
    y += load<usize>(r, N_Y_STRIDE);
  }
}

/** Sum of the integers q (and, if `square`, of their squares) of a row. */
@inline
function rowSum(x: usize, n: usize, flip: v128, offset: v128, square: bool): i64 {
  let total: i64 = 0;
  const end = x + n;
  while (x < end) {
    const stop = min(end, x + 16384);
    let sum = i32x4.splat(0);
    for (; x + 8 <= stop; x += 8) {
      const q = i16x8.sub(i16x8.extend_low_i8x16_u(v128.xor(v128.load64_zero(x), flip)), offset);
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(q, square ? q : i16x8.splat(1)));
    }
    total += <i64>i32x4.extract_lane(sum, 0) + <i64>i32x4.extract_lane(sum, 1) + <i64>i32x4.extract_lane(sum, 2) + <i64>i32x4.extract_lane(sum, 3);
    for (; x < stop; x++) {
      const q = i16x8.sub(i16x8.extend_low_i8x16_u(v128.xor(v128.load8_splat(x), flip)), offset);
      const v = <i64>i16x8.extract_lane_s(q, 0);
      total += square ? v * v : v;
    }
  }
  return total;
}

/** Four elements: rounding rule of f32(f32(f32(q - z - mean) * factor) * weight + bias), the last in one rounding. */
@inline
function normal4(bytes: v128, zero: v128, mean: v128, factor: v128, weight: v128, bias: v128): v128 {
  const q = i32x4.extend_low_i16x8_s(i16x8.sub(i16x8.extend_low_i8x16_u(bytes), zero));
  const v = f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(q), mean), factor);
  const low = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(v), f64x2.promote_low_f32x4(weight)), f64x2.promote_low_f32x4(bias));
  const v2 = i64x2.shuffle(v, v, 1, 1);
  const w2 = i64x2.shuffle(weight, weight, 1, 1);
  const b2 = i64x2.shuffle(bias, bias, 1, 1);
  const high = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(v2), f64x2.promote_low_f32x4(w2)), f64x2.promote_low_f32x4(b2));
  return i64x2.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** Elements from `from` to `to` of a row, quantized by record q. */
// prettier-ignore
function normalRow<R>(r: usize, q: usize, x: usize, y: usize, from: usize, to: usize, mean: v128, factor: v128): void {
  const flip = v128.load32_splat(r, N_FLIP), zero = i16x8.splat(<i16>(load<i32>(r, N_ZERO_POINT) + load<i32>(r, N_OFFSET)));
  const f = factorOf<R>(q), o = offsetOf<R>(q), low = v128.load32_splat(q, Q_LOW), high = v128.load32_splat(q, Q_HIGH);
  const shift = v128.load16_splat(q, Q_SHIFT), out = v128.load32_splat(q, Q_FLIP), magic = f32x4.splat(MAGIC);
  const weight = load<usize>(r, N_WEIGHT), bias = load<usize>(r, N_BIAS);
  let i = from;
  for (; i + 4 <= to; i += 4) {
    const v = normal4(v128.xor(v128.load32_zero(x + i), flip), zero, mean, factor, v128.load(weight + i * 4), v128.load(bias + i * 4));
    const k = quantize4<R>(v, f, o, low, high, magic);
    v128.store32_lane(y + i, pack16(k, k, k, k, shift, out), 0);
  }
  for (; i < to; i++) {
    const v = normal4(v128.xor(v128.load8_splat(x + i), flip), zero, mean, factor, v128.load32_splat(weight + i * 4), v128.load32_splat(bias + i * 4));
    const k = quantize4<R>(v, f, o, low, high, magic);
    v128.store8_lane(y + i, pack16(k, k, k, k, shift, out), 0);
  }
}

@inline
function normalRowBy(rule: i32, r: usize, q: usize, x: usize, y: usize, from: usize, to: usize, mean: v128, factor: v128): void {
  if (rule == 1) normalRow<i16>(r, q, x, y, from, to, mean, factor);
  else if (rule == 2) normalRow<i32>(r, q, x, y, from, to, mean, factor);
  else if (rule == 3) normalRow<i64>(r, q, x, y, from, to, mean, factor);
  else normalRow<i8>(r, q, x, y, from, to, mean, factor);
}

/** Layer norm of every row of record r; `first` and `second` are the rules before and from the split on. Rows are not empty. y may be x with equal strides. */
export function qlayernorm_rows(first: i32, second: i32, r: usize, x: usize, y: usize): void {
  const n = load<usize>(r, N_LENGTH);
  const flip = v128.load32_splat(r, N_FLIP);
  const offset = i16x8.splat(<i16>load<i32>(r, N_OFFSET));
  const scale = load<f32>(r, N_SCALE);
  const split = load<usize>(r, N_SPLIT);
  for (let rows = load<usize>(r, N_ROWS); rows > 0; rows--) {
    const sum = <f32>rowSum(x, n, flip, offset, false);
    const squares = <f32>rowSum(x, n, flip, offset, true);
    const mean = sum / <f32>n;
    const spread = <f64>(squares / <f32>n) - <f64>mean * <f64>mean;
    const variance = spread > 0 ? <f32>spread : 0;
    const factor = <f32>(<f64>scale / sqrt(<f64>(variance * scale * scale) + load<f64>(r, N_EPS)));
    const centre = f32x4.splat(mean - <f32>load<i32>(r, N_ZERO_POINT));
    normalRowBy(first, r, r + N_QUANTIZER, x, y, 0, split, centre, f32x4.splat(factor));
    normalRowBy(second, r, r + N_SECOND, x, y, split, n, centre, f32x4.splat(factor));
    x += load<usize>(r, N_X_STRIDE);
    y += load<usize>(r, N_Y_STRIDE);
  }
}
