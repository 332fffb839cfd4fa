/** Integer products of many sizes compared with the reference, on any host: shared by the tests of real and emulated machines. */

import { expect } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { gemmPart } from "../../src/kernels/qgemm/gemm.ts";
import type { GemmProblem, MachineChoice } from "../../src/kernels/qgemm/gemm.ts";
import { PartBlock } from "../../src/kernels/qgemm/parts.ts";
import type { Epilogue, Output } from "../../src/kernels/qgemm/post.ts";
import type { BytesOutput, SumOutput } from "../../src/kernels/qgemm/sum.ts";
import { storageFlip } from "../../src/kernels/qgemm/variant.ts";
import type { Dequantizer } from "../../src/kernels/quantize/rules.ts";
import { referenceGemm } from "../../src/kernels/qgemm/reference.ts";
import { runParts } from "../../src/kernels/qgemm/run.ts";
import { int8, integers, seeded } from "./helpers.ts";
import type { Random } from "./helpers.ts";

/** Memory and kernels: an engine, or an emulated machine. */
export type Host = Pick<Engine, "memory" | "kernels">;

/** Runs a product on the engine; x, and a sum's other operand, hold bytes of the unsigned form. */
export function runGemm(
  host: Host,
  problem: GemmProblem,
  machine: MachineChoice,
  x: Uint8Array,
  other: Uint8Array = new Uint8Array(0),
): number[] {
  const part = gemmPart(problem, machine);
  const block = new PartBlock([part]);
  return host.memory.scope((alloc) => {
    const constants = alloc(block.bytes);
    const xAt = alloc(x.length);
    const count = problem.rows * problem.channels;
    const { kind } = problem.epilogue.output;
    const wide = kind !== "bytes" && kind !== "sum";
    const yAt = alloc(count * (wide ? 4 : 1));
    const otherAt = alloc(count);
    host.memory.u8(xAt, x.length).set(x.map((v) => v ^ part.flip));
    host.memory.u8(otherAt, count).set(other.map((v) => v ^ part.flip));
    const placed = block.write(new Uint8Array(host.memory.wasm.buffer), constants, otherAt);
    runParts(host.kernels, placed, xAt, yAt);
    if (kind === "i32") return [...host.memory.i32(yAt, count)];
    if (wide) return [...host.memory.f32(yAt, count)];
    return [...host.memory.u8(yAt, count)].map((v) => v ^ part.flip);
  });
}

/** Activations xLow..xHigh of the unsigned form, weights -w..w - 1. */
export interface Ranges {
  readonly xLow: number;
  readonly xHigh: number;
  readonly w: number;
}

/** A sum with random parameters, for storage flipped as `flip` says. */
export function sumOf(random: Random, bytes: BytesOutput, flip: 0 | 0x80): SumOutput {
  const offset = random() < 0.5 ? 0 : 128;
  const side = (): Dequantizer => {
    const zeroPoint = [0, 255, Math.floor(random() * 256)][Math.floor(random() * 3)]! - offset;
    return { scale: 0.01 + random() * 0.1, zeroPoint, offset, flip, fused: through };
  };
  const through = random() < 0.5;
  const [layer, output] = [side(), side()];
  const relu = random() < 0.5;
  return {
    kind: "sum",
    through: through
      ? { bytes, dequantizer: { ...layer, scale: bytes.scale, zeroPoint: bytes.zeroPoint - offset } }
      : null,
    other: side(),
    output: {
      rule: "roundThenAdd",
      scale: output.scale,
      zeroPoint: output.zeroPoint,
      low: relu ? output.zeroPoint : -offset,
      high: 255 - offset,
      nan: "low",
      offset,
      flip,
    },
  };
}

export function epilogueOf(
  random: Random,
  channels: number,
  output: Output["kind"],
  zeroPoint: number,
  flip: 0 | 0x80 = 0,
): Epilogue {
  const perChannel = random() < 0.5;
  const bias = random();
  const zo = Math.floor(random() * 256);
  const relu = random() < 0.5;
  const floats = Float32Array.from({ length: channels }, () => (random() - 0.5) * 4);
  const ints = Int32Array.from({ length: channels }, () => Math.floor((random() - 0.5) * 2000));
  const bytes = { kind: "bytes", scale: 0.05 + random() * 0.2, zeroPoint: zo, low: relu ? zo : 0, high: 255 } as const;
  return {
    inputScale: 0.013,
    inputZeroPoint: zeroPoint,
    weightScales: Array.from({ length: perChannel ? channels : 1 }, () => 0.002 + random() * 0.01),
    bias:
      bias < 0.3 ? { kind: "none" } : bias < 0.7 ? { kind: "float", values: floats } : { kind: "int32", values: ints },
    output: output === "bytes" ? bytes : output === "sum" ? sumOf(random, bytes, flip) : { kind: output },
  };
}

const SIZES = [
  [1, 1, 1],
  [1, 5, 8],
  [1, 64, 48],
  [1, 37, 101],
  [2, 16, 7],
  [6, 4, 8],
  [7, 3, 9],
  [13, 33, 17],
  [12, 60, 16],
  [24, 144, 16],
  [5, 130, 24],
] as const;

export function compareGemm(host: Host, machine: MachineChoice, ranges: Ranges): void {
  const random = seeded(11);
  for (const [rows, depth, channels] of SIZES) {
    for (const output of ["bytes", "i32", "f32", "f32Twice", "sum", "sum"] as const) {
      for (const zeroPoint of [0, 255, 128, 7]) {
        const x = integers(random, rows * depth, ranges.xLow, ranges.xHigh, Uint8Array);
        const weights = int8(random, channels * depth, -ranges.w, ranges.w - 1);
        const epilogue = epilogueOf(random, channels, output, zeroPoint, storageFlip(machine.dot));
        const problem = { rows, depth, channels, weights, epilogue };
        const other = integers(random, rows * channels, 0, 255, Uint8Array);
        expect(
          runGemm(host, problem, machine, x, other),
          `${rows}x${depth}x${channels} ${output} zx=${zeroPoint}`,
        ).toEqual(referenceGemm({ ...problem, x, other }));
      }
    }
  }
}
