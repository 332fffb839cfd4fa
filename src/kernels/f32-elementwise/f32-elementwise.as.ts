// Clamps, their gradient, and scale and shift by channel, over lines (see shared/lines). All may run in place: y may be an operand, with
// the same table. Every operation rounds once, in both builds, so results are the same everywhere.
// Lines may be empty. Up to 12 bytes past a line are read, never written.

import { clamp } from "../shared/rows.as";
import { BLOCK, offsetAt, storeLanes } from "../shared/lines.as";

/** y = clamp(x, lo, hi) over lines of n floats: relu, relu6, hardtanh, clamp, copy. NaN stays NaN. */
export function f32_clamp(
  lineStart: usize, lineEnd: usize, xLines: usize, yLines: usize, x: usize, y: usize, n: usize, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi), bytes = n << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    const px = x + offsetAt(xLines, line), py = y + offsetAt(yLines, line);
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) v128.store(py + i, clamp(v128.load(px + i), low, high));
    if (i < bytes) storeLanes(py + i, clamp(v128.load(px + i), low, high), (bytes - i) >> 2);
  }
}

/**
 * dx = lo < x and x < hi ? dy : 0 over lines of n floats: the gradient of relu (0, Infinity), relu6 and hardtanh.
 * x may be the operator's input or its output.
 */
export function f32_clamp_grad(
  lineStart: usize, lineEnd: usize, dyLines: usize, xLines: usize, dxLines: usize, dy: usize, x: usize, dx: usize, n: usize,
  lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi), bytes = n << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    const pd = dy + offsetAt(dyLines, line), px = x + offsetAt(xLines, line), py = dx + offsetAt(dxLines, line);
    let i: usize = 0;
    for (; i < bytes; i += 16) {
      const v = v128.load(px + i);
      const kept = v128.and(v128.load(pd + i), v128.and(f32x4.gt(v, low), f32x4.lt(v, high)));
      if (i + 16 <= bytes) v128.store(py + i, kept);
      else storeLanes(py + i, kept, (bytes - i) >> 2);
    }
  }
}

/** dx = lo < x and x < hi ? a + b : 0: the same of a gradient that two readers of the activation gave. */
export function f32_clamp_grad_sum(
  lineStart: usize, lineEnd: usize, aLines: usize, bLines: usize, xLines: usize, dxLines: usize, a: usize, b: usize, x: usize, dx: usize,
  n: usize, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi), bytes = n << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    const pa = a + offsetAt(aLines, line), pb = b + offsetAt(bLines, line), px = x + offsetAt(xLines, line), py = dx + offsetAt(dxLines, line);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = v128.load(px + i), sum = f32x4.add(v128.load(pa + i), v128.load(pb + i));
      const kept = v128.and(sum, v128.and(f32x4.gt(v, low), f32x4.lt(v, high)));
      if (i + 16 <= bytes) v128.store(py + i, kept);
      else storeLanes(py + i, kept, (bytes - i) >> 2);
    }
  }
}

/**
 * y[p][c] = clamp(x[p][c] * scale[c] + shift[c], lo, hi) over lines of `pixels` dense pixels of `channels` floats:
 * batch norm at inference, bias, and the normalizing half of batch norm in training.
 */
export function f32_channel_affine(
  lineStart: usize, lineEnd: usize, xLines: usize, yLines: usize, x: usize, y: usize, pixels: usize, channels: usize,
  scale: usize, shift: usize, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi), bytes = channels << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    let from = x + offsetAt(xLines, line), to = y + offsetAt(yLines, line);
    for (let left = pixels; left > 0;) {
      const block = min(left, BLOCK), size = block * bytes;
      for (let c: usize = 0; c < bytes; c += 16) {
        const s = v128.load(scale + c), t = v128.load(shift + c), whole = c + 16 <= bytes;
        let px = from + c, py = to + c;
        for (const last = px + size; px < last; px += bytes) {
          const v = clamp(f32x4.add(f32x4.mul(v128.load(px), s), t), low, high);
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

/** y[p][c] = clamp(x[p][c] * scale[c] + shift[c] + r[p][c], lo, hi): the same with a residual added. */
export function f32_channel_affine_add(
  lineStart: usize, lineEnd: usize, xLines: usize, rLines: usize, yLines: usize, x: usize, r: usize, y: usize, pixels: usize, channels: usize,
  scale: usize, shift: usize, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi), bytes = channels << 2;
  for (let line = lineStart; line < lineEnd; line++) {
    let from = x + offsetAt(xLines, line), residual = r + offsetAt(rLines, line), to = y + offsetAt(yLines, line);
    for (let left = pixels; left > 0;) {
      const block = min(left, BLOCK), size = block * bytes;
      for (let c: usize = 0; c < bytes; c += 16) {
        const s = v128.load(scale + c), t = v128.load(shift + c), whole = c + 16 <= bytes;
        let px = from + c, pr = residual + c, py = to + c;
        for (const last = px + size; px < last; px += bytes) {
          const v = clamp(f32x4.add(f32x4.add(f32x4.mul(v128.load(px), s), t), v128.load(pr)), low, high);
          if (whole) v128.store(py, v);
          else storeLanes(py, v, (bytes - c) >> 2);
          pr += bytes;
          py += bytes;
        }
      }
      from += size;
      residual += size;
      to += size;
      left -= block;
    }
  }
}
