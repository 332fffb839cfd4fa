/**
 * Weight-only products against the reference: the same bits in the simd build, within the float budget
 * in the relaxed one; per channel and per group, odd depths, partial panels, zero points.
 */

import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.ts";
import { F32_BUDGET } from "../../src/kernels/budget.ts";
import { weightOnlyReference } from "../../src/kernels/wonly/reference.ts";
import { runWeightOnly } from "../../src/engine/eager/weight-only.ts";
import { packWeightOnly } from "../../src/kernels/wonly/weights.ts";
import type { WeightOnlyProblem } from "../../src/kernels/wonly/weights.ts";
import { floats, integers, seeded } from "./helpers.ts";
import { engines, expectSums } from "./support.ts";

const SIZES = [
  [1, 1, 1, 1],
  [1, 64, 32, 32],
  [1, 33, 70, 33],
  [4, 16, 8, 16],
  [5, 37, 13, 37],
  [3, 96, 24, 32],
  [7, 40, 33, 16],
  [2, 70, 9, 32],
] as const;

describe.each(engines.map((engine) => [engine.build, engine] as const))("%s build", (_, engine) => {
  it.each([8, 4] as const)("%i bits", (bits) => {
    const random = seeded(bits);
    for (const [rows, depth, channels, groupSize] of SIZES) {
      for (const low of bits === 8 ? [-128] : [-8, 0]) {
        const groups = Math.ceil(depth / groupSize);
        const values = integers(random, channels * depth, low, low + (bits === 8 ? 255 : 15), Int32Array);
        const problem: WeightOnlyProblem = {
          bits,
          channels,
          depth,
          groupSize,
          values,
          low,
          scales: Float32Array.from({ length: channels * groups }, () => 0.01 + random()),
          zeroPoints: random() < 0.5 ? undefined : integers(random, channels * groups, low, low + 15, Int32Array),
          bias: random() < 0.3 ? undefined : floats(random, channels),
        };
        const x = floats(random, rows * depth);
        const packed = packWeightOnly(problem);
        const got = engine.memory.scope((alloc) => {
          const [w, xAt, yAt] = [alloc(packed.bytes.length), alloc(x.byteLength), alloc(rows * channels * 4 + 16)];
          engine.memory.u8(w, packed.bytes.length).set(packed.bytes);
          engine.memory.f32(xAt, x.length).set(x);
          engine.memory.f32(yAt, rows * channels + 4).fill(77);
          runWeightOnly(engine, packed, w, rows, xAt, yAt);
          expect([...engine.memory.f32(yAt + rows * channels * 4, 4)]).toEqual([77, 77, 77, 77]);
          return engine.memory.f32(yAt, rows * channels).slice();
        });
        expectSums(got, weightOnlyReference(problem, rows, x), engine, F32_BUDGET);
      }
    }
  });
});

it("refuses odd groups of 4-bit weights", () => {
  const problem = { bits: 4, channels: 1, depth: 6, groupSize: 3, values: new Uint8Array(6), scales: [1, 1] } as const;
  expect(() => packWeightOnly(problem)).toThrow(ArgumentError);
});
