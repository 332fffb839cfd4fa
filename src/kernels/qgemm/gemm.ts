/**
 * Linear layers and matrix products: x [rows, depth] by weights [channels, depth], as one part. A
 * dynamic layer is the same with f32 output; raw accumulators serve whatever needs int32.
 */

import { ArgumentError } from "../../errors.ts";
import { paddedRun } from "./pack.ts";
import { packPost } from "./post.ts";
import { storageFlip } from "./variant.ts";
import type { Variant } from "./list.ts";
import { ONCE } from "./parts.ts";
import type { Part } from "./parts.ts";
import type { Epilogue } from "./post.ts";
import { productWeights } from "./weights.ts";
import type { MachineChoice } from "./weights.ts";

export type { MachineChoice } from "./weights.ts";

export interface GemmProblem {
  readonly rows: number;
  readonly depth: number;
  readonly channels: number;
  /** [channels, depth]. */
  readonly weights: Int8Array | Uint8Array;
  readonly weightZeroPoints?: ArrayLike<number>;
  readonly epilogue: Epilogue;
  /** Bytes between rows of x and of y; by default rows are dense. */
  readonly xStride?: number;
  readonly yStride?: number;
  /** Bytes between rows of the other operand of a sum; by default rows are dense. */
  readonly otherStride?: number;
}

/** Zero point as the kernels read stored bytes: signed ones on a signed machine, but plain SIMD undoes the flip. */
export function readZeroPoint(zeroPoint: number, variant: Variant, flip: 0 | 0x80): number {
  return variant === "simd128" ? zeroPoint : zeroPoint - flip;
}

/** Bytes of one output element. */
export function outputBytes(epilogue: Epilogue): 1 | 4 {
  return epilogue.output.kind === "bytes" || epilogue.output.kind === "sum" ? 1 : 4;
}

/** 0, step, 2 * step, ... */
export function arithmetic(count: number, step: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i * step);
}

/** The part that computes y[row][channel]. Throws ArgumentError when the weights do not fit. */
export function gemmPart(problem: GemmProblem, machine: MachineChoice): Part {
  const { rows, depth, channels, weights, epilogue } = problem;
  if (weights.length !== channels * depth) {
    throw new ArgumentError(
      "gemmPart",
      { weights: weights.length, channels, depth },
      "weights must have channels * depth entries",
    );
  }
  const source = {
    data: weights,
    zeroPoints: problem.weightZeroPoints,
    channels,
    base: 0,
    channelStride: depth,
    runs: 1,
    runLength: depth,
    taps: arithmetic(depth, 1),
  };
  const flip = storageFlip(machine.dot);
  const packed = productWeights(source, machine);
  return {
    form: { kind: "product" },
    repeat: ONCE,
    pixIn: arithmetic(rows, problem.xStride ?? depth),
    pixOut: arithmetic(rows, problem.yStride ?? channels * outputBytes(epilogue)),
    runs: new Int32Array(1),
    runBytes: paddedRun(depth),
    weights: packed,
    post: packPost(epilogue, packed, readZeroPoint(epilogue.inputZeroPoint, packed.variant, flip)),
    output: epilogue.output,
    other:
      epilogue.output.kind === "sum"
        ? { pixels: arithmetic(rows, problem.otherStride ?? channels), stride: 0, offset: 0 }
        : null,
    flip,
    xOffset: 0,
    yOffset: 0,
  };
}
