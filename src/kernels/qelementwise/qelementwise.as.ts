// Pairs of byte tensors: sums through f32 (dequantize, add, quantize by a rule of rules.ts), products
// through exact integers, and clamps of bytes. Rows are strided so that images with borders are written
// in place of their interior only. The last lanes of a row go through the same vector code.
import {
  ADD_THEN_ROUND,
  ADD_THEN_ROUND_TWICE,
  D_BYTES,
  D_FLIP,
  D_SUBTRACT,
  DIVIDE_THEN_ROUND,
  Q_BOUNDED,
  Q_FACTOR,
  Q_FLIP,
  Q_HIGH,
  Q_HIGH_BYTES,
  Q_LOW,
  Q_LOW_BYTES,
  Q_MAGIC_SHIFT,
  Q_SHIFT,
} from "../quantize/layout";
import {
  addendOf,
  dequantize4,
  factorOf,
  fusesHere,
  isFused,
  lanes0,
  MAGIC,
  offsetOf,
  pack16,
  packBounded16,
  quantize4,
  quantizeBounded4,
  scaleOf,
} from "../shared/quantize-lanes.as";

/** Sums of four pairs of integers. */
@inline
function sum4<F>(a: v128, b: v128, sa: v128, oa: v128, sb: v128, ob: v128): v128 {
  return f32x4.add(dequantize4<F>(a, sa, oa), dequantize4<F>(b, sb, ob));
}

/** One row of sums; records: dequantizer of a, of b, quantizer. B is i8 when the sums are bounded, else i16. */
// prettier-ignore
function addRow<R, F, B>(n: usize, a: usize, b: usize, y: usize, records: usize): void {
  const da = records, db = records + D_BYTES, q = records + 2 * D_BYTES;
  const sa = scaleOf<F>(da), sb = scaleOf<F>(db), oa = addendOf<F>(da), ob = addendOf<F>(db);
  const za = v128.load16_splat(da, D_SUBTRACT), zb = v128.load16_splat(db, D_SUBTRACT);
  const fa = v128.load32_splat(da, D_FLIP), fb = v128.load32_splat(db, D_FLIP);
  const factor = factorOf<R>(q), offset = offsetOf<R>(q), flip = v128.load32_splat(q, Q_FLIP), magic = f32x4.splat(MAGIC);
  const low = v128.load32_splat(q, sizeof<B>() == 1 ? Q_LOW_BYTES : Q_LOW), high = v128.load32_splat(q, sizeof<B>() == 1 ? Q_HIGH_BYTES : Q_HIGH);
  const shift = sizeof<B>() == 1 ? v128.load32_splat(q, Q_MAGIC_SHIFT) : v128.load16_splat(q, Q_SHIFT);
  const end = y + n;
  for (; y + 16 <= end; y += 16) {
    const u = v128.xor(v128.load(a), fa), v = v128.xor(v128.load(b), fb);
    const ul = i16x8.sub(i16x8.extend_low_i8x16_u(u), za), uh = i16x8.sub(i16x8.extend_high_i8x16_u(u), za);
    const vl = i16x8.sub(i16x8.extend_low_i8x16_u(v), zb), vh = i16x8.sub(i16x8.extend_high_i8x16_u(v), zb);
    const s0 = sum4<F>(i32x4.extend_low_i16x8_s(ul), i32x4.extend_low_i16x8_s(vl), sa, oa, sb, ob);
    const s1 = sum4<F>(i32x4.extend_high_i16x8_s(ul), i32x4.extend_high_i16x8_s(vl), sa, oa, sb, ob);
    const s2 = sum4<F>(i32x4.extend_low_i16x8_s(uh), i32x4.extend_low_i16x8_s(vh), sa, oa, sb, ob);
    const s3 = sum4<F>(i32x4.extend_high_i16x8_s(uh), i32x4.extend_high_i16x8_s(vh), sa, oa, sb, ob);
    v128.store(y, bytes16<R, B>(s0, s1, s2, s3, factor, offset, low, high, shift, flip, magic));
    a += 16; b += 16;
  }
  for (; y < end; y++) {
    const u = v128.xor(v128.load8_splat(a), fa), v = v128.xor(v128.load8_splat(b), fb);
    const s = sum4<F>(lanes0(u, za), lanes0(v, zb), sa, oa, sb, ob);
    v128.store8_lane(y, bytes16<R, B>(s, s, s, s, factor, offset, low, high, shift, flip, magic), 0);
    a++; b++;
  }
}

/** Stored bytes of sixteen reals. */
// prettier-ignore
@inline
function bytes16<R, B>(s0: v128, s1: v128, s2: v128, s3: v128, factor: v128, offset: v128, low: v128, high: v128, shift: v128, flip: v128, magic: v128): v128 {
  if (sizeof<B>() == 1) {
    const a = quantizeBounded4<R>(s0, factor, offset, magic, shift), b = quantizeBounded4<R>(s1, factor, offset, magic, shift);
    const c = quantizeBounded4<R>(s2, factor, offset, magic, shift), d = quantizeBounded4<R>(s3, factor, offset, magic, shift);
    return packBounded16(a, b, c, d, low, high, flip);
  }
  const a = quantize4<R>(s0, factor, offset, low, high, magic), b = quantize4<R>(s1, factor, offset, low, high, magic);
  const c = quantize4<R>(s2, factor, offset, low, high, magic), d = quantize4<R>(s3, factor, offset, low, high, magic);
  return pack16(a, b, c, d, shift, flip);
}

/** Sums that are not bounded are so rare that they have no form of their own for machines that fuse. */
@inline
function addRowBy<R>(n: usize, a: usize, b: usize, y: usize, records: usize): void {
  const fused = isFused(records);
  if (load<i32>(records + 2 * D_BYTES, Q_BOUNDED) == 0) {
    if (fused) addRow<R, i16, i16>(n, a, b, y, records);
    else addRow<R, i8, i16>(n, a, b, y, records);
  } else if (!fused) {
    addRow<R, i8, i8>(n, a, b, y, records);
  } else if (fusesHere(records)) {
    addRow<R, i32, i8>(n, a, b, y, records);
  } else {
    addRow<R, i16, i8>(n, a, b, y, records);
  }
}

/**
 * y = quantize(dequantize(a) + dequantize(b)), rows of n bytes. Records: dequantizers of a and b (both fused or
 * neither), then the quantizer. A relu is a raised low clamp. y may be a or b with equal strides.
 */
export function qadd_rows(rule: i32, rows: usize, n: usize, a: usize, aStride: usize, b: usize, bStride: usize, y: usize, yStride: usize, records: usize): void {
  if (aStride == n && bStride == n && yStride == n) {
    n *= rows;
    rows = n > 0 ? 1 : 0;
  }
  for (; rows > 0; rows--) {
    if (rule == ADD_THEN_ROUND) addRowBy<i16>(n, a, b, y, records);
    else if (rule == ADD_THEN_ROUND_TWICE) addRowBy<i32>(n, a, b, y, records);
    else if (rule == DIVIDE_THEN_ROUND) addRowBy<i64>(n, a, b, y, records);
    else addRowBy<i8>(n, a, b, y, records);
    a += aStride;
    b += bStride;
    y += yStride;
  }
}

/** rne(clamp(f32(f32(p) * multiplier))) of products of centred integers. */
@inline
function product4(p: v128, factor: v128, low: v128, high: v128, magic: v128): v128 {
  return quantize4<i8>(f32x4.convert_i32x4_s(p), factor, factor, low, high, magic);
}

/**
 * y = rne(f32(f32((a - za) * (b - zb)) * multiplier)) + zo, rows of n bytes. Records as qadd_rows, of which the
 * scales are not read; the quantizer's factor is the multiplier. y may be a or b with equal strides.
 */
// prettier-ignore
export function qmul_rows(rows: usize, n: usize, a: usize, aStride: usize, b: usize, bStride: usize, y: usize, yStride: usize, records: usize): void {
  const da = records, db = records + D_BYTES, q = records + 2 * D_BYTES;
  const za = v128.load16_splat(da, D_SUBTRACT), zb = v128.load16_splat(db, D_SUBTRACT);
  const fa = v128.load32_splat(da, D_FLIP), fb = v128.load32_splat(db, D_FLIP), f = v128.load32_splat(q, Q_FACTOR);
  const low = v128.load32_splat(q, Q_LOW), high = v128.load32_splat(q, Q_HIGH);
  const shift = v128.load16_splat(q, Q_SHIFT), flip = v128.load32_splat(q, Q_FLIP), magic = f32x4.splat(MAGIC);
  for (; rows > 0; rows--) {
    let i: usize = 0;
    for (; i + 16 <= n; i += 16) {
      const u = v128.xor(v128.load(a + i), fa), v = v128.xor(v128.load(b + i), fb);
      const ul = i16x8.sub(i16x8.extend_low_i8x16_u(u), za), uh = i16x8.sub(i16x8.extend_high_i8x16_u(u), za);
      const vl = i16x8.sub(i16x8.extend_low_i8x16_u(v), zb), vh = i16x8.sub(i16x8.extend_high_i8x16_u(v), zb);
      const r0 = product4(i32x4.extmul_low_i16x8_s(ul, vl), f, low, high, magic), r1 = product4(i32x4.extmul_high_i16x8_s(ul, vl), f, low, high, magic);
      const r2 = product4(i32x4.extmul_low_i16x8_s(uh, vh), f, low, high, magic), r3 = product4(i32x4.extmul_high_i16x8_s(uh, vh), f, low, high, magic);
      v128.store(y + i, pack16(r0, r1, r2, r3, shift, flip));
    }
    for (; i < n; i++) {
      const u = i16x8.sub(i16x8.extend_low_i8x16_u(v128.xor(v128.load8_splat(a + i), fa)), za);
      const v = i16x8.sub(i16x8.extend_low_i8x16_u(v128.xor(v128.load8_splat(b + i), fb)), zb);
      const r = product4(i32x4.extmul_low_i16x8_s(u, v), f, low, high, magic);
      v128.store8_lane(y + i, pack16(r, r, r, r, shift, flip), 0);
    }
    a += aStride; b += bStride; y += yStride;
  }
}

/**
 * y = min(max(x, low), high) of the unsigned forms, rows of n bytes; low and high are unsigned forms, flip is 0
 * or 0x80. relu is low = zero point. y may be x with equal strides.
 */
export function qclamp_rows(rows: usize, n: usize, x: usize, xStride: usize, y: usize, yStride: usize, low: i32, high: i32, flip: i32): void {
  const least = i8x16.splat(<i8>low);
  const most = i8x16.splat(<i8>high);
  const mask = i8x16.splat(<i8>flip);
  for (; rows > 0; rows--) {
    let i: usize = 0;
    for (; i + 16 <= n; i += 16) {
      const u = v128.xor(v128.load(x + i), mask);
      v128.store(y + i, v128.xor(i8x16.min_u(i8x16.max_u(u, least), most), mask));
    }
    for (; i < n; i++) {
      const u = v128.xor(v128.load8_splat(x + i), mask);
      v128.store8_lane(y + i, v128.xor(i8x16.min_u(i8x16.max_u(u, least), most), mask), 0);
    }
    x += xStride;
    y += yStride;
  }
}

/** y = x with the top bit of every byte flipped: between dtypes' own bytes and stored bytes. y may be x with equal strides. */
export function qflip_rows(rows: usize, n: usize, x: usize, xStride: usize, y: usize, yStride: usize): void {
  const mask = i8x16.splat(-128);
  for (; rows > 0; rows--) {
    let i: usize = 0;
    for (; i + 16 <= n; i += 16) v128.store(y + i, v128.xor(v128.load(x + i), mask));
    for (; i < n; i++) store<u8>(y + i, load<u8>(x + i) ^ 128);
    x += xStride;
    y += yStride;
  }
}
