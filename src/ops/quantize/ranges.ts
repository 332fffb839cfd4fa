/**
 * Smallest and largest value of a run of elements, NaN if any is NaN: what observers and dynamic quantization read.
 * Source: ATen's aminmax.
 */

import type { TypedArray } from "../../tensor/dtype.ts";

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Range of x[start..end). At least one element; NaN anywhere makes both ends NaN. */
export function rangeOf(x: TypedArray, start: number, end: number): Range {
  let min = x[start]!;
  let max = min;
  for (let i = start + 1; i < end; i++) {
    const v = x[i]!;
    if (v < min) min = v;
    else if (v > max) max = v;
    else if (v !== v) return { min: NaN, max: NaN };
  }
  return min === min ? { min, max } : { min: NaN, max: NaN };
}
