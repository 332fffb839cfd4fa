// Fake quantization of lines (see shared/lines) with one scale and zero point: round to the integer grid and come back, and the
// straight-through gradient. Per-channel forms call these once a channel. The integer of v is
// f32(rne(f32(v * inverse)) + zeroPoint), as in ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp.

import { offsetAt, storeLanes } from "../shared/lines.as";

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
