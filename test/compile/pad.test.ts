/** Padding in every mode, of floats and bytes of any rank. */

import { expect, test } from "vitest";
import { conv2d, pad } from "../../src/ops/index.ts";
import type { PadMode } from "../../src/ops/pad.ts";
import "../../src/ops/methods.ts";
import { quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { expectCompiledFn } from "./support.ts";

manualSeed(67);

const modes: readonly PadMode[] = ["constant", "reflect", "replicate", "circular"];

test.each(modes)("%s", (mode) => {
  const value = mode === "constant" ? 1.5 : 0;
  for (const padding of [
    [2, 1],
    [1, 0, 0, 2],
    [-1, 2, 1, 1],
  ]) {
    // prettier-ignore
    expectCompiledFn((x) => pad(x, padding, { mode, value }), [randn([2, 3, 4, 5])], 0);
    expectCompiledFn((x) => pad(quantizePerTensor(x, 0.03, 77, "quint8"), padding, { mode }), [randn([3, 4, 5])]);
  }
});

test("with zeros, among images and among vectors", () => {
  const weight = randn([4, 3, 3, 3]).mul(0.2);
  expect(expectCompiledFn((x) => conv2d(pad(x, [1, 1, 1, 1]), weight, null), [randn([2, 3, 5, 4])])).not.toContain(
    "pad",
  );
  expect(expectCompiledFn((x) => pad(x, [0, 3]), [randn([2, 5])])).toContain("pad");
});
