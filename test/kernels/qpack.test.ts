/** Packing of integer weights by kernels against the reference, bit for bit, for every variant and odd sizes. */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import { packerOf } from "../../src/engine/pack.ts";
import { NO_WEIGHT } from "../../src/kernels/qgemm/pack.ts";
import type { WeightSource } from "../../src/kernels/qgemm/pack.ts";
import { productWeights } from "../../src/kernels/qgemm/weights.ts";
import type { DotClass } from "../../src/kernels/qgemm/variant.ts";
import { integers, seeded } from "./helpers.ts";
import type { Random } from "./helpers.ts";

const dots: readonly DotClass[] = ["u8-exact", "signed", "saturating", "unusable"];

/** Weights of some channels of a larger tensor, taken in random order, with places that take none. */
function sourceOf(random: Random, channels: number, runs: number, runLength: number, isSigned: boolean): WeightSource {
  const depth = runs * runLength;
  const span = random() < 0.5 ? 128 : 40;
  const count = (channels + 2) * depth;
  const taps = integers(random, depth, -1, depth - 1, Int32Array);
  const zeroCount = Math.floor(random() * 3);
  return {
    data: isSigned ? integers(random, count, -span, span - 1, Int8Array) : integers(random, count, 0, 255, Uint8Array),
    ...(zeroCount > 0 && {
      zeroPoints: integers(random, zeroCount === 1 ? 1 : channels, isSigned ? -3 : 120, 130, Int32Array),
    }),
    channels,
    base: depth,
    channelStride: depth,
    runs,
    runLength,
    taps: taps.map((tap) => (tap < 0 ? NO_WEIGHT : tap)),
  };
}

describe.each(hasRelaxedSimd() ? (["simd", "relaxed"] as const) : (["simd"] as const))("%s build", (build) => {
  const engine = new Engine({ build });
  const pack = packerOf(engine);

  it.each(dots)("packs as the reference does where the dot product is %s", (dot) => {
    const random = seeded(7);
    const variants = new Set<string>();
    for (const channels of [1, 7, 8, 9, 17])
      for (const [runs, runLength] of [
        [1, 1],
        [1, 4],
        [3, 5],
        [2, 8],
        [9, 3],
        [1, 0],
      ] as const)
        for (const isSigned of [true, false]) {
          const source = sourceOf(random, channels, runs, runLength, isSigned);
          const expected = productWeights(source, { dot });
          expect(productWeights(source, { dot, pack })).toEqual(expected);
          variants.add(expected.variant);
        }
    expect(variants.size).toBe({ "u8-exact": 2, signed: 2, saturating: 3, unusable: 1 }[dot]);
  });

  it("leaves no memory behind", () => {
    const before = engine.memory.usedBytes;
    productWeights(sourceOf(seeded(1), 9, 3, 5, true), { dot: "unusable", pack });
    expect(engine.memory.usedBytes).toBe(before);
  });

  it("refuses weights that are too short", () => {
    const source = sourceOf(seeded(2), 9, 3, 5, true);
    expect(() => productWeights({ ...source, channels: 12 }, { dot: "unusable", pack })).toThrow(/too short/);
  });
});
