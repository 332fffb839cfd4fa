/** Depthwise convolutions of many shapes compared with the reference, on any host. */

import { expect } from "vitest";
import { convBorder } from "../../src/kernels/qconv/geometry.ts";
import type { ConvProblem, ConvShape } from "../../src/kernels/qconv/geometry.ts";
import { imageSize, NO_BORDER, pixelOffset, widerBorder } from "../../src/kernels/qconv/image.ts";
import { referenceConv } from "../../src/kernels/qconv/reference.ts";
import { depthwisePart } from "../../src/kernels/qdepthwise/depthwise.ts";
import type { MachineChoice } from "../../src/kernels/qgemm/gemm.ts";
import { PartBlock } from "../../src/kernels/qgemm/parts.ts";
import type { Epilogue } from "../../src/kernels/qgemm/post.ts";
import { kernelOf, runParts } from "../../src/kernels/qgemm/run.ts";
import type { Host } from "./gemm-cases.ts";
import { int8, integer, integers, seeded } from "./helpers.ts";

/** Names of the kernels that ran. */
export const used = new Set<string>();

function run(
  problem: ConvProblem,
  machine: MachineChoice,
  form: "taps" | undefined,
  x: Uint8Array,
  host: Host,
): number[] {
  const part = depthwisePart(problem, machine, form);
  const block = new PartBlock([part]);
  const { input, output, epilogue, shape } = problem;
  const wide = epilogue.output.kind === "bytes" ? 1 : 4;
  return host.memory.scope((alloc) => {
    const [constants, xAt, yAt] = [alloc(block.bytes), alloc(imageSize(input)), alloc(imageSize(output) * wide)];
    const stored = host.memory.u8(xAt, imageSize(input)).fill(epilogue.inputZeroPoint ^ part.flip);
    const canvas = host.memory.u8(yAt, imageSize(output) * wide).fill(77);
    const channels = shape.inChannels;
    x.forEach((v, i) => {
      const pixel = Math.floor(i / channels);
      const at = pixelOffset(
        input,
        Math.floor(pixel / (input.h * input.w)),
        Math.floor(pixel / input.w) % input.h,
        pixel % input.w,
      );
      stored[at + (problem.inputChannel ?? 0) + (i % channels)] = v ^ part.flip;
    });
    const placed = block.write(new Uint8Array(host.memory.wasm.buffer), constants);
    placed.forEach((one) => used.add(kernelOf(one)));
    runParts(host.kernels, placed, xAt, yAt);
    const view = new DataView(canvas.buffer, yAt);
    const result: number[] = [];
    for (let n = 0; n < output.n; n++)
      for (let y = 0; y < output.h; y++)
        for (let i = 0; i < output.w; i++)
          for (let c = 0; c < channels; c++) {
            const at = (pixelOffset(output, n, y, i) + (problem.outputChannel ?? 0) + c) * wide;
            result.push(wide === 1 ? view.getUint8(at) ^ part.flip : view.getInt32(at, true));
            canvas.fill(77, at, at + wide);
          }
    expect(
      canvas.every((v) => v === 77),
      "wrote outside its pixels",
    ).toBe(true);
    return result;
  });
}

type Case = readonly [
  channels: number,
  n: number,
  h: number,
  w: number,
  kernel: number,
  stride: number,
  dilation: number,
];
const SLIDING: readonly Case[] = [
  [1, 1, 2, 1, 3, 1, 1],
  [8, 2, 5, 6, 3, 1, 1],
  [13, 1, 3, 4, 3, 1, 1],
  [32, 1, 4, 9, 3, 1, 1],
  [8, 1, 1, 1, 3, 2, 1],
  [16, 2, 5, 8, 3, 2, 1],
  [13, 1, 6, 7, 3, 2, 1],
];
const OTHERS: readonly Case[] = [
  [16, 1, 1, 5, 3, 1, 1],
  [24, 1, 7, 5, 5, 1, 1],
  [17, 1, 8, 8, 3, 1, 2],
  [33, 1, 4, 4, 1, 1, 1],
  [40, 1, 5, 5, 2, 2, 1],
];

/** Activations of `range` (unsigned form), weights -weight..weight - 1. */
export function compareDepthwise(
  host: Host,
  machine: MachineChoice,
  range: readonly [number, number],
  weight: number,
): void {
  const random = seeded(31);
  const cases = [
    ...SLIDING.flatMap(
      (c) =>
        [
          [c, undefined],
          [c, "taps"],
        ] as const,
    ),
    ...OTHERS.map((c) => [c, undefined] as const),
  ];
  for (const [[channels, n, h, w, k, stride, dilation], form] of cases) {
    const padding = ((k - 1) * dilation) >> 1;
    const pair = (v: number): [number, number] => [v, v];
    const shape: ConvShape = {
      inChannels: channels,
      outChannels: channels,
      groups: channels,
      kernel: pair(k),
      stride: pair(stride),
      padding: pair(padding),
      dilation: pair(dilation),
    };
    const extent = (size: number): number => Math.floor((size + 2 * padding - dilation * (k - 1) - 1) / stride) + 1;
    const spare = integer(random, 0, 1) * 3;
    const bare = { n, h, w, c: channels + spare, border: NO_BORDER };
    const output = {
      n,
      h: extent(h),
      w: extent(w),
      c: channels + spare,
      border: { top: 1, left: spare, bottom: 0, right: 2 },
    };
    const input = {
      ...bare,
      border: widerBorder(convBorder(shape, bare, output), { top: 0, left: 1, bottom: spare, right: 0 }),
    };
    const zo = integer(random, 0, 255);
    const bytes = random() < 0.7;
    const epilogue: Epilogue = {
      inputScale: 0.02,
      inputZeroPoint: [range[0], range[1], range[0] + 13][integer(random, 0, 2)] ?? 0,
      weightScales: Array.from({ length: channels }, () => 0.002 + random() * 0.01),
      bias:
        random() < 0.3
          ? { kind: "none" }
          : { kind: "float", values: Float32Array.from({ length: channels }, () => random() * 2 - 1) },
      output: bytes
        ? { kind: "bytes", scale: 0.02, zeroPoint: zo, low: random() < 0.5 ? zo : 0, high: 255 }
        : { kind: "i32" },
    };
    const weights = int8(random, channels * k * k, -weight, weight - 1);
    const problem = { shape, input, output, inputChannel: spare, outputChannel: spare, weights, epilogue };
    const x = integers(random, n * h * w * channels, range[0], range[1], Uint8Array);
    const want = referenceConv({ shape, inputSize: [n, h, w], outputSize: [output.h, output.w], x, weights, epilogue });
    expect(
      run(problem, machine, form, x, host),
      `${channels}ch ${h}x${w} k${k} s${stride} d${dilation} ${form}`,
    ).toEqual(want);
  }
}
