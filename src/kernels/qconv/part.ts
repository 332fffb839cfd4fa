/** One group of a convolution (or of a phase of a transposed one) as a part of the integer product. */

import { outputBytes, readZeroPoint } from "../qgemm/gemm.ts";
import type { MachineChoice } from "../qgemm/gemm.ts";
import { paddedRun } from "../qgemm/pack.ts";
import type { Part, Repeat } from "../qgemm/parts.ts";
import { packPost } from "../qgemm/post.ts";
import type { Epilogue } from "../qgemm/post.ts";
import { storageFlip } from "../qgemm/variant.ts";
import { productWeights } from "../qgemm/weights.ts";
import type { ConvProblem } from "./geometry.ts";

/** K of one output: offsets of its runs from the pixel, and which weight every position takes. */
export interface Taps {
  readonly runs: Int32Array;
  readonly runLength: number;
  readonly weights: Int32Array;
}

/** Everything of a part that is geometry. */
export interface PartTables {
  readonly pixIn: Int32Array;
  readonly pixOut: Int32Array;
  readonly taps: Taps;
  readonly repeat: Repeat;
  /** Of the other operand of a sum: its pixels, and bytes from a group of images to the next. */
  readonly other: { readonly pixels: Int32Array; readonly stride: number } | null;
}

/** The slice of an epilogue that belongs to some channels. */
function sliceEpilogue(epilogue: Epilogue, from: number, to: number, channels: number): Epilogue {
  if (from === 0 && to === channels) return epilogue;
  const { weightScales, bias } = epilogue;
  return {
    ...epilogue,
    weightScales: weightScales.length === 1 ? weightScales : Array.from(weightScales).slice(from, to),
    bias: bias.kind === "none" ? bias : { ...bias, values: Array.from(bias.values).slice(from, to) },
  };
}

/** One part from its tables; `base` and `channelStride` say where a channel's weights start. */
export function partOf(
  problem: ConvProblem,
  machine: MachineChoice,
  group: number,
  tables: PartTables,
  weightsAt: { readonly base: number; readonly channelStride: number },
): Part {
  const { shape, epilogue } = problem;
  const channels = shape.outChannels / shape.groups;
  const first = group * channels;
  const zeros = problem.weightZeroPoints;
  const source = {
    data: problem.weights,
    zeroPoints: zeros === undefined || zeros.length === 1 ? zeros : Array.from(zeros).slice(first, first + channels),
    channels,
    ...weightsAt,
    runs: tables.taps.runs.length,
    runLength: tables.taps.runLength,
    taps: tables.taps.weights,
  };
  const flip = storageFlip(machine.dot);
  const weights = productWeights(source, machine);
  const zeroPoint = readZeroPoint(epilogue.inputZeroPoint, weights.variant, flip);
  return {
    form: { kind: "product" },
    repeat: tables.repeat,
    pixIn: tables.pixIn,
    pixOut: tables.pixOut,
    runs: tables.taps.runs,
    runBytes: paddedRun(tables.taps.runLength),
    weights,
    post: packPost(sliceEpilogue(epilogue, first, first + channels, shape.outChannels), weights, zeroPoint),
    output: epilogue.output,
    other: tables.other && { ...tables.other, offset: (problem.otherChannel ?? 0) + first },
    flip,
    xOffset: (problem.inputChannel ?? 0) + group * (shape.inChannels / shape.groups),
    yOffset: ((problem.outputChannel ?? 0) + first) * outputBytes(epilogue),
  };
}
