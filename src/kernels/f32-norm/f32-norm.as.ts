// Sums behind normalizations. Channels are innermost: a line holds `pixels` dense pixels of `channels` floats
// (see shared/lines). Sums are kept in double, one pass a sum, as PyTorch's CPU batch norm does; what is left
// per channel is arithmetic on a few numbers, which the caller does. Arrays of sums and of per-channel
// values hold `channels` rounded up to 4 entries; entries past `channels` hold nothing of use.

import { laneMask, offsetAt, storeLanes } from "../shared/lines.as";

@inline
function low2(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

@inline
function high2(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1));
}

/** sums[c] += sum of x[p][c] over lines [lineStart, lineEnd): f64, lines and pixels in order. The caller clears sums. */
export function f32_channel_sums(lineStart: usize, lineEnd: usize, xLines: usize, x: usize, pixels: usize, channels: usize, sums: usize): void {
  const bytes = channels << 2;
  for (let c: usize = 0; c < bytes; c += 16) {
    const to = sums + (c << 1);
    let s0 = v128.load(to), s1 = v128.load(to, 16);
    for (let line = lineStart; line < lineEnd; line++) {
      let p = x + offsetAt(xLines, line) + c;
      for (const end = p + pixels * bytes; p < end; p += bytes) {
        const v = v128.load(p);
        s0 = f64x2.add(s0, low2(v));
        s1 = f64x2.add(s1, high2(v));
      }
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
  }
}

/** sums[c] += sum of (x[p][c] - mean[c])^2, in f64; mean and sums are f64. */
export function f32_channel_squares(
  lineStart: usize, lineEnd: usize, xLines: usize, x: usize, pixels: usize, channels: usize, mean: usize, sums: usize,
): void {
  const bytes = channels << 2;
  for (let c: usize = 0; c < bytes; c += 16) {
    const to = sums + (c << 1), m0 = v128.load(mean + (c << 1)), m1 = v128.load(mean + (c << 1), 16);
    let s0 = v128.load(to), s1 = v128.load(to, 16);
    for (let line = lineStart; line < lineEnd; line++) {
      let p = x + offsetAt(xLines, line) + c;
      for (const end = p + pixels * bytes; p < end; p += bytes) {
        const v = v128.load(p), d0 = f64x2.sub(low2(v), m0), d1 = f64x2.sub(high2(v), m1);
        s0 = f64x2.add(s0, f64x2.mul(d0, d0));
        s1 = f64x2.add(s1, f64x2.mul(d1, d1));
      }
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
  }
}

/** sums[c] += sum of dy[p][c], products[c] += sum of dy[p][c] * (x[p][c] - mean[c]); all three f64. */
export function f32_channel_products(
  lineStart: usize, lineEnd: usize, dyLines: usize, xLines: usize, dy: usize, x: usize, pixels: usize, channels: usize,
  mean: usize, sums: usize, products: usize,
): void {
  const bytes = channels << 2;
  for (let c: usize = 0; c < bytes; c += 16) {
    const at = c << 1, m0 = v128.load(mean + at), m1 = v128.load(mean + at, 16);
    let s0 = v128.load(sums + at), s1 = v128.load(sums + at, 16), t0 = v128.load(products + at), t1 = v128.load(products + at, 16);
    for (let line = lineStart; line < lineEnd; line++) {
      let p = x + offsetAt(xLines, line) + c, d = dy + offsetAt(dyLines, line) + c;
      for (const end = p + pixels * bytes; p < end; p += bytes) {
        const v = v128.load(p), g = v128.load(d), g0 = low2(g), g1 = high2(g);
        s0 = f64x2.add(s0, g0);
        s1 = f64x2.add(s1, g1);
        t0 = f64x2.add(t0, f64x2.mul(g0, f64x2.sub(low2(v), m0)));
        t1 = f64x2.add(t1, f64x2.mul(g1, f64x2.sub(high2(v), m1)));
        d += bytes;
      }
    }
    v128.store(sums + at, s0);
    v128.store(sums + at, s1, 16);
    v128.store(products + at, t0);
    v128.store(products + at, t1, 16);
  }
}

/**
 * dx[p][c] = f32(f32(dy * a[c]) + f32(f32(x - mean[c]) * b[c])) + k[c], per-channel f32 values: the gradient of batch
 * norm with a = weight / std, b = -a * mean(dy * (x - mean)) / variance, k = -a * mean(dy). dx may be dy or x.
 */
export function f32_batch_norm_grad(
  lineStart: usize, lineEnd: usize, dyLines: usize, xLines: usize, dxLines: usize, dy: usize, x: usize, dx: usize,
  pixels: usize, channels: usize, mean: usize, a: usize, b: usize, k: usize,
): void {
  const bytes = channels << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    let px = x + offsetAt(xLines, line), pd = dy + offsetAt(dyLines, line), py = dx + offsetAt(dxLines, line);
    for (let p: usize = 0; p < pixels; p++) {
      for (let c: usize = 0; c < bytes; c += 16) {
        const centered = f32x4.sub(v128.load(px + c), v128.load(mean + c));
        const sum = f32x4.add(f32x4.mul(v128.load(pd + c), v128.load(a + c)), f32x4.mul(centered, v128.load(b + c)));
        const v = f32x4.add(sum, v128.load(k + c));
        if (c + 16 <= bytes) v128.store(py + c, v);
        else storeLanes(py + c, v, (bytes - c) >> 2);
      }
      px += bytes;
      pd += bytes;
      py += bytes;
    }
  }
}

/** (s0[0] + s0[1]) + (s1[0] + s1[1]). */
@inline
function total(s0: v128, s1: v128): f64 {
  return f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1) + (f64x2.extract_lane(s1, 0) + f64x2.extract_lane(s1, 1));
}

/**
 * Normalizes each of rows [rowStart, rowEnd) of n floats: y = f32(x - mean) * f32(1 / sqrt(variance + eps)) * weight
 * + bias, each step rounded. Mean and biased variance in f64, in four partial sums by index modulo 4. weight and
 * bias are f32 [n], or 0 for none. y may be x. n >= 1. Inputs may be read 12 bytes past their ends.
 */
export function f32_layer_norm(rowStart: usize, rowEnd: usize, n: usize, x: usize, y: usize, weight: usize, bias: usize, eps: f64): void {
  const bytes = n << 2, zero = f64x2.splat(0), ones = f32x4.splat(1), count = <f64>n;
  for (let r = rowStart; r < rowEnd; r++) {
    const px = x + r * bytes, py = y + r * bytes;
    let s0 = zero, s1 = zero, i: usize = 0;
    for (; i < bytes; i += 16) {
      let v = v128.load(px + i);
      if (i + 16 > bytes) v = v128.and(v, laneMask((bytes - i) >> 2));
      s0 = f64x2.add(s0, low2(v));
      s1 = f64x2.add(s1, high2(v));
    }
    const mean = total(s0, s1) / count, m = f64x2.splat(mean);
    s0 = zero;
    s1 = zero;
    for (i = 0; i + 16 <= bytes; i += 16) {
      const v = v128.load(px + i), d0 = f64x2.sub(low2(v), m), d1 = f64x2.sub(high2(v), m);
      s0 = f64x2.add(s0, f64x2.mul(d0, d0));
      s1 = f64x2.add(s1, f64x2.mul(d1, d1));
    }
    let squares0 = f64x2.extract_lane(s0, 0), squares1 = f64x2.extract_lane(s0, 1), squares2 = f64x2.extract_lane(s1, 0);
    for (let lane = 0; i < bytes; i += 4, lane++) {
      const d = <f64>f32.load(px + i) - mean;
      if (lane == 0) squares0 += d * d;
      else if (lane == 1) squares1 += d * d;
      else squares2 += d * d;
    }
    const variance = (squares0 + squares1 + (squares2 + f64x2.extract_lane(s1, 1))) / count;
    const scale = f32x4.splat(<f32>(1.0 / Math.sqrt(variance + eps)));
    for (i = 0; i < bytes; i += 16) {
      const v = v128.load(px + i), d0 = f64x2.sub(low2(v), m), d1 = f64x2.sub(high2(v), m);
      const centered = v128.shuffle<i64>(f32x4.demote_f64x2_zero(d0), f32x4.demote_f64x2_zero(d1), 0, 2);
      const scaled = f32x4.mul(f32x4.mul(centered, scale), weight ? v128.load(weight + i) : ones);
      const result = bias ? f32x4.add(scaled, v128.load(bias + i)) : scaled;
      if (i + 16 <= bytes) v128.store(py + i, result);
      else storeLanes(py + i, result, (bytes - i) >> 2);
    }
  }
}
