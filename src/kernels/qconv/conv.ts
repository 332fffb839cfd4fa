/**
 * Convolution as an implicit matrix product: K is a few runs of contiguous bytes of a bordered NHWC
 * image (one run a kernel row, or one a tap when taps are not neighbours), and every output pixel is
 * an offset into x. Any kernel size, stride, dilation and number of groups; a group is a part.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import { outputBytes, readZeroPoint } from "../qgemm/gemm.ts";
import type { MachineChoice } from "../qgemm/gemm.ts";
import { packWeights, paddedRun, weightFacts, weightRows } from "../qgemm/pack.ts";
import type { Part } from "../qgemm/parts.ts";
import { packPost } from "../qgemm/post.ts";
import type { Epilogue } from "../qgemm/post.ts";
import { chooseVariant, storageFlip } from "../qgemm/variant.ts";
import { covers, pixelOffset, rowStride } from "./image.ts";
import type { Border, Image } from "./image.ts";

export interface ConvShape {
  readonly inChannels: number;
  readonly outChannels: number;
  /** [height, width], like the next three. */
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Above and left of the image; below and right follow from the output's size. */
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

export interface ConvProblem {
  readonly shape: ConvShape;
  readonly input: Image;
  /** The first of the input's channels that is read, and of the output's that is written. */
  readonly inputChannel?: number;
  readonly output: Image;
  readonly outputChannel?: number;
  /** PyTorch's order: [out, in / groups, kh, kw]; transposed convolutions [in, out / groups, kh, kw]. */
  readonly weights: Int8Array | Uint8Array;
  readonly weightZeroPoints?: ArrayLike<number>;
  readonly epilogue: Epilogue;
}

/** K of one output: offsets of its runs from the pixel, and which weight every position takes. */
export interface Taps {
  readonly runs: Int32Array;
  readonly runLength: number;
  readonly weights: Int32Array;
}

/** Border the input must have, holding the zero point. */
export function convBorder(shape: ConvShape, input: Image, output: Image): Border {
  const [kh, kw] = shape.kernel;
  const last = (size: number, stride: number, padding: number, dilation: number, kernel: number): number =>
    (size - 1) * stride - padding + dilation * (kernel - 1);
  return {
    top: shape.padding[0],
    left: shape.padding[1],
    bottom: Math.max(0, last(output.h, shape.stride[0], shape.padding[0], shape.dilation[0], kh) - input.h + 1),
    right: Math.max(0, last(output.w, shape.stride[1], shape.padding[1], shape.dilation[1], kw) - input.w + 1),
  };
}

/** Offsets of all pixels of an image in raster order, times `bytes`. */
export function pixelTable(image: Image, bytes: number): Int32Array {
  const table = new Int32Array(image.n * image.h * image.w);
  let at = 0;
  for (let n = 0; n < image.n; n++) {
    for (let y = 0; y < image.h; y++) {
      for (let x = 0; x < image.w; x++) table[at++] = pixelOffset(image, n, y, x) * bytes;
    }
  }
  return table;
}

/** Offset of the first tap of every output pixel. */
export function windowTable(shape: ConvShape, input: Image, output: Image): Int32Array {
  const table = new Int32Array(output.n * output.h * output.w);
  let at = 0;
  for (let n = 0; n < output.n; n++) {
    for (let y = 0; y < output.h; y++) {
      const iy = y * shape.stride[0] - shape.padding[0];
      for (let x = 0; x < output.w; x++) table[at++] = pixelOffset(input, n, iy, x * shape.stride[1] - shape.padding[1]);
    }
  }
  return table;
}

function convTaps(shape: ConvShape, input: Image): Taps {
  const [kh, kw] = shape.kernel;
  const depth = shape.inChannels / shape.groups;
  const joined = depth === input.c && (shape.dilation[1] === 1 || kw === 1);
  const perRun = joined ? kw : 1;
  const runs: number[] = [];
  const weights: number[] = [];
  for (let ky = 0; ky < kh; ky++) {
    for (let kx = 0; kx < kw; kx++) {
      if (kx % perRun === 0) runs.push(ky * shape.dilation[0] * rowStride(input) + kx * shape.dilation[1] * input.c);
      for (let c = 0; c < depth; c++) weights.push((c * kh + ky) * kw + kx);
    }
  }
  return { runs: Int32Array.from(runs), runLength: perRun * depth, weights: Int32Array.from(weights) };
}

/** The slice of an epilogue that belongs to some channels. */
export function sliceEpilogue(epilogue: Epilogue, from: number, to: number): Epilogue {
  const { weightScales, bias } = epilogue;
  return {
    ...epilogue,
    weightScales: weightScales.length === 1 ? weightScales : Array.from(weightScales).slice(from, to),
    bias: bias.kind === "none" ? bias : { ...bias, values: Array.from(bias.values).slice(from, to) },
  };
}

/** @throws ShapeError when sizes, channels or the input's border do not fit the convolution. */
export function checkConv(where: string, problem: ConvProblem, border: Border): void {
  const { shape, input, output } = problem;
  const { inChannels, outChannels, groups, kernel } = shape;
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new ShapeError(where, { inChannels, outChannels, groups }, "groups must divide both channel counts");
  }
  if (input.n !== output.n) throw new ShapeError(where, { input: input.n, output: output.n }, "input and output must have the same number of images");
  if ((problem.inputChannel ?? 0) + inChannels > input.c || (problem.outputChannel ?? 0) + outChannels > output.c) {
    throw new ShapeError(where, { inChannels, outChannels, input: input.c, output: output.c }, "the images have fewer channels than the convolution");
  }
  const count = (inChannels / groups) * outChannels * kernel[0] * kernel[1];
  if (problem.weights.length !== count) throw new ArgumentError(where, { weights: problem.weights.length, needed: count }, "the weights do not fit the shape");
  if (!covers(input.border, border)) throw new ShapeError(where, { border: input.border, needed: border }, "the input's border is too small for the padding");
}

/** One part from its tables; `base` and `channelStride` say where a channel's weights start. */
export function partOf(
  problem: ConvProblem,
  machine: MachineChoice,
  group: number,
  tables: { readonly pixIn: Int32Array; readonly pixOut: Int32Array; readonly taps: Taps },
  weightsAt: { readonly base: number; readonly channelStride: number },
): Part {
  const { shape, epilogue } = problem;
  const channels = shape.outChannels / shape.groups;
  const first = group * channels;
  const zeros = problem.weightZeroPoints;
  const rows = weightRows({
    data: problem.weights,
    zeroPoints: zeros === undefined || zeros.length === 1 ? zeros : Array.from(zeros).slice(first, first + channels),
    channels,
    ...weightsAt,
    runs: tables.taps.runs.length,
    runLength: tables.taps.runLength,
    taps: tables.taps.weights,
  });
  const flip = storageFlip(machine.dot);
  const variant = machine.variant ?? chooseVariant(machine.dot, weightFacts(rows), machine.activationMax);
  const weights = packWeights(rows, channels, variant);
  const zeroPoint = readZeroPoint(epilogue.inputZeroPoint, variant, flip);
  return {
    pixIn: tables.pixIn,
    pixOut: tables.pixOut,
    runs: tables.taps.runs,
    runBytes: paddedRun(tables.taps.runLength),
    weights,
    post: packPost(sliceEpilogue(epilogue, first, first + channels), weights, zeroPoint),
    output: epilogue.output,
    flip,
    xOffset: (problem.inputChannel ?? 0) + group * (shape.inChannels / shape.groups),
    yOffset: ((problem.outputChannel ?? 0) + first) * outputBytes(epilogue),
  };
}

/**
 * Parts of a convolution, one a group.
 * @throws ShapeError when the images do not fit; ArgumentError when the weights do not.
 */
export function convParts(problem: ConvProblem, machine: MachineChoice): Part[] {
  const { shape, input, output } = problem;
  checkConv("conv", problem, convBorder(shape, input, output));
  const tables = {
    pixIn: windowTable(shape, input, output),
    pixOut: pixelTable(output, outputBytes(problem.epilogue)),
    taps: convTaps(shape, input),
  };
  const perChannel = (shape.inChannels / shape.groups) * shape.kernel[0] * shape.kernel[1];
  const perGroup = (shape.outChannels / shape.groups) * perChannel;
  return Array.from({ length: shape.groups }, (_, group) =>
    partOf(problem, machine, group, tables, { base: group * perGroup, channelStride: perChannel }),
  );
}
