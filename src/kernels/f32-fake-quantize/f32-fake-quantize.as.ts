// Fake quantization of lines (see shared/lines) with one scale and zero point: round to the integer grid and come back, and the
// straight-through gradient. Per-channel forms call these once a channel. The integer of v is
// f32(rne(f32(v * inverse)) + zeroPoint), as in ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp.

import { BLOCK, laneMask, offsetAt, storeLanes } from "../shared/lines.as";
import { clamp } from "../shared/rows.as";

/** 2^63: integers pass through 64 bits, and what does not fit goes to one end of the range. */
const INT64_LIMIT: f32 = 9223372036854775808.0;

@inline
function quantized(x: usize, inverse: v128, zeroPoint: v128): v128 {
  return f32x4.add(f32x4.nearest(f32x4.mul(v128.load(x), inverse)), zeroPoint);
}

/**
 * y[i] = (clamp(q(x[i]), low, high) - zeroPoint) * scale over lines of n floats; y may be x. NaN and -Infinity go to
 * low; q >= 2^63 goes to `huge`, which is high per tensor and low per channel.
 */
export function f32_fake_quantize(
  lineStart: usize, lineEnd: usize, xLines: usize, yLines: usize, x: usize, y: usize, n: usize, scale: f32,
  inverse: f32, zeroPoint: f32, low: f32, high: f32, huge: f32,
): void {
  const s = f32x4.splat(scale), inv = f32x4.splat(inverse), z = f32x4.splat(zeroPoint);
  const lo = f32x4.splat(low), hi = f32x4.splat(high), limit = f32x4.splat(INT64_LIMIT), other = f32x4.splat(huge);
  const bytes = n << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    const px = x + offsetAt(xLines, line), py = y + offsetAt(yLines, line);
    for (let i: usize = 0; i < bytes; i += 16) {
      const q = quantized(px + i, inv, z);
      // pmax with the value second: NaN compares false and gives lo.
      const inside = v128.bitselect(other, f32x4.pmin(f32x4.pmax(lo, q), hi), f32x4.ge(q, limit));
      const v = f32x4.mul(f32x4.sub(inside, z), s);
      if (i + 16 <= bytes) v128.store(py + i, v);
      else storeLanes(py + i, v, (bytes - i) >> 2);
    }
  }
}

/** dx[i] = low <= q(x[i]) <= high ? dy[i] : 0 over lines of n floats; dx may be dy or x. NaN gives 0. */
export function f32_fake_quantize_grad(
  lineStart: usize, lineEnd: usize, dyLines: usize, xLines: usize, dxLines: usize, dy: usize, x: usize, dx: usize, n: usize,
  inverse: f32, zeroPoint: f32, low: f32, high: f32,
): void {
  const inv = f32x4.splat(inverse), z = f32x4.splat(zeroPoint), lo = f32x4.splat(low), hi = f32x4.splat(high);
  const bytes = n << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    const pd = dy + offsetAt(dyLines, line), px = x + offsetAt(xLines, line), py = dx + offsetAt(dxLines, line);
    for (let i: usize = 0; i < bytes; i += 16) {
      const q = quantized(px + i, inv, z);
      const v = v128.and(v128.load(pd + i), v128.and(f32x4.ge(q, lo), f32x4.le(q, hi)));
      if (i + 16 <= bytes) v128.store(py + i, v);
      else storeLanes(py + i, v, (bytes - i) >> 2);
    }
  }
}

/**
 * y[p][c] = fake quantization (as f32_fake_quantize, per tensor) of clamp(x[p][c] * scale[c] + shift[c], lo, hi), over
 * lines of `pixels` dense pixels: batch norm, activation and rounding in one pass. y may be x.
 */
export function f32_channel_fake_quantize(
  lineStart: usize, lineEnd: usize, xLines: usize, yLines: usize, x: usize, y: usize, pixels: usize, channels: usize,
  scale: usize, shift: usize, lo: f32, hi: f32, step: f32, inverse: f32, zeroPoint: f32, low: f32, high: f32,
): void {
  const s = f32x4.splat(step), inv = f32x4.splat(inverse), z = f32x4.splat(zeroPoint), bytes = channels << 2;
  const least = f32x4.splat(low), most = f32x4.splat(high), lowest = f32x4.splat(lo), highest = f32x4.splat(hi);
  for (let line = lineStart; line < lineEnd; line++) {
    let from = x + offsetAt(xLines, line), to = y + offsetAt(yLines, line);
    for (let left = pixels; left > 0;) {
      const block = min(left, BLOCK), size = block * bytes;
      for (let c: usize = 0; c < bytes; c += 16) {
        const k = v128.load(scale + c), t = v128.load(shift + c), whole = c + 16 <= bytes;
        let px = from + c, py = to + c;
        for (const last = px + size; px < last; px += bytes) {
          const a = clamp(f32x4.add(f32x4.mul(v128.load(px), k), t), lowest, highest);
          const q = f32x4.add(f32x4.nearest(f32x4.mul(a, inv)), z);
          const v = f32x4.mul(f32x4.sub(f32x4.pmin(f32x4.pmax(least, q), most), z), s);
          if (whole) v128.store(py, v);
          else storeLanes(py, v, (bytes - c) >> 2);
          py += bytes;
        }
      }
      from += size;
      to += size;
      left -= block;
    }
  }
}

// Rows: dense [rows][n] with parameters of their own, as weights have one scale an output channel.

/** y[r][i] = x[r][i] * factors[r]. y may be x. */
export function f32_rows_mul(rows: usize, n: usize, x: usize, factors: usize, y: usize): void {
  const bytes = n << 2;
  for (let r: usize = 0; r < rows; r++, x += bytes, y += bytes) {
    const k = v128.load32_splat(factors + (r << 2));
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = f32x4.mul(v128.load(x + i), k);
      if (i + 16 <= bytes) v128.store(y + i, v);
      else storeLanes(y + i, v, (bytes - i) >> 2);
    }
  }
}

/** out[r] = sum of a[r][i] * b[r][i], added in f64 in order. */
export function f32_rows_dot(rows: usize, n: usize, a: usize, b: usize, out: usize): void {
  for (let r: usize = 0; r < rows; r++) {
    let sum: f64 = 0;
    for (const end = a + (n << 2); a < end; a += 4, b += 4) sum += <f64>(f32.load(a) * f32.load(b));
    f32.store(out + (r << 2), <f32>sum);
  }
}

/**
 * f32_fake_quantize of each row; params[r] = (scale, inverse, zero point) in f32. What overflows 64 bits goes to low, as per
 * channel.
 */
export function f32_rows_fake_quantize(rows: usize, n: usize, x: usize, y: usize, params: usize, low: f32, high: f32): void {
  const lo = f32x4.splat(low), hi = f32x4.splat(high), limit = f32x4.splat(INT64_LIMIT), bytes = n << 2;
  for (let r: usize = 0; r < rows; r++, x += bytes, y += bytes, params += 12) {
    const s = v128.load32_splat(params), inv = v128.load32_splat(params, 4), z = v128.load32_splat(params, 8);
    for (let i: usize = 0; i < bytes; i += 16) {
      const q = quantized(x + i, inv, z);
      const v = f32x4.mul(f32x4.sub(v128.bitselect(lo, f32x4.pmin(f32x4.pmax(lo, q), hi), f32x4.ge(q, limit)), z), s);
      if (i + 16 <= bytes) v128.store(y + i, v);
      else storeLanes(y + i, v, (bytes - i) >> 2);
    }
  }
}

/** f32_fake_quantize_grad of each row, with the parameters of f32_rows_fake_quantize. */
export function f32_rows_fake_quantize_grad(rows: usize, n: usize, dy: usize, x: usize, dx: usize, params: usize, low: f32, high: f32): void {
  const lo = f32x4.splat(low), hi = f32x4.splat(high), bytes = n << 2;
  for (let r: usize = 0; r < rows; r++, dy += bytes, x += bytes, dx += bytes, params += 12) {
    const inv = v128.load32_splat(params, 4), z = v128.load32_splat(params, 8);
    for (let i: usize = 0; i < bytes; i += 16) {
      const q = quantized(x + i, inv, z), v = v128.and(v128.load(dy + i), v128.and(f32x4.ge(q, lo), f32x4.le(q, hi)));
      if (i + 16 <= bytes) v128.store(dx + i, v);
      else storeLanes(dx + i, v, (bytes - i) >> 2);
    }
  }
}

/** out[r] = (smallest, largest) of x[r], both NaN when there is one. n >= 1. */
export function f32_rows_min_max(rows: usize, n: usize, x: usize, out: usize): void {
  const bytes = n << 2;
  for (let r: usize = 0; r < rows; r++, x += bytes) {
    let low = v128.load32_splat(x), high = low, ordered = i32x4.splat(-1);
    for (let i: usize = 0; i < bytes; i += 16) {
      let v = v128.load(x + i);
      if (i + 16 > bytes) v = v128.bitselect(v, v128.load32_splat(x), laneMask((bytes - i) >> 2));
      low = f32x4.pmin(low, v);
      high = f32x4.pmax(high, v);
      ordered = v128.and(ordered, f32x4.eq(v, v));
    }
    low = f32x4.pmin(low, v128.shuffle<f32>(low, low, 2, 3, 0, 1));
    high = f32x4.pmax(high, v128.shuffle<f32>(high, high, 2, 3, 0, 1));
    const clean = i32x4.all_true(ordered);
    f32.store(out + (r << 3), clean ? min(f32x4.extract_lane(low, 0), f32x4.extract_lane(low, 1)) : NaN);
    f32.store(out + (r << 3), clean ? max(f32x4.extract_lane(high, 0), f32x4.extract_lane(high, 1)) : NaN, 4);
  }
}
