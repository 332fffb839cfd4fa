/**
 * Pooling of bytes against the reference, bit for bit: sliding windows with padding and dilation,
 * adaptive and global ones, channel counts around the vector width, every rounding rule, both storages.
 */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { ShapeError } from "../../src/errors.ts";
import { imageSize, pixelOffset } from "../../src/kernels/qconv/image.ts";
import { averagePoolReference, maxPoolReference } from "../../src/kernels/qpool/reference.ts";
import { adaptiveWindows, poolBytes, poolOffsets, slidingWindows, writePool } from "../../src/kernels/qpool/windows.ts";
import type { Average, PoolProblem, Window } from "../../src/kernels/qpool/windows.ts";
import { ruleCode } from "../../src/kernels/quantize/rules.ts";
import type { RoundingRule } from "../../src/kernels/quantize/rules.ts";
import { integer, integers, seeded } from "./helpers.ts";

const engine = new Engine();
const RULES: readonly RoundingRule[] = ["roundThenAdd", "addThenRound", "addThenRoundTwice", "divideThenRound"];

/** Runs every image; x holds dense stored bytes of all of them. */
function run(problem: PoolProblem, x: Uint8Array, average?: Average): number[] {
  const { input, output, channels } = problem;
  return engine.memory.scope((alloc) => {
    const [record, xAt, yAt] = [alloc(poolBytes(problem, average)), alloc(imageSize(input)), alloc(imageSize(output))];
    const stored = engine.memory.u8(xAt, imageSize(input)).fill(200);
    const canvas = engine.memory.u8(yAt, imageSize(output)).fill(77);
    x.forEach((v, i) => {
      const pixel = Math.floor(i / channels);
      const at = pixelOffset(
        input,
        Math.floor(pixel / (input.h * input.w)),
        Math.floor(pixel / input.w) % input.h,
        pixel % input.w,
      );
      stored[at + (problem.inputChannel ?? 0) + (i % channels)] = v;
    });
    writePool(new Uint8Array(engine.memory.wasm.buffer), record, problem, average);
    for (let n = 0; n < input.n; n++) {
      const [xn, yn] = poolOffsets(problem, n);
      if (average === undefined) engine.kernels.qpool_max(record, xAt + xn, yAt + yn);
      else engine.kernels.qpool_average(ruleCode(average.quantizer.rule), record, xAt + xn, yAt + yn);
    }
    const y: number[] = [];
    for (let n = 0; n < output.n; n++)
      for (let r = 0; r < output.h; r++)
        for (let c = 0; c < output.w; c++) {
          const at = pixelOffset(output, n, r, c) + (problem.outputChannel ?? 0);
          y.push(...canvas.subarray(at, at + channels));
          canvas.fill(77, at, at + channels);
        }
    expect(
      canvas.every((v) => v === 77),
      "wrote outside its pixels",
    ).toBe(true);
    return y;
  });
}

type Windows = readonly [
  h: number,
  w: number,
  y: readonly Window[],
  x: readonly Window[],
  dilation: readonly [number, number],
];
const axis = (
  kernel: number,
  stride: number,
  padding: number,
  dilation = 1,
): { kernel: number; stride: number; padding: number; dilation: number } => ({ kernel, stride, padding, dilation });
const WINDOWS: readonly Windows[] = [
  [4, 6, slidingWindows(4, 2, axis(2, 2, 0)), slidingWindows(6, 3, axis(2, 2, 0)), [1, 1]],
  [7, 5, slidingWindows(7, 4, axis(3, 2, 1)), slidingWindows(5, 3, axis(3, 2, 1)), [1, 1]],
  [6, 6, slidingWindows(6, 4, axis(3, 1, 1, 2)), slidingWindows(6, 6, axis(3, 1, 2, 2)), [2, 2]],
  [7, 5, adaptiveWindows(7, 3), adaptiveWindows(5, 4), [1, 1]],
  [9, 8, adaptiveWindows(9, 1), adaptiveWindows(8, 1), [1, 1]],
  [1, 1, adaptiveWindows(1, 1), adaptiveWindows(1, 1), [1, 1]],
];

describe.each([1, 3, 16, 29, 64])("%i channels", (channels) => {
  it.each(WINDOWS)("%ix%i", (h, w, windowsY, windowsX, dilation) => {
    const random = seeded(channels);
    for (const flip of [0, 0x80] as const) {
      const spare = integer(random, 0, 2);
      const input = { n: 2, h, w, c: channels + spare, border: { top: 1, left: 2, bottom: 0, right: spare } };
      const output = {
        n: 2,
        h: windowsY.length,
        w: windowsX.length,
        c: channels + spare,
        border: { top: 0, left: 1, bottom: 1, right: 0 },
      };
      const problem: PoolProblem = {
        input,
        output,
        channels,
        inputChannel: spare,
        outputChannel: spare,
        windowsY,
        windowsX,
        dilation,
        flip,
      };
      const x = integers(random, 2 * h * w * channels, 0, 255, Uint8Array);
      const images = [0, 1].map((n) => ({
        size: [h, w, channels] as const,
        x: x.subarray(n * h * w * channels, (n + 1) * h * w * channels),
        windowsY,
        windowsX,
        dilation,
        flip,
      }));
      expect(run(problem, x)).toEqual(images.flatMap((image) => maxPoolReference(image)));
      for (const rule of RULES) {
        const counts = windowsY.flatMap((y) => windowsX.map((v) => y.count * v.count));
        const zeroPoint = [0, 255, integer(random, 0, 255)][integer(random, 0, 2)] ?? 0;
        const average: Average = {
          subtract: rule === "roundThenAdd" ? 0 : zeroPoint,
          factors: Float32Array.from(counts, (count) => (rule === "divideThenRound" ? count : 1 / count)),
          quantizer: {
            rule,
            scale: 1,
            zeroPoint: rule === "roundThenAdd" ? 0 : zeroPoint,
            low: 0,
            high: 255,
            offset: 0,
            flip,
            nan: "low",
          },
        };
        expect(run(problem, x, average), rule).toEqual(images.flatMap((image) => averagePoolReference(image, average)));
      }
    }
  });
});

it("refuses windows of padding only", () => {
  expect(() => slidingWindows(3, 9, axis(2, 1, 1))).toThrow(ShapeError);
});
