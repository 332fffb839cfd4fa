/**
 * Convolution as an implicit matrix product: K is a few runs of contiguous bytes of a bordered NHWC
 * image (one run a kernel row, or one a tap when taps are not neighbours), and every output pixel is
 * an offset into x. Any kernel size, stride, dilation and number of groups; a group is a part.
 * Depthwise convolutions have kernels of their own.
 */

import { depthwisePart } from "../qdepthwise/depthwise.ts";
import { outputBytes } from "../qgemm/gemm.ts";
import type { MachineChoice } from "../qgemm/gemm.ts";
import type { Part } from "../qgemm/parts.ts";
import { checkConv, convBorder, pixelTable, windowTable } from "./geometry.ts";
import type { ConvProblem, ConvShape } from "./geometry.ts";
import { rowStride } from "./image.ts";
import type { Image } from "./image.ts";
import { partOf } from "./part.ts";
import type { Taps } from "./part.ts";

export { convBorder, pixelTable } from "./geometry.ts";
export type { ConvProblem, ConvShape } from "./geometry.ts";

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

/**
 * Parts of a convolution, one a group; a depthwise convolution is one part.
 * @throws ShapeError when the images do not fit; ArgumentError when the weights do not.
 */
export function convParts(problem: ConvProblem, machine: MachineChoice): Part[] {
  const { shape, input, output } = problem;
  if (shape.groups > 1 && shape.inChannels === shape.groups && shape.outChannels === shape.groups) return [depthwisePart(problem, machine)];
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
