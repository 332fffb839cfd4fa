/**
 * Integer products against the reference, bit for bit: every row of the list, odd sizes, partial
 * panels, extreme zero points, ties, all output forms. Variants that are exact only on other machines
 * run with operands on which every machine agrees.
 */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { gemmPart } from "../../src/kernels/qgemm/gemm.ts";
import { qgemm } from "../../src/kernels/qgemm/list.ts";
import { referenceGemm } from "../../src/kernels/qgemm/reference.ts";
import { packWeights, weightFacts, weightRows } from "../../src/kernels/qgemm/pack.ts";
import { PartBlock } from "../../src/kernels/qgemm/parts.ts";
import { runParts } from "../../src/kernels/qgemm/run.ts";
import { chooseVariant } from "../../src/kernels/qgemm/variant.ts";
import type { GemmProblem, MachineChoice } from "../../src/kernels/qgemm/gemm.ts";
import type { Epilogue, Output } from "../../src/kernels/qgemm/post.ts";
import { int8, integers, seeded } from "./helpers.ts";
import type { Random } from "./helpers.ts";

const engine = new Engine();

/** Runs a product on the engine; x holds bytes of the unsigned form. */
function run(problem: GemmProblem, machine: MachineChoice, x: Uint8Array, host: Engine = engine): number[] {
  const part = gemmPart(problem, machine);
  const block = new PartBlock([part]);
  return host.memory.scope((alloc) => {
    const constants = alloc(block.bytes);
    const xAt = alloc(x.length);
    const count = problem.rows * problem.channels;
    const wide = problem.epilogue.output.kind !== "bytes";
    const yAt = alloc(count * (wide ? 4 : 1));
    host.memory.u8(xAt, x.length).set(x.map((v) => v ^ part.flip));
    const placed = block.write(new Uint8Array(host.memory.wasm.buffer), constants);
    runParts(host.kernels, placed, xAt, yAt);
    if (problem.epilogue.output.kind === "i32") return [...host.memory.i32(yAt, count)];
    if (problem.epilogue.output.kind === "f32") return [...host.memory.f32(yAt, count)];
    return [...host.memory.u8(yAt, count)].map((v) => v ^ part.flip);
  });
}

interface Ranges {
  readonly xLow: number;
  readonly xHigh: number;
  readonly w: number;
}

function epilogueOf(random: Random, channels: number, output: Output["kind"], zeroPoint: number): Epilogue {
  const perChannel = random() < 0.5;
  const bias = random();
  const zo = Math.floor(random() * 256);
  const relu = random() < 0.5;
  const floats = Float32Array.from({ length: channels }, () => (random() - 0.5) * 4);
  const ints = Int32Array.from({ length: channels }, () => Math.floor((random() - 0.5) * 2000));
  return {
    inputScale: 0.013,
    inputZeroPoint: zeroPoint,
    weightScales: Array.from({ length: perChannel ? channels : 1 }, () => 0.002 + random() * 0.01),
    bias: bias < 0.3 ? { kind: "none" } : bias < 0.7 ? { kind: "float", values: floats } : { kind: "int32", values: ints },
    output: output === "bytes" ? { kind: output, scale: 0.05 + random() * 0.2, zeroPoint: zo, low: relu ? zo : 0, high: 255 } : { kind: output },
  };
}

const SIZES = [[1, 1, 1], [1, 5, 8], [1, 64, 48], [1, 37, 101], [2, 16, 7], [6, 4, 8], [7, 3, 9], [13, 33, 17], [24, 144, 16], [5, 130, 24]] as const;

function compare(machine: MachineChoice, ranges: Ranges, host: Engine = engine): void {
  const random = seeded(11);
  for (const [rows, depth, channels] of SIZES) {
    for (const output of ["bytes", "i32", "f32"] as const) {
      for (const zeroPoint of [0, 255, 128, 7]) {
        const x = integers(random, rows * depth, ranges.xLow, ranges.xHigh, Uint8Array);
        const weights = int8(random, channels * depth, -ranges.w, ranges.w - 1);
        const problem = { rows, depth, channels, weights, epilogue: epilogueOf(random, channels, output, zeroPoint) };
        expect(run(problem, machine, x, host), `${rows}x${depth}x${channels} ${output} zx=${zeroPoint}`).toEqual(
          referenceGemm({ ...problem, x }),
        );
      }
    }
  }
}

describe("qgemm", () => {
  it("has a row for every export and an export for every row", () => {
    const exported = Object.keys(engine.kernels).filter((name) => name.startsWith("qgem"));
    expect(exported.sort()).toEqual(qgemm.map((row) => row.name as string).sort());
  });

  it("simd128 is exact for every byte and weight", () => compare({ dot: "unusable" }, { xLow: 0, xHigh: 255, w: 128 }));

  it("simd128 gives the same in the plain build", () =>
    compare({ dot: "unusable" }, { xLow: 0, xHigh: 255, w: 128 }, new Engine({ build: "simd" })));

  it("simd128 reads flipped storage", () => compare({ dot: "signed", variant: "simd128" }, { xLow: 0, xHigh: 255, w: 128 }));

  it("relaxed_i16 is exact for reduced-range activations", () =>
    compare({ dot: "saturating", variant: "relaxed_i16" }, { xLow: 0, xHigh: 127, w: 128 }));

  it("relaxed_i16 is exact for small weights and full-range activations on unsigned machines", () => {
    const ranges = engine.dot === "signed" ? { xLow: 0, xHigh: 127, w: 64 } : { xLow: 0, xHigh: 255, w: 64 };
    compare({ dot: "saturating", variant: "relaxed_i16" }, ranges);
  });

  it("relaxed_dot agrees where all machines do: activations up to 127", () =>
    compare({ dot: "u8-exact", variant: "relaxed_dot" }, { xLow: 0, xHigh: 127, w: 128 }));

  it("relaxed_dot on signed storage agrees where all machines do: stored activations up to 127", () =>
    compare({ dot: "signed", variant: "relaxed_dot" }, { xLow: 128, xHigh: 255, w: 128 }));

  it.runIf(engine.dot === "u8-exact" || engine.dot === "signed")("relaxed_dot is exact for every byte on this machine", () =>
    compare({ dot: engine.dot }, { xLow: 0, xHigh: 255, w: 128 }));

  it("takes off weight zero points, per tensor and per channel, of s8 and u8 weights", () => {
    const random = seeded(3);
    for (const zeroPoints of [[128], [0, 255, 3, 128, 77, 1, 2, 9, 200]]) {
      const x = integers(random, 5 * 21, 0, 255, Uint8Array);
      const weights = integers(random, 9 * 21, 0, 255, Uint8Array);
      const problem = { rows: 5, depth: 21, channels: 9, weights, weightZeroPoints: zeroPoints, epilogue: epilogueOf(random, 9, "i32", 93) };
      expect(run(problem, { dot: "saturating" }, x)).toEqual(referenceGemm({ ...problem, x }));
    }
  });

  it("rounds ties to even", () => {
    const x = Uint8Array.from({ length: 12 }, (_, i) => i);
    const output = { kind: "bytes", scale: 2, zeroPoint: 101, low: 0, high: 255 } as const;
    const epilogue = { inputScale: 1, inputZeroPoint: 6, weightScales: [1], bias: { kind: "none" }, output } as const;
    const problem = { rows: 12, depth: 1, channels: 1, weights: Int8Array.of(1), epilogue };
    expect(run(problem, { dot: "unusable" }, x)).toEqual([98, 99, 99, 99, 100, 101, 101, 101, 102, 103, 103, 103]);
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
      const got = run(problem, { dot: engine.dot }, x);
      expect(got).toEqual(referenceGemm({ ...problem, x }));
      return got[0];
    });
    expect(results).toEqual([129, 128]);
  });

  it("clamps results far beyond the bytes, where the bound of the fast path does not hold", () => {
    const random = seeded(8);
    const x = integers(random, 7 * 30, 0, 255, Uint8Array);
    const output = { kind: "bytes", scale: 1e-7, zeroPoint: 100, low: 3, high: 250 } as const;
    const epilogue = { inputScale: 0.1, inputZeroPoint: 128, weightScales: [0.1], bias: { kind: "none" }, output } as const;
    const problem = { rows: 7, depth: 30, channels: 16, weights: int8(random, 16 * 30), epilogue };
    expect(run(problem, { dot: "unusable" }, x)).toEqual(referenceGemm({ ...problem, x }));
  });

  it("does nothing for no rows, and gives the bias for no depth", () => {
    const epilogue = epilogueOf(seeded(5), 3, "bytes", 4);
    expect(run({ rows: 0, depth: 4, channels: 3, weights: new Int8Array(12), epilogue }, { dot: "unusable" }, new Uint8Array(0))).toEqual([]);
    const empty = { rows: 2, depth: 0, channels: 3, weights: new Int8Array(0), epilogue };
    expect(run(empty, { dot: "unusable" }, new Uint8Array(0))).toEqual(referenceGemm({ ...empty, x: [] }));
  });
});

describe("chooseVariant", () => {
  const facts = (weights: Int8Array): ReturnType<typeof weightFacts> =>
    weightFacts(weightRows({ data: weights, channels: 1, base: 0, channelStride: 0, runs: 1, runLength: weights.length, taps: Int32Array.from(weights, (_, i) => i) }));

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

  it("falls back to plain SIMD without a usable dot product or beyond s8", () => {
    expect(chooseVariant("unusable", facts(Int8Array.of(1)))).toBe("simd128");
    expect(chooseVariant("u8-exact", { fitsS8: false, positivePair: 0, negativePair: 0 })).toBe("simd128");
  });
});

describe("packWeights", () => {
  it("orders dot panels [k/4][channel][4] and plain panels [k/4][parity][channel][2]", () => {
    const rows = Int16Array.from({ length: 4 }, (_, i) => i + 1);
    expect([...packWeights(rows, 1, "relaxed_dot").bytes.subarray(0, 5)]).toEqual([1, 2, 3, 4, 0]);
    const plain = new Int16Array(packWeights(rows, 1, "simd128").bytes.buffer);
    expect([...plain.subarray(0, 3)]).toEqual([1, 3, 0]);
    expect([...plain.subarray(16, 18)]).toEqual([2, 4]);
  });
});
