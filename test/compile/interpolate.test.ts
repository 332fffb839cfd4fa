/** Resized images and lines: floats within the budget, bytes exactly, in every build. */

import { describe, expect, test } from "vitest";
import { conv2d, interpolate } from "../../src/ops/index.ts";
import type { InterpolateOptions } from "../../src/ops/interpolate.ts";
import "../../src/ops/methods.ts";
import { quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { expectCompiledFn } from "./support.ts";

manualSeed(61);

const sizes: readonly InterpolateOptions[] = [{ scaleFactor: 2 }, { size: [7, 3] }, { size: [5, 6] }, { size: [1, 1] }];

describe.each(["nearest", "nearest-exact", "bilinear", "bicubic"] as const)("%s", (mode) => {
  test("of floats", () => {
    for (const size of sizes) expectCompiledFn((x) => interpolate(x, { mode, ...size }), [randn([2, 3, 5, 6])]);
    expectCompiledFn((x) => interpolate(x, { mode, size: [4, 9] }), [randn([1, 1, 1, 1])]);
  });

  test.runIf(mode !== "bicubic")("of bytes", () => {
    for (const [dtype, zeroPoint] of [
      ["quint8", 3],
      ["qint8", 127],
      ["quint8", 255],
    ] as const)
      // prettier-ignore
      for (const size of sizes) {
        const resized = (x: Parameters<typeof interpolate>[0]) =>
          interpolate(quantizePerTensor(x, 0.02, zeroPoint, dtype), { mode, ...size });
        expectCompiledFn(resized, [randn([2, 3, 5, 6])]);
      }
  });
});

test("of lines, with corners aligned, and between convolutions", () => {
  expectCompiledFn((x) => interpolate(x, { mode: "linear", size: 11 }), [randn([2, 3, 7])]);
  expectCompiledFn(
    (x) => interpolate(x, { mode: "bilinear", size: [9, 4], alignCorners: true }),
    [randn([2, 3, 5, 6])],
  );
  const weight = randn([4, 3, 3, 3]).mul(0.2);
  const kernels = expectCompiledFn(
    (x) =>
      conv2d(interpolate(conv2d(x, weight.slice(0, 0, 3), null, { padding: 1 }), { scaleFactor: 2 }), weight, null, {
        padding: 1,
      }),
    [randn([2, 3, 5, 6])],
  );
  expect(kernels).not.toContain("transpose");
});
