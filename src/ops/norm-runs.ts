/**
 * The inner loops of normalization over a run of elements with common constants.
 *
 * Plain functions of their arguments, so that they compile to tight code; sums run in four independent chains,
 * because a single one waits for every addition.
 */

import type { TypedArray } from "../tensor/dtype.ts";

/** Sum of x[start..end). */
export function sumRun(x: TypedArray, start: number, end: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = start;
  for (const last = end - 3; i < last; i += 4) {
    a += x[i]!;
    b += x[i + 1]!;
    c += x[i + 2]!;
    d += x[i + 3]!;
  }
  for (; i < end; i++) a += x[i]!;
  return a + b + (c + d);
}

/** Sum of (x - m)^2 over start..end. */
export function squareRun(x: TypedArray, start: number, end: number, m: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = start;
  for (const last = end - 3; i < last; i += 4) {
    const p = x[i]! - m;
    const q = x[i + 1]! - m;
    const r = x[i + 2]! - m;
    const s = x[i + 3]! - m;
    a += p * p;
    b += q * q;
    c += r * r;
    d += s * s;
  }
  for (; i < end; i++) a += (x[i]! - m) ** 2;
  return a + b + (c + d);
}

/** Sum of dy (x - m) over start..end. */
export function productRun(dy: TypedArray, x: TypedArray, start: number, end: number, m: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = start;
  for (const last = end - 3; i < last; i += 4) {
    a += dy[i]! * (x[i]! - m);
    b += dy[i + 1]! * (x[i + 1]! - m);
    c += dy[i + 2]! * (x[i + 2]! - m);
    d += dy[i + 3]! * (x[i + 3]! - m);
  }
  for (; i < end; i++) a += dy[i]! * (x[i]! - m);
  return a + b + (c + d);
}

/** y = (x - m) factor + shift. */
export function scaleRun(
  y: TypedArray,
  x: TypedArray,
  start: number,
  end: number,
  m: number,
  factor: number,
  shift: number,
): void {
  for (let i = start; i < end; i++) y[i] = (x[i]! - m) * factor + shift;
}

/** dx = factor dy - offset - slope (x - m). */
export function gradientRun(
  dx: TypedArray,
  dy: TypedArray,
  x: TypedArray,
  start: number,
  end: number,
  m: number,
  factor: number,
  offset: number,
  slope: number,
): void {
  for (let i = start; i < end; i++) dx[i] = factor * dy[i]! - offset - slope * (x[i]! - m);
}
