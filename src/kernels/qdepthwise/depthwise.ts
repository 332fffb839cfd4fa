/**
 * Depthwise convolutions (one input and one output channel a group): packing of weights and choice
 * of the form. 3x3 with stride 1 and at least two rows slides along rows, by the adding dot also with stride 2; everything
 * else goes through tap offsets. The descriptor and its writing are those of the matrix products.
 */

import { ShapeError } from "../../errors.ts";
import { checkConv, convBorder, pixelTable, windowTable } from "../qconv/geometry.ts";
import type { ConvProblem } from "../qconv/geometry.ts";
import { imageStride, pixelOffset, rowStride } from "../qconv/image.ts";
import { outputBytes, readZeroPoint } from "../qgemm/gemm.ts";
import type { MachineChoice } from "../qgemm/gemm.ts";
import type { Variant } from "../qgemm/list.ts";
import { channelSums, weightFacts, weightRows } from "../qgemm/pack.ts";
import type { PackedWeights } from "../qgemm/pack.ts";
import { ONCE } from "../qgemm/parts.ts";
import type { Part, RowGeometry } from "../qgemm/parts.ts";
import { packPost } from "../qgemm/post.ts";
import { chooseVariant, storageFlip } from "../qgemm/variant.ts";
import type { RowsName } from "./list.ts";

/** [channels][kh * kw], zero points taken off, in PyTorch's tap order. */
function tapRows(problem: ConvProblem): { readonly rows: Int16Array; readonly taps: number } {
  const [kh, kw] = problem.shape.kernel;
  const taps = kh * kw;
  const rows = weightRows({
    data: problem.weights,
    zeroPoints: problem.weightZeroPoints,
    channels: problem.shape.outChannels,
    base: 0,
    channelStride: taps,
    runs: 1,
    runLength: taps,
    taps: Int32Array.from({ length: taps }, (_, i) => i),
  });
  return { rows, taps };
}

function packed(
  values: Int8Array | Int16Array,
  rows: Int16Array,
  channels: number,
  panels: number,
  variant: Variant,
): PackedWeights {
  const both = { bytes: new Uint8Array(values.buffer), panelBytes: values.byteLength / Math.max(1, panels) };
  const isWide = variant === "simd128";
  return { variant, narrow: isWide ? null : both, wide: isWide ? both : null, ...channelSums(rows, channels) };
}

/** [channels / 16][taps / group][16][group], group 4 (dot, s8) or 2 (plain, i16). `rows` are padded to 4. */
function packTaps(rows: Int16Array, channels: number, count: number, variant: Variant): PackedWeights {
  const width = rows.length / channels;
  const group = variant === "simd128" ? 2 : 4;
  const panels = Math.ceil(channels / 16);
  const values = variant === "simd128" ? new Int16Array(panels * 16 * count) : new Int8Array(panels * 16 * count);
  for (let c = 0; c < channels; c++) {
    for (let t = 0; t < Math.min(count, width); t++) {
      const at = ((Math.floor(c / 16) * (count / group) + Math.floor(t / group)) * 16 + (c % 16)) * group + (t % group);
      values[at] = rows[c * width + t] ?? 0;
    }
  }
  return packed(values, rows, channels, panels, variant);
}

/** [channels][kernel column][output row 0, 1][4]: a column's three weights, at the top and one row lower. */
function slidingRows(rows: Int16Array, channels: number): Int16Array {
  const width = rows.length / channels;
  const columns = new Int16Array(channels * 24);
  for (let c = 0; c < channels; c++) {
    for (let kx = 0; kx < 3; kx++) {
      for (let ky = 0; ky < 3; ky++) {
        const weight = rows[c * width + ky * 3 + kx] ?? 0;
        columns[c * 24 + kx * 8 + ky] = weight;
        columns[c * 24 + kx * 8 + 4 + ky + 1] = weight;
      }
    }
  }
  return columns;
}

/** [channels / 8][unit], units [kernel column][output row][channel half]: [4][4] s8, or i16 [4][2] of rows 0 and 1, behind them those of rows 2 and 3. */
function packSliding(columns: Int16Array, rows: Int16Array, channels: number, variant: Variant): PackedWeights {
  const panels = Math.ceil(channels / 8);
  const values = variant === "simd128" ? new Int16Array(panels * 192) : new Int8Array(panels * 192);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < 24; i++) {
      const [panel, unit] = [Math.floor(c / 8), Math.floor(i / 4) * 2 + (Math.floor(c / 4) % 2)];
      const row = i % 4;
      const at =
        variant === "simd128" ? ((row >> 1) * 12 + unit) * 8 + (c % 4) * 2 + (row & 1) : unit * 16 + (c % 4) * 4 + row;
      values[panel * 192 + at] = columns[c * 24 + i] ?? 0;
    }
  }
  return packed(values, rows, channels, panels, variant);
}

/** Whether a convolution is 3x3 with stride 2, or with stride 1 and two rows or more. */
function slides({ shape, output }: ConvProblem): boolean {
  const are = (pair: readonly [number, number], value: number): boolean => pair[0] === value && pair[1] === value;
  const fits = are(shape.stride, 2) || (are(shape.stride, 1) && output.h >= 2);
  return fits && are(shape.kernel, 3) && are(shape.dilation, 1);
}

/** Kernels that slide with stride 1. */
const ROWS = {
  relaxed_dot: "qdepthwise_3x3_2x8__relaxed_dot",
  relaxed_i16: "qdepthwise_3x3_2x8__relaxed_i16",
  simd128: "qdepthwise_3x3_2x8__simd128",
} as const;

/** The kernel that slides; null where tap offsets are as fast. */
function rowsKernel({ shape }: ConvProblem, variant: keyof typeof ROWS): RowsName | null {
  if (shape.stride[0] === 1) return ROWS[variant];
  return variant === "relaxed_dot" ? "qdepthwise_3x3s2_1x8__relaxed_dot" : null;
}

function geometryOf(problem: ConvProblem): RowGeometry {
  const { shape, input, output } = problem;
  const bytes = outputBytes(problem.epilogue);
  return {
    images: output.n,
    h: output.h,
    w: output.w,
    xFirst: pixelOffset(input, 0, -shape.padding[0], -shape.padding[1]),
    xImage: imageStride(input),
    xRow: rowStride(input),
    xPixel: input.c,
    yFirst: pixelOffset(output, 0, 0, 0) * bytes,
    yImage: imageStride(output) * bytes,
    yRow: rowStride(output) * bytes,
    yPixel: output.c * bytes,
  };
}

/** Offsets of the taps, padded to `count` by repeating the first (whose extra weights are zero). */
function tapOffsets({ shape, input }: ConvProblem, count: number): Int32Array {
  const [kh, kw] = shape.kernel;
  return Int32Array.from({ length: count }, (_, t) =>
    t < kh * kw
      ? Math.floor(t / kw) * shape.dilation[0] * rowStride(input) + (t % kw) * shape.dilation[1] * input.c
      : 0,
  );
}

/**
 * The part of a depthwise convolution. `form` forces tap offsets, for tests and measurements.
 * @throws ShapeError when groups, images or border do not fit; ArgumentError when the weights do not.
 */
export function depthwisePart(problem: ConvProblem, machine: MachineChoice, form?: "taps"): Part {
  const { shape, input, output, epilogue } = problem;
  const { groups, inChannels, outChannels } = shape;
  if (inChannels !== groups || outChannels !== groups) {
    throw new ShapeError(
      "depthwise",
      { inChannels, outChannels, groups },
      "a depthwise convolution has one channel a group",
    );
  }
  checkConv("depthwise", problem, convBorder(shape, input, output));
  const { rows, taps } = tapRows(problem);
  const sliding = form !== "taps" && slides(problem);
  const columns = sliding ? slidingRows(rows, groups) : rows;
  const chosen = machine.variant ?? chooseVariant(machine.dot, weightFacts(columns), machine.activationMax);
  // Depthwise products are too few a byte to look at the bytes first.
  const variant = chosen === "guarded_i16" ? "simd128" : chosen;
  const kernel = sliding ? rowsKernel(problem, variant) : null;
  if (sliding && !kernel) return depthwisePart(problem, machine, "taps");
  const group = variant === "simd128" ? 2 : 4;
  const count = Math.ceil(taps / group) * group;
  const weights = sliding ? packSliding(columns, rows, groups, variant) : packTaps(rows, groups, count, variant);
  const flip = storageFlip(machine.dot);
  const empty = new Int32Array(0);
  return {
    form: kernel ? { kind: "rows", kernel, geometry: geometryOf(problem) } : { kind: "taps" },
    repeat: ONCE,
    pixIn: sliding ? empty : windowTable(shape, input, output),
    pixOut: sliding ? empty : pixelTable(output, outputBytes(epilogue)),
    runs: sliding ? empty : tapOffsets(problem, count),
    runBytes: 0,
    weights,
    post: packPost(epilogue, weights, readZeroPoint(epilogue.inputZeroPoint, variant, flip)),
    output: epilogue.output,
    other: null,
    flip,
    xOffset: problem.inputChannel ?? 0,
    yOffset: (problem.outputChannel ?? 0) * outputBytes(epilogue),
  };
}
