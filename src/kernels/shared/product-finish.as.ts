// Outputs that need more than the tile's own epilogue: it leaves the accumulators of a block of tiles, one panel, in
// scratch memory, which is in L1, and this makes results of them with its constants in registers. Sums with another tensor
// of bytes, a residual, in the order of the operators they replace: the layer's result as a real, or first as bytes that
// are dequantized again (SUM_THROUGH), plus the other's real, requantized. Reals in two roundings, f32(f32(acc) *
// multiplier) + bias. Bytes with a wide bias. And, row by row, everything that is rare: unbounded results, partial panels,
// raw accumulators. F says how bytes become reals, see quantize-lanes.as.ts.
import { bytes16, limited16, MAGIC, storeBytes, storeLanes8, storeRow, wide16, wideSum4 } from "./product-epilogue.as";
import {
  addendOf,
  dequantize4,
  factorOf,
  fusesHere,
  quantizeBounded4,
  real4,
  scaleOf,
  splat,
} from "./quantize-lanes.as";
import { D_FLIP, D_SUBTRACT, Q_FLIP, Q_HIGH_BYTES, Q_LOW_BYTES, Q_MAGIC_SHIFT } from "../quantize/layout";
import {
  BOUNDED,
  FLIP,
  HAS_BIAS,
  HIGH_BYTES,
  LOW_BYTES,
  OUT,
  OUT_BYTES,
  OUT_F32_TWICE,
  OUT_SUM,
  PIX_OTHER,
  PIX_OUT,
  POST_BIAS,
  POST_MULTIPLIER,
  POST_WIDE_BIAS,
  SUM,
  SUM_ADDEND,
  SUM_HIGH,
  SUM_LOW,
  SUM_OTHER,
  SUM_OUTPUT,
  SUM_SCALE,
  SUM_THROUGH,
  SUM_ZERO,
  WIDE_BIAS,
} from "../qgemm/layout";

/** Four results of the layer as reals; T is i8 for reals at once, i16 through bytes. B: i8 when there is no bias, else i16. */
// prettier-ignore
@inline
function layer4<T, F, B>(acc: v128, bias: v128, multiplier: v128, wide: usize, magic: v128, zero: v128, low: v128, high: v128, scale: v128, addend: v128): v128 {
  const real = f32x4.convert_i32x4_s(acc);
  if (sizeof<T>() == 1) return f32x4.add(f32x4.mul(real, multiplier), bias);
  const biased = sizeof<B>() == 1 ? real : wide == 0 ? f32x4.add(real, bias) : wideSum4(acc, wide);
  const q = f32x4.sub(f32x4.add(f32x4.mul(biased, multiplier), magic), zero);
  return real4<F>(f32x4.pmin(high, f32x4.pmax(low, q)), scale, addend);
}

/** Eight integers of the other operand, of their stored bytes as i16. */
@inline
function integers8(u: v128, flip: v128, subtract: v128): v128 {
  return i16x8.sub(v128.xor(u, flip), subtract);
}

/** Tiles first <= t < last of one panel, n channels. r is the panel's first channel in the other operand. */
// prettier-ignore
function sumPanel<T, F, B>(d: usize, post: usize, acc: usize, y: usize, r: usize, first: usize, last: usize, n: i32): void {
  const sum = load<usize>(d, SUM), other = sum + SUM_OTHER, q = sum + SUM_OUTPUT;
  const b0 = v128.load(post, POST_BIAS), b1 = v128.load(post, POST_BIAS + 16);
  const f0 = v128.load(post, POST_MULTIPLIER), f1 = v128.load(post, POST_MULTIPLIER + 16);
  const wide0 = load<i32>(d, WIDE_BIAS) != 0 ? post + POST_WIDE_BIAS : 0, wide1 = wide0 == 0 ? 0 : wide0 + 32;
  const magic = f32x4.splat(MAGIC), zero = v128.load32_splat(sum, SUM_ZERO);
  const least = v128.load32_splat(sum, SUM_LOW), most = v128.load32_splat(sum, SUM_HIGH);
  const scale = splat(sizeof<F>() == 2, sum + SUM_SCALE), addend = splat(sizeof<F>() == 2, sum + SUM_ADDEND);
  const so = scaleOf<F>(other), ao = addendOf<F>(other), zo = v128.load16_splat(other, D_SUBTRACT);
  const fo = i16x8.splat(<i16>(load<i32>(other, D_FLIP) & 255)), isShifted = load<i32>(other, D_SUBTRACT) != 0 || load<i32>(other, D_FLIP) != 0;
  const factor = factorOf<i8>(q), shift = v128.load32_splat(q, Q_MAGIC_SHIFT), flip = v128.load32_splat(q, Q_FLIP);
  const low = v128.load32_splat(q, Q_LOW_BYTES), high = v128.load32_splat(q, Q_HIGH_BYTES);
  // Eight bytes that are stored as they are. (What the loops branch on is put in blocks of two assignments or more, else the
  // compiler computes both sides.)
  const isWhole = n == 8 && load<u32>(q, Q_LOW_BYTES) == 0 && load<u32>(q, Q_HIGH_BYTES) == 0xffffffff && load<u32>(q, Q_FLIP) == 0;
  let po = load<usize>(d, PIX_OUT) + first * 24, pr = load<usize>(d, PIX_OTHER) + first * 24;
  for (const end = po + (last - first) * 24; po < end; po += 8) {
    let o = v128.load8x8_u(r + load<i32>(pr)), p = v128.load8x8_u(r + load<i32>(pr, 4));
    if (isShifted) { o = integers8(o, fo, zo); p = integers8(p, fo, zo); }
    let v = f32x4.add(layer4<T, F, B>(v128.load(acc), b0, f0, wide0, magic, zero, least, most, scale, addend), dequantize4<F>(i32x4.extend_low_i16x8_s(o), so, ao));
    const s0 = quantizeBounded4<i8>(v, factor, factor, magic, shift);
    v = f32x4.add(layer4<T, F, B>(v128.load(acc, 16), b1, f1, wide1, magic, zero, least, most, scale, addend), dequantize4<F>(i32x4.extend_high_i16x8_s(o), so, ao));
    const s1 = quantizeBounded4<i8>(v, factor, factor, magic, shift);
    v = f32x4.add(layer4<T, F, B>(v128.load(acc, 32), b0, f0, wide0, magic, zero, least, most, scale, addend), dequantize4<F>(i32x4.extend_low_i16x8_s(p), so, ao));
    const s2 = quantizeBounded4<i8>(v, factor, factor, magic, shift);
    v = f32x4.add(layer4<T, F, B>(v128.load(acc, 48), b1, f1, wide1, magic, zero, least, most, scale, addend), dequantize4<F>(i32x4.extend_high_i16x8_s(p), so, ao));
    const s3 = quantizeBounded4<i8>(v, factor, factor, magic, shift);
    let bytes = bytes16(s0, s1, s2, s3);
    if (isWhole) {
      v128.store64_lane(y + load<i32>(po), bytes, 0);
      v128.store64_lane(y + load<i32>(po, 4), bytes, 1);
    } else {
      bytes = limited16(bytes, low, high, flip);
      storeBytes(y + load<i32>(po), bytes, n);
      storeBytes(y + load<i32>(po, 4), i64x2.shuffle(bytes, bytes, 1, 1), n);
    }
    acc += 64;
    pr += 8;
  }
}

/** The same for reals in two roundings. */
function realPanel(d: usize, post: usize, acc: usize, y: usize, first: usize, last: usize, n: i32): void {
  const b0 = v128.load(post, POST_BIAS);
  const b1 = v128.load(post, POST_BIAS + 16);
  const f0 = v128.load(post, POST_MULTIPLIER);
  const f1 = v128.load(post, POST_MULTIPLIER + 16);
  let po = load<usize>(d, PIX_OUT) + first * 24;
  for (const end = po + (last - first) * 24; po < end; po += 4) {
    const low = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(acc)), f0), b0);
    const high = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(acc, 16)), f1), b1);
    storeLanes8(y + load<i32>(po), low, high, n);
    acc += 32;
  }
}

/** Bounded bytes of a full panel whose bias is wide. */
function widePanel(d: usize, post: usize, acc: usize, y: usize, first: usize, last: usize): void {
  const low = v128.load32_splat(d, LOW_BYTES);
  const high = v128.load32_splat(d, HIGH_BYTES);
  const flip = v128.load32_splat(d, FLIP);
  let po = load<usize>(d, PIX_OUT) + first * 24;
  for (const end = po + (last - first) * 24; po < end; po += 8) {
    const two = wide16(d, post, v128.load(acc), v128.load(acc, 16), v128.load(acc, 32), v128.load(acc, 48));
    const bytes = limited16(two, low, high, flip);
    v128.store64_lane(y + load<i32>(po), bytes, 0);
    v128.store64_lane(y + load<i32>(po, 4), bytes, 1);
    acc += 64;
  }
}

/** Any output, row by row. */
function rowsPanel(d: usize, post: usize, acc: usize, y: usize, first: usize, last: usize, n: i32): void {
  let po = load<usize>(d, PIX_OUT) + first * 24;
  for (const end = po + (last - first) * 24; po < end; po += 4) {
    storeRow(d, post, y + load<i32>(po), v128.load(acc), v128.load(acc, 16), n);
    acc += 32;
  }
}

function finish(d: usize, post: usize, acc: usize, y: usize, r: usize, first: usize, last: usize, n: i32): void {
  const out = load<i32>(d, OUT);
  if (out == OUT_F32_TWICE) return realPanel(d, post, acc, y, first, last, n);
  if (out != OUT_SUM) {
    if (out == OUT_BYTES && load<i32>(d, BOUNDED) != 0 && n == 8) return widePanel(d, post, acc, y, first, last);
    return rowsPanel(d, post, acc, y, first, last, n);
  }
  const sum = load<usize>(d, SUM);
  if (load<i32>(sum, SUM_THROUGH) == 0) return sumPanel<i8, i8, i16>(d, post, acc, y, r, first, last, n);
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (fusesHere(sum + SUM_OTHER)) {
      if (load<i32>(d, HAS_BIAS)) return sumPanel<i16, i32, i16>(d, post, acc, y, r, first, last, n);
      return sumPanel<i16, i32, i8>(d, post, acc, y, r, first, last, n);
    }
  }
  sumPanel<i16, i16, i16>(d, post, acc, y, r, first, last, n);
}

/** Results of one panel from the accumulators at acc, [tile][6 pixels][8 channels]. A call, not inlined. */
@inline
export function finishPanel(d: usize, post: usize, acc: usize, y: usize, r: usize, first: usize, last: usize, n: i32): void {
  finish(d, post, acc, y, r, first, last, n);
}
