// Sums behind normalizations. Channels are innermost: a line holds `pixels` dense pixels of `channels` floats
// (see shared/lines). Sums are kept in double from block to block; what is left
// per channel is arithmetic on a few numbers, which the caller does. Arrays of sums and of per-channel
// values hold `channels` rounded up to 4 entries; entries past `channels` hold nothing of use.

import { BLOCK, laneMask, offsetAt, storeLanes } from "../shared/lines.as";
import { high2, low2, madd } from "../shared/vector.as";

/** Line at which slot `i` of `slots` begins. */
@inline
function slotStart(i: usize, slots: usize, lines: usize): usize {
  return i * lines / slots;
}

/**
 * Moments of every channel over lines of `pixels` pixels. Lines are shared among `slots` slots, one after the other, and
 * [slotFrom, slotTo) are computed: threads that share slots change no bit, and the caller adds slots in order.
 *
 * A slot of `out` holds, for c4 channels (channels rounded up to 4): sums of x - pivot and of its square in f64, then in f32
 * the pivot, the smallest and the largest x, NaN left out (it shows in the sums): 28 * c4 bytes. The pivot is the slot's
 * first pixel, so squares are about as large as the variance. Within a block of pixels sums are f32, blocks are added in
 * f64; lines and pixels are taken in order. A slot without lines has sums 0, pivot 0 and an empty range.
 */
export function f32_channel_moments(
  slotFrom: usize, slotTo: usize, slots: usize, lines: usize, xLines: usize, x: usize, pixels: usize, channels: usize, out: usize,
): void {
  const bytes = channels << 2, c4 = (channels + 3) & ~3;
  for (let slot = slotFrom; slot < slotTo; slot++) {
    const sums = out + slot * 28 * c4, squares = sums + (c4 << 3), pivots = squares + (c4 << 3);
    const lows = pivots + (c4 << 2), highs = lows + (c4 << 2), begin = slotStart(slot, slots, lines), end = slotStart(slot + 1, slots, lines);
    memory.fill(sums, 0, 20 * c4);
    for (let c: usize = 0; c < c4 << 2; c += 16) {
      v128.store(lows + c, f32x4.splat(Infinity));
      v128.store(highs + c, f32x4.splat(-Infinity));
      if (begin < end && pixels > 0) v128.store(pivots + c, v128.load(x + offsetAt(xLines, begin) + c));
    }
    for (let line = begin; line < end; line++) {
      let from = x + offsetAt(xLines, line);
      for (let left = pixels; left > 0;) {
        const size = min(left, BLOCK) * bytes;
        for (let c: usize = 0; c < bytes; c += 32) {
          const d = nextVector(c, bytes), pivot0 = v128.load(pivots + c), pivot1 = v128.load(pivots + d);
          let low0 = v128.load(lows + c), low1 = v128.load(lows + d), high0 = v128.load(highs + c), high1 = v128.load(highs + d);
          let s0 = f32x4.splat(0), s1 = s0, q0 = s0, q1 = s0, p = from + c, r = from + d;
          for (const last = p + size; p < last; p += bytes) {
            let v = v128.load(p);
            low0 = f32x4.pmin(low0, v);
            high0 = f32x4.pmax(high0, v);
            v = f32x4.sub(v, pivot0);
            s0 = f32x4.add(s0, v);
            q0 = madd(v, v, q0);
            v = v128.load(r);
            low1 = f32x4.pmin(low1, v);
            high1 = f32x4.pmax(high1, v);
            v = f32x4.sub(v, pivot1);
            s1 = f32x4.add(s1, v);
            q1 = madd(v, v, q1);
            r += bytes;
          }
          v128.store(lows + c, low0);
          v128.store(highs + c, high0);
          addWide(sums + (c << 1), s0);
          addWide(squares + (c << 1), q0);
          if (d == c) continue;
          v128.store(lows + d, low1);
          v128.store(highs + d, high1);
          addWide(sums + (d << 1), s1);
          addWide(squares + (d << 1), q1);
        }
        from += size;
        left -= min(left, BLOCK);
      }
    }
  }
}

/**
 * Sums take two vectors of channels at once, whose chains of additions hide each other's latency: the vector behind that at
 * byte `c`, or, behind the last, that one once more.
 */
@inline
function nextVector(c: usize, bytes: usize): usize {
  return c + 16 < bytes ? c + 16 : c;
}

/** Adds four floats to four doubles in memory. */
@inline
function addWide(at: usize, v: v128): void {
  v128.store(at, f64x2.add(v128.load(at), low2(v)));
  v128.store(at, f64x2.add(v128.load(at, 16), high2(v)), 16);
}

/** g where lo < x * scale + shift < hi, else 0: the gradient of a clamp (and of rounding) behind an affine function. */
@inline
function gated(g: v128, x: v128, scale: v128, shift: v128, lo: v128, hi: v128): v128 {
  // Rounded twice, as the forward pass rounds.
  const y = f32x4.add(f32x4.mul(x, scale), shift);
  return v128.and(g, v128.and(f32x4.gt(y, lo), f32x4.lt(y, hi)));
}

/**
 * Sums of g and of g * (x - mean) by channel, where g is dy gated by lo < x * scale + shift < hi, in slots and blocks as in
 * f32_channel_moments: for c4 channels the sums of g, then the products, f64: 16 * c4 bytes. Vectors are f32.
 */
export function f32_channel_products(
  slotFrom: usize, slotTo: usize, slots: usize, lines: usize, dyLines: usize, xLines: usize, dy: usize, x: usize,
  pixels: usize, channels: usize, mean: usize, scale: usize, shift: usize, lo: f32, hi: f32, out: usize,
): void {
  const bytes = channels << 2, c4 = (channels + 3) & ~3, least = f32x4.splat(lo), most = f32x4.splat(hi);
  for (let slot = slotFrom; slot < slotTo; slot++) {
    const sums = out + slot * 16 * c4, products = sums + (c4 << 3);
    memory.fill(sums, 0, c4 << 4);
    for (let line = slotStart(slot, slots, lines), end = slotStart(slot + 1, slots, lines); line < end; line++) {
      let fromX = x + offsetAt(xLines, line), fromDy = dy + offsetAt(dyLines, line);
      for (let left = pixels; left > 0;) {
        const size = min(left, BLOCK) * bytes;
        for (let c: usize = 0; c < bytes; c += 32) {
          const e = nextVector(c, bytes), next = e - c, m0 = v128.load(mean + c), m1 = v128.load(mean + e);
          const k0 = v128.load(scale + c), k1 = v128.load(scale + e), b0 = v128.load(shift + c), b1 = v128.load(shift + e);
          let s0 = f32x4.splat(0), s1 = s0, t0 = s0, t1 = s0, p = fromX + c, d = fromDy + c;
          for (const last = p + size; p < last; p += bytes) {
            let v = v128.load(p), g = gated(v128.load(d), v, k0, b0, least, most);
            s0 = f32x4.add(s0, g);
            t0 = madd(g, f32x4.sub(v, m0), t0);
            v = v128.load(p + next);
            g = gated(v128.load(d + next), v, k1, b1, least, most);
            s1 = f32x4.add(s1, g);
            t1 = madd(g, f32x4.sub(v, m1), t1);
            d += bytes;
          }
          addWide(sums + (c << 1), s0);
          addWide(products + (c << 1), t0);
          if (next == 0) continue;
          addWide(sums + (e << 1), s1);
          addWide(products + (e << 1), t1);
        }
        fromX += size;
        fromDy += size;
        left -= min(left, BLOCK);
      }
    }
  }
}

/**
 * dx[p][c] = g * a[c] + ((x - mean[c]) * b[c] + k[c]), per-channel f32 values, g gated as in f32_channel_products: the
 * gradient of batch norm with a = weight / std, b = -a * mean(g * (x - mean)) / variance, k = -a * mean(g). dx may be
 * dy or x.
 */
export function f32_batch_norm_grad(
  lineStart: usize, lineEnd: usize, dyLines: usize, xLines: usize, dxLines: usize, dy: usize, x: usize, dx: usize,
  pixels: usize, channels: usize, mean: usize, a: usize, b: usize, k: usize, scale: usize, shift: usize, lo: f32, hi: f32,
): void {
  const bytes = channels << 2, least = f32x4.splat(lo), most = f32x4.splat(hi);
  for (let line = lineStart; line < lineEnd; line++) {
    let fromX = x + offsetAt(xLines, line), fromDy = dy + offsetAt(dyLines, line), to = dx + offsetAt(dxLines, line);
    for (let left = pixels; left > 0;) {
      const block = min(left, BLOCK), size = block * bytes;
      for (let c: usize = 0; c < bytes; c += 16) {
        const m = v128.load(mean + c), va = v128.load(a + c), vb = v128.load(b + c), vk = v128.load(k + c);
        const s = v128.load(scale + c), t = v128.load(shift + c), whole = c + 16 <= bytes;
        let px = fromX + c, pd = fromDy + c, py = to + c;
        for (const last = px + size; px < last; px += bytes) {
          const v = v128.load(px), g = gated(v128.load(pd), v, s, t, least, most);
          const result = madd(g, va, madd(f32x4.sub(v, m), vb, vk));
          if (whole) v128.store(py, result);
          else storeLanes(py, result, (bytes - c) >> 2);
          pd += bytes;
          py += bytes;
        }
      }
      fromX += size;
      fromDy += size;
      to += size;
      left -= block;
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
