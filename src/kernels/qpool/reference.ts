/**
 * What the pooling kernels compute, in plain loops over one dense NHWC image of stored bytes.
 *
 * Averages in PyTorch's quantized kernels, by rule and factor (sum of u - subtract over the window):
 * avgPool2d is addThenRoundTwice with 1 / n and subtract = zero point; adaptive is roundThenAdd with
 * zero point 0, subtract = 0; mean is divideThenRound by n.
 */

import { quantizeReference } from "../quantize/rules.ts";
import type { Average, Window } from "./windows.ts";

export interface ReferencePool {
  /** [height, width, channels]. */
  readonly size: readonly [number, number, number];
  readonly x: ArrayLike<number>;
  readonly windowsY: readonly Window[];
  readonly windowsX: readonly Window[];
  readonly dilation: readonly [number, number];
  readonly flip: 0 | 0x80;
}

/** Unsigned forms of every window, handed to `reduce` with the output's index. */
function everyWindow(problem: ReferencePool, reduce: (values: number[], pixel: number) => number): number[] {
  const [, width, channels] = problem.size;
  const y: number[] = [];
  problem.windowsY.forEach((wy, oy) =>
    problem.windowsX.forEach((wx, ox) => {
      for (let c = 0; c < channels; c++) {
        const values: number[] = [];
        for (let i = 0; i < wy.count; i++) {
          for (let k = 0; k < wx.count; k++) {
            const row = wy.first + i * problem.dilation[0];
            const column = wx.first + k * problem.dilation[1];
            values.push((problem.x[(row * width + column) * channels + c] ?? 0) ^ problem.flip);
          }
        }
        y.push(reduce(values, oy * problem.windowsX.length + ox));
      }
    }),
  );
  return y;
}

export function maxPoolReference(problem: ReferencePool): number[] {
  return everyWindow(problem, (values) => Math.max(...values) ^ problem.flip);
}

export function averagePoolReference(problem: ReferencePool, { subtract, factors, quantizer }: Average): number[] {
  return everyWindow(problem, (values, pixel) => {
    const sum = Math.fround(values.reduce((a, b) => a + b - subtract, 0));
    const factor = factors[pixel] ?? NaN;
    return quantizeReference(
      sum,
      quantizer.rule === "divideThenRound" ? { ...quantizer, scale: factor } : { ...quantizer, inverse: factor },
    );
  });
}
