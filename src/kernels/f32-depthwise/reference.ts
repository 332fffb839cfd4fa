/** What the sliding depthwise kernel computes, in plain loops and its order of additions: columns, then rows. */

import type { Sums } from "../f32-gemm/reference.ts";

export interface DepthwiseProblem {
  /** Dense [rows][columns][channels], padding included. */
  readonly x: Float32Array;
  readonly columns: number;
  readonly channels: number;
  /** [9][channels]. */
  readonly w: Float32Array;
  readonly init: Float32Array;
  readonly stride: number;
  /** Rows and columns of the result. */
  readonly size: readonly [number, number];
}

/** y[row][column][channel], not clamped. */
export function depthwiseReference({ x, columns, channels, w, init, stride, size }: DepthwiseProblem): Sums {
  const [h, width] = size;
  const values = new Float32Array(h * width * channels);
  const magnitudes = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const c = at % channels;
    const column = Math.floor(at / channels) % width;
    const row = Math.floor(at / (channels * width));
    let sum = init[c]!;
    let magnitude = Math.abs(sum);
    for (let kx = 0; kx < 3; kx++) {
      for (let ky = 0; ky < 3; ky++) {
        const value = x[((row * stride + ky) * columns + column * stride + kx) * channels + c]!;
        const product = Math.fround(value * w[(3 * ky + kx) * channels + c]!);
        sum = Math.fround(sum + product);
        magnitude += Math.abs(product);
      }
    }
    values[at] = sum;
    magnitudes[at] = magnitude;
  }
  return { values, magnitudes };
}
