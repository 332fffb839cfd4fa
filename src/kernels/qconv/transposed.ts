/**
 * Transposed convolution as ordinary products, one part a phase: output rows whose index plus padding
 * has the same remainder modulo the stride use the same kernel rows, so each of the stride_h * stride_w
 * phases is a small stride-1 convolution that writes every stride-th pixel. Nothing is multiplied by
 * inserted zeros and nothing is scattered.
 */

import { outputBytes } from "../qgemm/gemm.ts";
import type { MachineChoice } from "../qgemm/gemm.ts";
import { ONCE } from "../qgemm/parts.ts";
import type { Part } from "../qgemm/parts.ts";
import { checkConv } from "./geometry.ts";
import type { ConvProblem, ConvShape } from "./geometry.ts";
import { pixelOffset, rowStride } from "./image.ts";
import type { Border, Image } from "./image.ts";
import { partOf } from "./part.ts";
import type { Taps } from "./part.ts";

/** Along one axis: kernel positions of a phase, and how far from the phase's base pixel each one reads. */
interface AxisTap {
  readonly k: number;
  readonly shift: number;
}

function axisTaps(phase: number, kernel: number, stride: number, dilation: number): AxisTap[] {
  const taps: AxisTap[] = [];
  for (let k = 0; k < kernel; k++) {
    const distance = phase - k * dilation;
    if (distance % stride === 0) taps.push({ k, shift: distance / stride });
  }
  return taps;
}

/** How far inputs are read before 0 and after size - 1 along one axis. */
function axisReach(outputs: number, inputs: number, axis: 0 | 1, shape: ConvShape): [number, number] {
  const [stride, padding] = [shape.stride[axis], shape.padding[axis]];
  let before = 0;
  let after = 0;
  for (let o = 0; o < outputs; o++) {
    const phase = (o + padding) % stride;
    const base = (o + padding - phase) / stride;
    for (const { shift } of axisTaps(phase, shape.kernel[axis], stride, shape.dilation[axis])) {
      before = Math.max(before, -(base + shift));
      after = Math.max(after, base + shift - (inputs - 1));
    }
  }
  return [before, after];
}

/** Border the input must have, holding the zero point. */
export function transposedBorder(shape: ConvShape, input: Image, output: Image): Border {
  const [top, bottom] = axisReach(output.h, input.h, 0, shape);
  const [left, right] = axisReach(output.w, input.w, 1, shape);
  return { top, left, bottom, right };
}

/** A phase that no tap reaches has one run of no bytes: its outputs are their biases. */
const NO_TAPS: Taps = { runs: new Int32Array(1), runLength: 0, weights: new Int32Array(0) };

function phaseTaps(shape: ConvShape, input: Image, phase: readonly [number, number]): Taps {
  const [kh, kw] = shape.kernel;
  const depth = shape.inChannels / shape.groups;
  const perGroup = shape.outChannels / shape.groups;
  const runs: number[] = [];
  const weights: number[] = [];
  for (const row of axisTaps(phase[0], kh, shape.stride[0], shape.dilation[0])) {
    for (const column of axisTaps(phase[1], kw, shape.stride[1], shape.dilation[1])) {
      runs.push(row.shift * rowStride(input) + column.shift * input.c);
      for (let c = 0; c < depth; c++) weights.push((c * perGroup * kh + row.k) * kw + column.k);
    }
  }
  if (runs.length === 0) return NO_TAPS;
  return { runs: Int32Array.from(runs), runLength: depth, weights: Int32Array.from(weights) };
}

/** Base input pixel and output pixel of everything a phase computes. */
function phaseTables(
  problem: ConvProblem,
  phase: readonly [number, number],
): { pixIn: Int32Array; pixOut: Int32Array } {
  const { shape, input, output } = problem;
  const bytes = outputBytes(problem.epilogue);
  const positions = (size: number, axis: 0 | 1): number[] =>
    Array.from({ length: size }, (_, i) => i).filter(
      (i) => (i + shape.padding[axis]) % shape.stride[axis] === phase[axis],
    );
  const [rows, columns] = [positions(output.h, 0), positions(output.w, 1)];
  const base = (o: number, axis: 0 | 1): number => (o + shape.padding[axis] - phase[axis]) / shape.stride[axis];
  const pixIn: number[] = [];
  const pixOut: number[] = [];
  for (let n = 0; n < output.n; n++) {
    for (const y of rows) {
      for (const x of columns) {
        pixIn.push(pixelOffset(input, n, base(y, 0), base(x, 1)));
        pixOut.push(pixelOffset(output, n, y, x) * bytes);
      }
    }
  }
  return { pixIn: Int32Array.from(pixIn), pixOut: Int32Array.from(pixOut) };
}

/**
 * Parts of a transposed convolution: phases times groups. `shape.padding` is PyTorch's; output padding
 * only shows in the output's size.
 * @throws ShapeError when the images do not fit; ArgumentError when the weights do not.
 */
export function transposedParts(problem: ConvProblem, machine: MachineChoice): Part[] {
  const { shape, input, output } = problem;
  checkConv("convTranspose", problem, transposedBorder(shape, input, output));
  const area = shape.kernel[0] * shape.kernel[1];
  const perGroup = (shape.inChannels / shape.groups) * (shape.outChannels / shape.groups) * area;
  const parts: Part[] = [];
  for (let py = 0; py < shape.stride[0]; py++) {
    for (let px = 0; px < shape.stride[1]; px++) {
      const tables = {
        ...phaseTables(problem, [py, px]),
        taps: phaseTaps(shape, input, [py, px]),
        repeat: ONCE,
        other: null,
      };
      if (tables.pixIn.length === 0) continue;
      for (let group = 0; group < shape.groups; group++) {
        parts.push(partOf(problem, machine, group, tables, { base: group * perGroup, channelStride: area }));
      }
    }
  }
  return parts;
}
