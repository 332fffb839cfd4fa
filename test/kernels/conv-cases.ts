/** Convolutions of many shapes compared with the reference, on any host: shared by the tests of real and emulated machines. */

import { expect } from "vitest";
import { convBorder, convParts } from "../../src/kernels/qconv/conv.ts";
import type { ConvProblem, ConvShape } from "../../src/kernels/qconv/conv.ts";
import { imageSize, NO_BORDER, pixelOffset, widerBorder } from "../../src/kernels/qconv/image.ts";
import type { Image } from "../../src/kernels/qconv/image.ts";
import { referenceConv, referenceTransposed } from "../../src/kernels/qconv/reference.ts";
import { transposedBorder, transposedParts } from "../../src/kernels/qconv/transposed.ts";
import type { MachineChoice } from "../../src/kernels/qgemm/gemm.ts";
import { PartBlock } from "../../src/kernels/qgemm/parts.ts";
import type { Epilogue } from "../../src/kernels/qgemm/post.ts";
import { runParts } from "../../src/kernels/qgemm/run.ts";
import { storageFlip } from "../../src/kernels/qgemm/variant.ts";
import { sumOf } from "./gemm-cases.ts";
import type { Host } from "./gemm-cases.ts";
import { int8, integer, integers, seeded } from "./helpers.ts";
import type { Random } from "./helpers.ts";

interface Case extends Partial<Omit<ConvShape, "inChannels" | "outChannels">> {
  readonly size: readonly [number, number, number];
  readonly channels: readonly [number, number];
  readonly outputPadding?: number;
}

const CASES: readonly Case[] = [
  { size: [1, 8, 8], channels: [16, 16], padding: [1, 1] },
  { size: [1, 5, 6], channels: [20, 16], padding: [1, 1] },
  { size: [2, 5, 7], channels: [3, 9], padding: [1, 1], stride: [2, 2] },
  { size: [1, 6, 6], channels: [8, 24], kernel: [1, 1], padding: [0, 0] },
  { size: [1, 7, 5], channels: [5, 3], kernel: [5, 3], padding: [2, 1] },
  { size: [1, 9, 9], channels: [4, 8], dilation: [2, 2], padding: [2, 2] },
  { size: [1, 6, 9], channels: [4, 8], dilation: [2, 1], padding: [2, 0], stride: [1, 3] },
  { size: [1, 5, 5], channels: [6, 10], groups: 2, padding: [1, 1] },
  { size: [2, 4, 4], channels: [6, 6], groups: 6, padding: [1, 1] },
  { size: [1, 4, 3], channels: [6, 12], groups: 6, padding: [1, 1] },
  { size: [6, 17, 19], channels: [4, 8], padding: [1, 1] },
  { size: [4, 40, 40], channels: [1, 9], stride: [2, 2] },
  { size: [1, 3, 3], channels: [7, 33], padding: [0, 0] },
  { size: [1, 1, 1], channels: [1, 1], padding: [1, 1] },
];

function isDepthwise({ groups, inChannels, outChannels }: ConvShape): boolean {
  return groups > 1 && groups === inChannels && groups === outChannels;
}

export function shapeOf(c: Case): ConvShape {
  const { kernel = [3, 3], stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1 } = c;
  return { inChannels: c.channels[0], outChannels: c.channels[1], kernel, stride, padding, dilation, groups };
}

export function convEpilogue(
  random: Random,
  channels: number,
  kind: "bytes" | "i32" | "sum",
  flip: 0 | 0x80 = 0,
): Epilogue {
  const zo = integer(random, 0, 255);
  const bytes = { kind: "bytes", scale: 0.1, zeroPoint: zo, low: random() < 0.5 ? zo : 0, high: 255 } as const;
  return {
    inputScale: 0.02,
    inputZeroPoint: [0, 255, integer(random, 1, 254)][integer(random, 0, 2)] ?? 0,
    weightScales: Array.from({ length: random() < 0.5 ? channels : 1 }, () => 0.002 + random() * 0.01),
    bias:
      random() < 0.3
        ? { kind: "none" }
        : { kind: "float", values: Float32Array.from({ length: channels }, () => random() * 4 - 2) },
    output: kind === "bytes" ? bytes : kind === "sum" ? sumOf(random, bytes, flip) : { kind },
  };
}

/** Runs a problem; x and a sum's other operand are dense NHWC, the result too. `spare` channels surround the ones used. */
function run(
  problem: ConvProblem,
  machine: MachineChoice,
  x: Uint8Array,
  other: Uint8Array,
  transposed: boolean,
  host: Host,
): number[] {
  const parts = (transposed ? transposedParts : convParts)(problem, machine);
  const block = new PartBlock(parts);
  const { input, output, epilogue, shape } = problem;
  const wide = epilogue.output.kind === "i32" ? 4 : 1;
  const otherImage = problem.other ?? output;
  const flip = parts[0]?.flip ?? 0;
  return host.memory.scope((alloc) => {
    const [constants, xAt, yAt] = [alloc(block.bytes), alloc(imageSize(input)), alloc(imageSize(output) * wide)];
    const otherAt = alloc(imageSize(otherImage));
    const residual = host.memory.u8(otherAt, imageSize(otherImage)).fill(99);
    eachPixel(otherImage, (n, y, i, dense) => {
      for (let c = 0; c < shape.outChannels; c++) {
        residual[pixelOffset(otherImage, n, y, i) + (problem.otherChannel ?? 0) + c] =
          (other[dense * shape.outChannels + c] ?? 0) ^ flip;
      }
    });
    const stored = host.memory.u8(xAt, imageSize(input)).fill(epilogue.inputZeroPoint ^ flip);
    const canvas = host.memory.u8(yAt, imageSize(output) * wide).fill(77);
    eachPixel(input, (n, y, i, dense) => {
      for (let c = 0; c < shape.inChannels; c++) {
        stored[pixelOffset(input, n, y, i) + (problem.inputChannel ?? 0) + c] =
          (x[dense * shape.inChannels + c] ?? 0) ^ flip;
      }
    });
    runParts(host.kernels, block.write(new Uint8Array(host.memory.wasm.buffer), constants, otherAt), xAt, yAt);
    const view = new DataView(canvas.buffer, yAt);
    const result: number[] = [];
    eachPixel(output, (n, y, i) => {
      for (let c = 0; c < shape.outChannels; c++) {
        const at = (pixelOffset(output, n, y, i) + (problem.outputChannel ?? 0) + c) * wide;
        result.push(wide === 1 ? view.getUint8(at) ^ flip : view.getInt32(at, true));
        for (let b = 0; b < wide; b++) canvas[at + b] = 77;
      }
    });
    expect(
      canvas.every((v) => v === 77),
      "wrote outside its pixels",
    ).toBe(true);
    return result;
  });
}

function eachPixel(image: Image, visit: (n: number, y: number, x: number, dense: number) => void): void {
  let dense = 0;
  for (let n = 0; n < image.n; n++)
    for (let y = 0; y < image.h; y++) for (let x = 0; x < image.w; x++) visit(n, y, x, dense++);
}

/** Activations of xRange (unsigned form), weights -weight..weight - 1. */
export function compareConv(
  host: Host,
  transposed: boolean,
  machine: MachineChoice,
  xRange: readonly [number, number],
  weight: number,
): void {
  const random = seeded(21);
  for (const c of CASES) {
    const shape = shapeOf(c);
    const [n, h, w] = c.size;
    const extent = (size: number, axis: 0 | 1): number => {
      const span = shape.dilation[axis] * (shape.kernel[axis] - 1) + 1;
      if (transposed)
        return (size - 1) * shape.stride[axis] - 2 * shape.padding[axis] + span + (shape.stride[axis] > 1 ? 1 : 0);
      return Math.floor((size + 2 * shape.padding[axis] - span) / shape.stride[axis]) + 1;
    };
    const [oh, ow] = [extent(h, 0), extent(w, 1)];
    for (const spare of [0, 3]) {
      const bare = { n, h, w, c: shape.inChannels + spare, border: NO_BORDER };
      const output = {
        n,
        h: oh,
        w: ow,
        c: shape.outChannels + spare,
        border: { top: 1, left: 0, bottom: 2, right: spare },
      };
      const needed = (transposed ? transposedBorder : convBorder)(shape, bare, output);
      const input = { ...bare, border: widerBorder(needed, { top: 0, left: spare, bottom: spare, right: 1 }) };
      const count = (shape.inChannels / shape.groups) * shape.outChannels * shape.kernel[0] * shape.kernel[1];
      const kinds = transposed || isDepthwise(shape) ? (["bytes", "i32"] as const) : (["bytes", "i32", "sum"] as const);
      const kind = kinds[integer(random, 0, kinds.length - 1)]!;
      const problem: ConvProblem = {
        shape,
        input,
        output,
        other: { ...output, border: { top: 0, left: 2, bottom: 1, right: 0 } },
        otherChannel: spare,
        inputChannel: spare,
        outputChannel: spare,
        weights: int8(random, count, -weight, weight - 1),
        epilogue: convEpilogue(random, shape.outChannels, kind, storageFlip(machine.dot)),
      };
      const x = integers(random, n * h * w * shape.inChannels, xRange[0], xRange[1], Uint8Array);
      const other = integers(random, n * oh * ow * shape.outChannels, 0, 255, Uint8Array);
      const { weights, epilogue } = problem;
      const expected = (transposed ? referenceTransposed : referenceConv)({
        shape,
        inputSize: c.size,
        outputSize: [oh, ow],
        x,
        weights,
        epilogue,
        other,
      });
      expect(run(problem, machine, x, other, transposed, host), `${JSON.stringify(c)} spare=${spare} ${kind}`).toEqual(
        expected,
      );
    }
  }
}
