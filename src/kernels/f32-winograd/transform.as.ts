// The transforms of Winograd F(4x4, 3x3) and of its weight gradient F(3x3, 4x4), four channels at a time (Lavin and Gray,
// "Fast Algorithms for Convolutional Neural Networks", 2015; points 0, 1, -1, 2, -2 and infinity). Each is done twice:
// along the rows of a block into `temporary`, then along what are now its columns.
//
// A transformed block is 36 vectors, `plane` bytes apart. Multipliers such as 2 and 4 come as vectors, see `held`.

import { clamp } from "../shared/rows.as";
import { gather4 } from "../shared/transpose.as";
import { madd, negatedMadd } from "../shared/vector.as";

/**
 * Bytes between the ends of one of the 36 planes and the start of the next. Without them planes lie powers of
 * two apart for usual channel counts, and all 36 stores of a block fall into the same few cache sets.
 */
export const GAP: usize = 64;

/** Bytes between a transform's results in `temporary`, up to six vectors. */
const LINE: usize = 96;
/** Bytes of `temporary` that hold a half transformed block of 6x6; multipliers may be held behind them. */
export const HALF_BLOCK: usize = 6 * LINE;

/** Six inputs to six transformed values at d, d + ds, ... (rows of B^T). */
@inline
function inputLine(d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, two: v128, four: v128, d: usize, ds: usize): void {
  const even = negatedMadd(four, d2, d4), odd = negatedMadd(four, d1, d3), near = f32x4.sub(d4, d2), far = f32x4.sub(d3, d1);
  v128.store(d, madd(four, f32x4.sub(d0, d2), near));
  v128.store(d += ds, f32x4.add(even, odd));
  v128.store(d += ds, f32x4.sub(even, odd));
  v128.store(d += ds, madd(two, far, near));
  v128.store(d += ds, negatedMadd(two, far, near));
  v128.store(d + ds, negatedMadd(four, far, f32x4.sub(d5, d3)));
}

/** Transforms a 6x6 block of inputs. */
@inline
export function transformInput(x: usize, row: usize, pixel: usize, out: usize, plane: usize, two: v128, four: v128, temporary: usize): void {
  for (let t = temporary, end = t + LINE; t < end; t += 16) {
    const x1 = x + pixel, x2 = x1 + pixel, x3 = x2 + pixel, x4 = x3 + pixel, x5 = x4 + pixel;
    inputLine(v128.load(x), v128.load(x1), v128.load(x2), v128.load(x3), v128.load(x4), v128.load(x5), two, four, t, LINE);
    x += row;
  }
  for (let t = temporary, end = t + HALF_BLOCK; t < end; t += LINE) {
    inputLine(
      v128.load(t), v128.load(t, 16), v128.load(t, 32), v128.load(t, 48), v128.load(t, 64), v128.load(t, 80), two, four, out, 6 * plane,
    );
    out += plane;
  }
}

/**
 * Four values of an output gradient to six at d, d + ds, ...: the rows of G without their factors 1/4, -1/6, -1/6, 1/24, 1/24
 * and 1, which transformSums puts right once all blocks are summed.
 */
@inline
function scaledKernelLine(g0: v128, g1: v128, g2: v128, g3: v128, two: v128, four: v128, d: usize, ds: usize): void {
  const even1 = f32x4.add(g0, g2), odd1 = f32x4.add(g1, g3), even2 = madd(four, g2, g0), odd2 = madd(four, g3, g1);
  v128.store(d, g0);
  v128.store(d += ds, f32x4.add(even1, odd1));
  v128.store(d += ds, f32x4.sub(even1, odd1));
  v128.store(d += ds, madd(two, odd2, even2));
  v128.store(d += ds, negatedMadd(two, odd2, even2));
  v128.store(d + ds, g3);
}

/** Transforms a 4x4 block of an output gradient. */
@inline
export function transformGradient(dy: usize, row: usize, pixel: usize, out: usize, plane: usize, two: v128, four: v128, temporary: usize): void {
  for (let t = temporary, end = t + 64; t < end; t += 16) {
    const dy1 = dy + pixel, dy2 = dy1 + pixel, dy3 = dy2 + pixel;
    scaledKernelLine(v128.load(dy), v128.load(dy1), v128.load(dy2), v128.load(dy3), two, four, t, LINE);
    dy += row;
  }
  for (let t = temporary, end = t + HALF_BLOCK; t < end; t += LINE) {
    scaledKernelLine(v128.load(t), v128.load(t, 16), v128.load(t, 32), v128.load(t, 48), two, four, out, 6 * plane);
    out += plane;
  }
}

/** Three kernel values to six at d, d + ds, ... (rows of G). */
@inline
function kernelLine(
  g0: v128, g1: v128, g2: v128, quarter: v128, sixth: v128, twelfth: v128, small: v128, d: usize, ds: usize,
): void {
  const even1 = f32x4.mul(sixth, f32x4.add(g0, g2)), odd1 = f32x4.mul(sixth, g1);
  const even2 = madd(sixth, g2, f32x4.mul(small, g0)), odd2 = f32x4.mul(twelfth, g1);
  v128.store(d, f32x4.mul(quarter, g0));
  v128.store(d += ds, f32x4.neg(f32x4.add(even1, odd1)));
  v128.store(d += ds, f32x4.sub(odd1, even1));
  v128.store(d += ds, f32x4.add(even2, odd2));
  v128.store(d += ds, f32x4.sub(even2, odd2));
  v128.store(d + ds, g2);
}

/**
 * Transforms the 3x3 kernels of one input channel to four outputs, strideO bytes apart. The multipliers are 1/4, 1/6, 1/12 and
 * 1/24.
 */
@inline
export function transformKernel(
  w: usize, strideO: isize, row: isize, pixel: isize, out: usize, plane: usize,
  quarter: v128, sixth: v128, twelfth: v128, small: v128, temporary: usize,
): void {
  for (let t = temporary, end = t + 48; t < end; t += 16) {
    const g0 = gather4(w, strideO), g1 = gather4(w + pixel, strideO), g2 = gather4(w + 2 * pixel, strideO);
    kernelLine(g0, g1, g2, quarter, sixth, twelfth, small, t, LINE);
    w += row;
  }
  for (let t = temporary, end = t + HALF_BLOCK; t < end; t += LINE) {
    kernelLine(v128.load(t), v128.load(t, 16), v128.load(t, 32), quarter, sixth, twelfth, small, out, 6 * plane);
    out += plane;
  }
}

/** Six sums to three values of a weight gradient at d, d + ds, ...: rows of A^T with the factors of G. */
@inline
function gradientLine(
  m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128, quarter: v128, sixth: v128, twelfth: v128, small: v128, d: usize, ds: usize,
): void {
  const sum1 = f32x4.add(m1, m2), sum2 = f32x4.add(m3, m4);
  v128.store(d, madd(small, sum2, negatedMadd(sixth, sum1, f32x4.mul(quarter, m0))));
  v128.store(d += ds, negatedMadd(sixth, f32x4.sub(m1, m2), f32x4.mul(twelfth, f32x4.sub(m3, m4))));
  v128.store(d + ds, madd(sixth, f32x4.sub(sum2, sum1), m5));
}

/** Transforms summed blocks back to a 3x3 weight gradient; the multipliers as for transformKernel. */
@inline
export function transformSums(
  m: usize, plane: usize, dw: usize, row: usize, pixel: usize,
  quarter: v128, sixth: v128, twelfth: v128, small: v128, temporary: usize,
): void {
  for (let t = temporary, end = t + LINE; t < end; t += 16) {
    const m1 = m + plane, m2 = m1 + plane, m3 = m2 + plane, m4 = m3 + plane, m5 = m4 + plane;
    gradientLine(
      v128.load(m), v128.load(m1), v128.load(m2), v128.load(m3), v128.load(m4), v128.load(m5), quarter, sixth, twelfth, small, t, LINE,
    );
    m = m5 + plane;
  }
  for (let t = temporary, end = t + 3 * LINE; t < end; t += LINE) {
    gradientLine(
      v128.load(t), v128.load(t, 16), v128.load(t, 32), v128.load(t, 48), v128.load(t, 64), v128.load(t, 80),
      quarter, sixth, twelfth, small, dw, row,
    );
    dw += pixel;
  }
}

/** Six products to the first `count` of four outputs at d, d + ds, ... (rows of A^T), clamped if `limited`. */
@inline
function outputLine(
  m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128, two: v128, four: v128, limited: bool, low: v128, high: v128,
  d: usize, ds: usize, count: usize,
): void {
  const sum1 = f32x4.add(m1, m2), difference1 = f32x4.sub(m1, m2);
  const sum2 = f32x4.add(m3, m4), difference2 = f32x4.mul(two, f32x4.sub(m3, m4));
  const y0 = f32x4.add(f32x4.add(m0, sum1), sum2);
  v128.store(d, limited ? clamp(y0, low, high) : y0);
  if (count < 2) return;
  const y1 = f32x4.add(difference1, difference2);
  v128.store(d += ds, limited ? clamp(y1, low, high) : y1);
  if (count < 3) return;
  const y2 = madd(four, sum2, sum1);
  v128.store(d += ds, limited ? clamp(y2, low, high) : y2);
  if (count < 4) return;
  const y3 = f32x4.add(madd(four, difference2, difference1), m5);
  v128.store(d + ds, limited ? clamp(y3, low, high) : y3);
}

/**
 * Transforms 36 products back, adds the bias, clamps, and stores rows x columns of the 4x4 outputs. What is added to the
 * product of the points (1, 1) reaches all outputs alike.
 */
@inline
export function transformOutput(
  m: usize, plane: usize, bias: v128, y: usize, row: usize, pixel: usize, rows: usize, columns: usize, low: v128, high: v128,
  two: v128, four: v128, temporary: usize,
): void {
  for (let t = temporary, end = t + LINE; t < end; t += 16) {
    const m1 = m + plane, m2 = m1 + plane, m3 = m2 + plane, m4 = m3 + plane, m5 = m4 + plane;
    outputLine(
      v128.load(m), v128.load(m1), v128.load(m2), v128.load(m3), v128.load(m4), v128.load(m5), two, four, false, low, high, t, LINE, 4,
    );
    m = m5 + plane;
  }
  for (let t = temporary, end = t + columns * LINE; t < end; t += LINE) {
    outputLine(
      v128.load(t), f32x4.add(v128.load(t, 16), bias), v128.load(t, 32), v128.load(t, 48), v128.load(t, 64), v128.load(t, 80),
      two, four, true, low, high, y, row, rows,
    );
    y += pixel;
  }
}
