// Max and average pools over NHWC, and their gradients. Windows are clipped to the image, so borders need no
// particular value. A line is one row of outputs of one image; lines may be shared among threads for the
// forwards. Strides in bytes; channels are dense inside a pixel.

import { storeLanes } from "../shared/lines.as";

/** Where v wins over m: larger, or NaN, so that the first of equals and any NaN stays. */
@inline
function larger(m: v128, v: v128): v128 {
  return v128.bitselect(v, m, v128.or(f32x4.gt(v, m), f32x4.ne(v, v)));
}

/**
 * y[n][i][j][c] = max of x over the window of (i, j), for output rows [rowStart, rowEnd) of a batch with outH rows
 * an image. A window wholly outside the image gives -Infinity. NaN wins.
 */
export function f32_max_pool(
  rowStart: usize, rowEnd: usize, outH: usize, outW: usize, x: usize, xImage: usize, xRow: usize, h: isize, w: isize,
  channels: usize, kh: isize, kw: isize, strideH: isize, strideW: isize, padH: isize, padW: isize, dilationH: isize, dilationW: isize,
  y: usize, yImage: usize, yRow: usize,
): void {
  const bytes = channels << 2;
  for (let r = rowStart; r < rowEnd; r++) {
    const image = x + (r / outH) * xImage, top = <isize>(r % outH) * strideH - padH;
    let to = y + (r / outH) * yImage + (r % outH) * yRow;
    for (let j: usize = 0; j < outW; j++) {
      const left = <isize>j * strideW - padW;
      for (let c: usize = 0; c < bytes; c += 16) {
        let m = f32x4.splat(-Infinity);
        for (let ky: isize = 0, iy = top; ky < kh; ky++, iy += dilationH) {
          if (<usize>iy >= <usize>h) continue;
          for (let kx: isize = 0, ix = left; kx < kw; kx++, ix += dilationW) {
            if (<usize>ix < <usize>w) m = larger(m, v128.load(image + <usize>iy * xRow + <usize>ix * bytes + c));
          }
        }
        if (c + 16 <= bytes) v128.store(to + c, m);
        else storeLanes(to + c, m, (bytes - c) >> 2);
      }
      to += bytes;
    }
  }
}

/**
 * Adds dy[n][i][j][c] to dx at the position of the window's maximum (the first one in rows, or the last NaN), for all
 * `rows` output rows in order. dx has the strides of x; the caller clears it.
 */
export function f32_max_pool_grad(
  rows: usize, outH: usize, outW: usize, x: usize, dx: usize, xImage: usize, xRow: usize, h: isize, w: isize,
  channels: usize, kh: isize, kw: isize, strideH: isize, strideW: isize, padH: isize, padW: isize, dilationH: isize, dilationW: isize,
  dy: usize, dyImage: usize, dyRow: usize,
): void {
  const bytes = channels << 2;
  for (let r: usize = 0; r < rows; r++) {
    const image = (r / outH) * xImage, top = <isize>(r % outH) * strideH - padH;
    let from = dy + (r / outH) * dyImage + (r % outH) * dyRow;
    for (let j: usize = 0; j < outW; j++) {
      const left = <isize>j * strideW - padW;
      for (let c: usize = 0; c < bytes; c += 4) {
        let best: f32 = -Infinity, place: usize = ~0;
        for (let ky: isize = 0, iy = top; ky < kh; ky++, iy += dilationH) {
          if (<usize>iy >= <usize>h) continue;
          for (let kx: isize = 0, ix = left; kx < kw; kx++, ix += dilationW) {
            if (<usize>ix >= <usize>w) continue;
            const at = image + <usize>iy * xRow + <usize>ix * bytes + c;
            const v = f32.load(x + at);
            if (v > best || v != v || place == ~0) {
              best = v;
              place = at;
            }
          }
        }
        if (place != ~0) f32.store(dx + place, f32.load(dx + place) + f32.load(from + c));
      }
      from += bytes;
    }
  }
}

/** Length of the window from `from`, cut to [0, size). */
@inline
function inside(from: isize, kernel: isize, size: isize): isize {
  return max<isize>(0, min(from + kernel, size) - max<isize>(from, 0));
}

/** What the sum of a window is divided by: `divisor` when not 0, else its elements, padding included or not. */
@inline
function divisorOf(top: isize, left: isize, h: isize, w: isize, kh: isize, kw: isize, padH: isize, padW: isize, includePad: i32, divisor: i32): f32 {
  if (divisor) return <f32>divisor;
  if (includePad) return <f32>((min(top + kh, h + padH) - top) * (min(left + kw, w + padW) - left));
  return <f32>(inside(top, kh, h) * inside(left, kw, w));
}

/**
 * y[n][i][j][c] = sum of x over the window / divisor, rows as in f32_max_pool; sums run over the window in order.
 * divisor = 0 divides by the window's elements, with includePad != 0 counting its padding.
 */
export function f32_avg_pool(
  rowStart: usize, rowEnd: usize, outH: usize, outW: usize, x: usize, xImage: usize, xRow: usize, h: isize, w: isize,
  channels: usize, kh: isize, kw: isize, strideH: isize, strideW: isize, padH: isize, padW: isize, includePad: i32, divisor: i32,
  y: usize, yImage: usize, yRow: usize,
): void {
  const bytes = channels << 2;
  for (let r = rowStart; r < rowEnd; r++) {
    const image = x + (r / outH) * xImage, top = <isize>(r % outH) * strideH - padH;
    const y0 = max<isize>(top, 0), y1 = min(top + kh, h);
    let to = y + (r / outH) * yImage + (r % outH) * yRow;
    for (let j: usize = 0; j < outW; j++) {
      const left = <isize>j * strideW - padW, x0 = max<isize>(left, 0), x1 = min(left + kw, w);
      const count = f32x4.splat(divisorOf(top, left, h, w, kh, kw, padH, padW, includePad, divisor));
      for (let c: usize = 0; c < bytes; c += 16) {
        let sum = f32x4.splat(0);
        for (let iy = y0; iy < y1; iy++) {
          for (let ix = x0; ix < x1; ix++) sum = f32x4.add(sum, v128.load(image + <usize>iy * xRow + <usize>ix * bytes + c));
        }
        const v = f32x4.div(sum, count);
        if (c + 16 <= bytes) v128.store(to + c, v);
        else storeLanes(to + c, v, (bytes - c) >> 2);
      }
      to += bytes;
    }
  }
}

/** Adds f32(dy / divisor) to dx over each window, all `rows` output rows in order; dx has the strides of x and is cleared by the caller. */
export function f32_avg_pool_grad(
  rows: usize, outH: usize, outW: usize, dx: usize, xImage: usize, xRow: usize, h: isize, w: isize,
  channels: usize, kh: isize, kw: isize, strideH: isize, strideW: isize, padH: isize, padW: isize, includePad: i32, divisor: i32,
  dy: usize, dyImage: usize, dyRow: usize,
): void {
  const bytes = channels << 2;
  for (let r: usize = 0; r < rows; r++) {
    const image = dx + (r / outH) * xImage, top = <isize>(r % outH) * strideH - padH;
    const y0 = max<isize>(top, 0), y1 = min(top + kh, h);
    let from = dy + (r / outH) * dyImage + (r % outH) * dyRow;
    for (let j: usize = 0; j < outW; j++) {
      const left = <isize>j * strideW - padW, x0 = max<isize>(left, 0), x1 = min(left + kw, w);
      const count = divisorOf(top, left, h, w, kh, kw, padH, padW, includePad, divisor);
      for (let c: usize = 0; c < bytes; c += 4) {
        const share: f32 = f32.load(from + c) / count;
        for (let iy = y0; iy < y1; iy++) {
          for (let ix = x0; ix < x1; ix++) {
            const at = image + <usize>iy * xRow + <usize>ix * bytes + c;
            f32.store(at, f32.load(at) + share);
          }
        }
      }
      from += bytes;
    }
  }
}
