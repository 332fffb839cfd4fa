/**
 * What a weight-only product computes, in plain loops, with every f32 rounding of the simd build:
 * y = bias + sum over groups of (sum over k of x * (q - z)) * s, sums in the order of k.
 */

import type { Sums } from "../f32-gemm/reference.ts";
import type { WeightOnlyProblem } from "./weights.ts";

const f32 = Math.fround;

/** Results of dense rows x [rows, depth], with the sums of absolute products behind them. */
export function weightOnlyReference(problem: WeightOnlyProblem, rows: number, x: ArrayLike<number>): Sums {
  const { channels, depth, groupSize, values, scales, zeroPoints, bias } = problem;
  const groups = Math.ceil(depth / groupSize);
  const result = new Float32Array(rows * channels);
  const magnitudes = new Float64Array(rows * channels);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < channels; o++) {
      let y = f32(bias?.[o] ?? 0);
      let magnitude = Math.abs(y);
      for (let g = 0; g < groups; g++) {
        const zero = f32(zeroPoints?.[o * groups + g] ?? 0);
        const scale = f32(scales[o * groups + g] ?? NaN);
        let sum = 0;
        for (let k = g * groupSize; k < Math.min(depth, (g + 1) * groupSize); k++) {
          const product = f32((x[r * depth + k] ?? 0) * f32((values[o * depth + k] ?? 0) - zero));
          sum = f32(sum + product);
          magnitude += Math.abs(product * scale);
        }
        y = f32(y + f32(sum * scale));
      }
      result[r * channels + o] = y;
      magnitudes[r * channels + o] = magnitude;
    }
  }
  return { values: result, magnitudes };
}
