/**
 * Convolution as an implicit matrix product: K is a few runs of contiguous bytes of a bordered NHWC
 * image (one run a kernel row, or one a tap when taps are not neighbours), and every output pixel is
 * an offset into x. Any kernel size, stride, dilation and number of groups; a group is a part.
 * Depthwise convolutions have kernels of their own.
 */

import { depthwisePart } from "../qdepthwise/depthwise.ts";
import { outputBytes } from "../qgemm/gemm.ts";
import type { MachineChoice } from "../qgemm/gemm.ts";
import { NO_WEIGHT, paddedRun } from "../qgemm/pack.ts";
import type { Part } from "../qgemm/parts.ts";
import { checkConv, convBorder, pixelTable, windowTable } from "./geometry.ts";
import type { ConvProblem, ConvShape } from "./geometry.ts";
import { imageStride, rowStride } from "./image.ts";
import type { Image } from "./image.ts";
import { partOf } from "./part.ts";
import type { Taps } from "./part.ts";

export { convBorder, pixelTable } from "./geometry.ts";
export type { ConvProblem, ConvShape } from "./geometry.ts";

/** Pixels of a group's tables: at most a quarter of L1, and enough that a partial tile does not matter. */
const MOST_TABLE_PIXELS = 1024;
const LEAST_TABLE_PIXELS = 256;

/** Runs of a window. Pixels of a few bytes more than the channels (images padded to four) are read whole, with weights of zero. */
function convTaps(shape: ConvShape, input: Image): Taps {
  const [kh, kw] = shape.kernel;
  const depth = shape.inChannels / shape.groups;
  const dense = depth === input.c || (shape.groups === 1 && paddedRun(depth) === input.c);
  const joined = dense && (shape.dilation[1] === 1 || kw === 1);
  const perRun = joined ? kw : 1;
  const width = joined ? input.c : depth;
  const runLength = perRun * width;
  const count = (kh * kw) / perRun;
  const runs = new Int32Array(count);
  const weights = new Int32Array(count * runLength).fill(NO_WEIGHT);
  const [stepY, stepX] = [shape.dilation[0] * rowStride(input), shape.dilation[1] * input.c];
  for (let ky = 0, run = 0; ky < kh; ky++) {
    for (let kx = 0; kx < kw; kx += perRun, run++) {
      runs[run] = ky * stepY + kx * stepX;
      for (let x = 0; x < perRun; x++) {
        const at = run * runLength + x * width;
        for (let c = 0, from = ky * kw + kx + x; c < depth; c++, from += kh * kw) weights[at + c] = from;
      }
    }
  }
  return { runs, runLength, weights };
}

/**
 * Images that share one set of tables, the most of those that divide the batch and keep the tables in L1. Few
 * pixels would leave much of each group's last tile unused; then the whole batch is one group.
 */
function groupSize({ n, h, w }: Image): number {
  let best = 1;
  for (let size = 1; size <= n; size++) if (n % size === 0 && size * h * w <= MOST_TABLE_PIXELS) best = size;
  return n === 0 || best * h * w < LEAST_TABLE_PIXELS ? Math.max(1, n) : best;
}

/** One input and one output channel a group: these have kernels of their own. */
export function isDepthwise({ groups, inChannels, outChannels }: ConvShape): boolean {
  return groups > 1 && inChannels === groups && outChannels === groups;
}

/**
 * Parts of a convolution, one a group; a depthwise convolution is one part.
 * @throws ShapeError when the images do not fit; ArgumentError when the weights do not.
 */
export function convParts(problem: ConvProblem, machine: MachineChoice): Part[] {
  const { shape, input, output } = problem;
  if (isDepthwise(shape)) return [depthwisePart(problem, machine)];
  checkConv("conv", problem, convBorder(shape, input, output));
  const bytes = outputBytes(problem.epilogue);
  const n = groupSize(output);
  const tables = {
    pixIn: windowTable(shape, { ...input, n }, { ...output, n }),
    pixOut: pixelTable({ ...output, n }, bytes),
    other: problem.other
      ? { pixels: pixelTable({ ...problem.other, n }, 1), stride: n * imageStride(problem.other) }
      : null,
    taps: convTaps(shape, input),
    repeat: { groups: output.n / n, xStride: n * imageStride(input), yStride: n * imageStride(output) * bytes },
  };
  const perChannel = (shape.inChannels / shape.groups) * shape.kernel[0] * shape.kernel[1];
  const perGroup = (shape.outChannels / shape.groups) * perChannel;
  return Array.from({ length: shape.groups }, (_, group) =>
    partOf(problem, machine, group, tables, { base: group * perGroup, channelStride: perChannel }),
  );
}
