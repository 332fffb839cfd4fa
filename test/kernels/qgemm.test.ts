/**
 * Integer products against the reference, bit for bit: every row of the list, odd sizes, partial
 * panels, extreme zero points, ties, all output forms. Variants that are exact only on other machines
 * run with operands on which every machine agrees.
 */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { qgemm } from "../../src/kernels/qgemm/list.ts";
import { packWeights, weightFacts, weightRows } from "../../src/kernels/qgemm/pack.ts";
import { referenceGemm } from "../../src/kernels/qgemm/reference.ts";
import { chooseProductVariant, chooseVariant } from "../../src/kernels/qgemm/variant.ts";
import { compareGemm, epilogueOf, runGemm } from "./gemm-cases.ts";
import { int8, integers, seeded } from "./helpers.ts";

const engine = new Engine();
/** Kernels of the relaxed build need a host that has it. */
const onRelaxed = it.runIf(engine.build === "relaxed");

describe("qgemm", () => {
  it("has a row for every export and an export for every row", () => {
    const exported = Object.keys(engine.kernels).filter((name) => name.startsWith("qgem"));
    expect(exported.sort()).toEqual(qgemm.map((row) => row.name as string).sort());
  });

  it("simd128 is exact for every byte and weight", () =>
    compareGemm(engine, { dot: "unusable" }, { xLow: 0, xHigh: 255, w: 128 }));

  it("simd128 gives the same in the plain build", () =>
    compareGemm(new Engine({ build: "simd" }), { dot: "unusable" }, { xLow: 0, xHigh: 255, w: 128 }));

  it("simd128 reads flipped storage", () =>
    compareGemm(engine, { dot: "signed", variant: "simd128" }, { xLow: 0, xHigh: 255, w: 128 }));

  onRelaxed("relaxed_i16 is exact for reduced-range activations", () =>
    compareGemm(engine, { dot: "saturating", variant: "relaxed_i16" }, { xLow: 0, xHigh: 127, w: 128 }),
  );

  onRelaxed("relaxed_i16 is exact for small weights and full-range activations on unsigned machines", () => {
    const ranges = engine.dot === "signed" ? { xLow: 0, xHigh: 127, w: 64 } : { xLow: 0, xHigh: 255, w: 64 };
    compareGemm(engine, { dot: "saturating", variant: "relaxed_i16" }, ranges);
  });

  onRelaxed("guarded_i16 is exact for every byte, and for rows of either kind, on unsigned machines", () => {
    if (engine.dot === "signed") return;
    compareGemm(engine, { dot: "saturating", variant: "guarded_i16" }, { xLow: 0, xHigh: 255, w: 128 });
    compareGemm(engine, { dot: "saturating", variant: "guarded_i16" }, { xLow: 0, xHigh: 127, w: 128 });
    const random = seeded(9);
    const x = integers(random, 200 * 24, 0, 127, Uint8Array);
    for (let row = 0; row < 200; row += 37) x[row * 24 + (row % 24)] = 255;
    const problem = {
      rows: 200,
      depth: 24,
      channels: 16,
      weights: int8(random, 16 * 24),
      epilogue: epilogueOf(random, 16, "bytes", 3),
    };
    expect(runGemm(engine, problem, { dot: "saturating" }, x)).toEqual(referenceGemm({ ...problem, x }));
  });

  onRelaxed("relaxed_dot agrees where all machines do: activations up to 127", () =>
    compareGemm(engine, { dot: "u8-exact", variant: "relaxed_dot" }, { xLow: 0, xHigh: 127, w: 128 }),
  );

  onRelaxed("relaxed_dot on signed storage agrees where all machines do: stored activations up to 127", () =>
    compareGemm(engine, { dot: "signed", variant: "relaxed_dot" }, { xLow: 128, xHigh: 255, w: 128 }),
  );

  it.runIf(engine.dot === "u8-exact" || engine.dot === "signed")(
    "relaxed_dot is exact for every byte on this machine",
    () => compareGemm(engine, { dot: engine.dot }, { xLow: 0, xHigh: 255, w: 128 }),
  );

  it("takes off weight zero points, per tensor and per channel, of s8 and u8 weights", () => {
    const random = seeded(3);
    for (const zeroPoints of [[128], [0, 255, 3, 128, 77, 1, 2, 9, 200]]) {
      const x = integers(random, 5 * 21, 0, 255, Uint8Array);
      const weights = integers(random, 9 * 21, 0, 255, Uint8Array);
      const problem = {
        rows: 5,
        depth: 21,
        channels: 9,
        weights,
        weightZeroPoints: zeroPoints,
        epilogue: epilogueOf(random, 9, "i32", 93),
      };
      expect(runGemm(engine, problem, { dot: engine.dot }, x)).toEqual(referenceGemm({ ...problem, x }));
    }
  });

  it("rounds ties to even", () => {
    const x = Uint8Array.from({ length: 12 }, (_, i) => i);
    const output = { kind: "bytes", scale: 2, zeroPoint: 101, low: 0, high: 255 } as const;
    const epilogue = { inputScale: 1, inputZeroPoint: 6, weightScales: [1], bias: { kind: "none" }, output } as const;
    const problem = { rows: 12, depth: 1, channels: 1, weights: Int8Array.of(1), epilogue };
    expect(runGemm(engine, problem, { dot: "unusable" }, x)).toEqual([
      98, 99, 99, 99, 100, 101, 101, 101, 102, 103, 103, 103,
    ]);
  });

  it("adds the bias in one rounding for one weight scale, in two for one a channel", () => {
    // 128 + b / a lies just above the middle of two f32 values, and exactly on it once b / a is rounded.
    const scale = 1 - 2 ** -17;
    const output = { kind: "bytes", scale, zeroPoint: 0, low: 0, high: 255 } as const;
    const results = [[scale], Array.from({ length: 9 }, () => scale)].map((weightScales) => {
      const bias = { kind: "float", values: new Float32Array(9).fill((1 + 2 ** -17) / 2) } as const;
      const epilogue = { inputScale: 1, inputZeroPoint: 0, weightScales, bias, output };
      const problem = { rows: 2, depth: 1, channels: 9, weights: new Int8Array(9).fill(1), epilogue };
      const x = Uint8Array.of(128, 128);
      const got = runGemm(engine, problem, { dot: engine.dot }, x);
      expect(got).toEqual(referenceGemm({ ...problem, x }));
      return got[0];
    });
    expect(results).toEqual([129, 128]);
  });

  it("clamps results far beyond the bytes, where the bound of the fast path does not hold", () => {
    const random = seeded(8);
    const x = integers(random, 7 * 30, 0, 255, Uint8Array);
    const output = { kind: "bytes", scale: 1e-7, zeroPoint: 100, low: 3, high: 250 } as const;
    const epilogue = {
      inputScale: 0.1,
      inputZeroPoint: 128,
      weightScales: [0.1],
      bias: { kind: "none" },
      output,
    } as const;
    const problem = { rows: 7, depth: 30, channels: 16, weights: int8(random, 16 * 30), epilogue };
    expect(runGemm(engine, problem, { dot: "unusable" }, x)).toEqual(referenceGemm({ ...problem, x }));
  });

  it("does nothing for no rows, and gives the bias for no depth", () => {
    const epilogue = epilogueOf(seeded(5), 3, "bytes", 4);
    expect(
      runGemm(
        engine,
        { rows: 0, depth: 4, channels: 3, weights: new Int8Array(12), epilogue },
        { dot: "unusable" },
        new Uint8Array(0),
      ),
    ).toEqual([]);
    const empty = { rows: 2, depth: 0, channels: 3, weights: new Int8Array(0), epilogue };
    expect(runGemm(engine, empty, { dot: "unusable" }, new Uint8Array(0))).toEqual(referenceGemm({ ...empty, x: [] }));
  });
});

describe("chooseVariant", () => {
  const facts = (weights: Int8Array): ReturnType<typeof weightFacts> =>
    weightFacts(
      weightRows({
        data: weights,
        channels: 1,
        base: 0,
        channelStride: 0,
        runs: 1,
        runLength: weights.length,
        taps: Int32Array.from(weights, (_, i) => i),
      }),
    );

  it("takes the adding dot where it is exact", () => {
    expect(chooseVariant("u8-exact", facts(Int8Array.of(127, 127)))).toBe("relaxed_dot");
    expect(chooseVariant("signed", facts(Int8Array.of(-128, -128)))).toBe("relaxed_dot");
  });

  it("takes the 16-bit dot on saturating machines when no pair can saturate", () => {
    expect(chooseVariant("saturating", facts(Int8Array.of(64, 64, -64, -64)))).toBe("relaxed_i16");
    expect(chooseVariant("saturating", facts(Int8Array.of(64, 65)))).toBe("simd128");
    expect(chooseVariant("saturating", facts(Int8Array.of(127, 127)), 127)).toBe("relaxed_i16");
    expect(chooseVariant("saturating", facts(Int8Array.of(127, -128)))).toBe("relaxed_i16");
  });

  it("looks at the activations of products on saturating machines", () => {
    expect(chooseProductVariant("saturating", facts(Int8Array.of(64, 65)))).toBe("guarded_i16");
    expect(chooseProductVariant("saturating", facts(Int8Array.of(64, 64)))).toBe("relaxed_i16");
    expect(chooseProductVariant("unusable", facts(Int8Array.of(64, 65)))).toBe("simd128");
  });

  it("falls back to plain SIMD without a usable dot product or beyond s8", () => {
    expect(chooseVariant("unusable", facts(Int8Array.of(1)))).toBe("simd128");
    expect(chooseVariant("u8-exact", { fitsS8: false, positivePair: 0, negativePair: 0 })).toBe("simd128");
  });
});

describe("packWeights", () => {
  it("orders dot panels [k/4][channel][4] and plain panels [k/2][channel][2]", () => {
    const rows = Int16Array.from({ length: 4 }, (_, i) => i + 1);
    expect([...packWeights(rows, 1, "relaxed_dot").narrow!.bytes.subarray(0, 5)]).toEqual([1, 2, 3, 4, 0]);
    const plain = new Int16Array(packWeights(rows, 1, "simd128").wide!.bytes.buffer);
    expect([...plain.subarray(0, 3)]).toEqual([1, 2, 0]);
    expect([...plain.subarray(16, 18)]).toEqual([3, 4]);
  });
});
