/** The sliding depthwise kernel against its reference: both strides, odd sizes, parts of vectors, parts of the rows. */

import { describe, expect, test } from "vitest";
import { F32_BUDGET } from "../../src/kernels/budget.ts";
import { depthwiseReference } from "../../src/kernels/f32-depthwise/reference.ts";
import { clampReference } from "../../src/kernels/f32-elementwise/reference.ts";
import { Lines, engines, expectSums, floats } from "./support.ts";

const FLOAT = 4;
const MARK = 77;
const [LOW, HIGH] = [-0.75, 1.5];

const cases = [1, 2].flatMap((stride) =>
  [1, 3, 4, 7, 16, 18].flatMap((channels) =>
    (
      [
        [2, 1],
        [3, 2],
        [5, 7],
        [4, 6],
      ] as const
    ).map(([h, w]) => ({ stride, channels, h, w })),
  ),
);

describe.each(engines)("$build build", (engine) => {
  const { kernels, memory } = engine;

  test.each(cases)("stride $stride, $channels channels, $h x $w", ({ stride, channels, h, w }) => {
    Lines.use(engine, 2, (lines) => {
      const [rows, columns] = [(h - 1) * stride + 3, (w - 1) * stride + 3 + 1];
      const x = floats(rows * columns * channels, 1);
      const [weights, bias] = [floats(9 * channels, 2), floats(channels, 3)];
      // One pixel more between the results' rows, which must stay as it is.
      const yRow = (w + 1) * channels;
      const y = lines.block(new Float32Array(h * yRow).fill(MARK));
      const init = lines.block(new Float32Array(channels + 8));
      memory.f32(init, channels).set(bias);
      const [xAt, wAt] = [lines.block(x), lines.block(weights)];
      const run = (from: number, to: number): void =>
        kernels.f32_depthwise_3x3_rows(
          from, to, w, xAt, columns * channels * FLOAT, channels * FLOAT, y, yRow * FLOAT, channels * FLOAT,
          wAt, init, channels, stride, LOW, HIGH,
        ); // prettier-ignore
      const want = depthwiseReference({ x, columns, channels, w: weights, init: bias, stride, size: [h, w] });
      const values = clampReference(want.values, LOW, HIGH);
      const read = (from: number, to: number): Float32Array => {
        const all = memory.f32(y, h * yRow);
        for (let row = 0; row < h; row++) {
          const gap = all.subarray(row * yRow + w * channels, (row + 1) * yRow);
          expect([...gap]).toEqual([...gap].map(() => MARK));
        }
        return Float32Array.from({ length: (to - from) * w * channels }, (_, i) => {
          const row = from + Math.floor(i / (w * channels));
          return all[row * yRow + (i % (w * channels))]!;
        });
      };
      const part = (from: number, to: number): { values: Float32Array; magnitudes: Float64Array } => ({
        values: values.slice(from * w * channels, to * w * channels),
        magnitudes: want.magnitudes.slice(from * w * channels, to * w * channels),
      });
      run(0, 2);
      expectSums(read(0, 2), part(0, 2), engine, F32_BUDGET);
      expect([...read(2, h)]).toEqual([...read(2, h)].map(() => MARK));
      run(0, h);
      expectSums(read(0, h), part(0, h), engine, F32_BUDGET);
    });
  });
});
