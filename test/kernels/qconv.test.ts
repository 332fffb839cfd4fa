/**
 * Quantized convolutions against the reference, bit for bit: kernel sizes, strides, dilations, groups,
 * transposed, odd channel counts, borders wider than needed, channel slices, in every variant.
 */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { ShapeError } from "../../src/errors.ts";
import { convBorder, convParts } from "../../src/kernels/qconv/conv.ts";
import { imageSize, NO_BORDER, pixelOffset, widerBorder } from "../../src/kernels/qconv/image.ts";
import { referenceConv, referenceTransposed } from "../../src/kernels/qconv/reference.ts";
import { transposedBorder, transposedParts } from "../../src/kernels/qconv/transposed.ts";
import { PartBlock } from "../../src/kernels/qgemm/parts.ts";
import { runParts } from "../../src/kernels/qgemm/run.ts";
import type { ConvProblem, ConvShape } from "../../src/kernels/qconv/conv.ts";
import type { Image } from "../../src/kernels/qconv/image.ts";
import type { MachineChoice } from "../../src/kernels/qgemm/gemm.ts";
import type { Epilogue } from "../../src/kernels/qgemm/post.ts";
import { int8, integer, integers, seeded } from "./helpers.ts";
import type { Random } from "./helpers.ts";

const engine = new Engine();

interface Case extends Partial<Omit<ConvShape, "inChannels" | "outChannels">> {
  readonly size: readonly [number, number, number];
  readonly channels: readonly [number, number];
  readonly outputPadding?: number;
}

const CASES: readonly Case[] = [
  { size: [1, 8, 8], channels: [16, 16], padding: [1, 1] },
  { size: [2, 5, 7], channels: [3, 9], padding: [1, 1], stride: [2, 2] },
  { size: [1, 6, 6], channels: [8, 24], kernel: [1, 1], padding: [0, 0] },
  { size: [1, 7, 5], channels: [5, 3], kernel: [5, 3], padding: [2, 1] },
  { size: [1, 9, 9], channels: [4, 8], dilation: [2, 2], padding: [2, 2] },
  { size: [1, 6, 9], channels: [4, 8], dilation: [2, 1], padding: [2, 0], stride: [1, 3] },
  { size: [1, 5, 5], channels: [6, 10], groups: 2, padding: [1, 1] },
  { size: [2, 4, 4], channels: [6, 6], groups: 6, padding: [1, 1] },
  { size: [1, 3, 3], channels: [7, 33], padding: [0, 0] },
  { size: [1, 1, 1], channels: [1, 1], padding: [1, 1] },
];

function shapeOf(c: Case): ConvShape {
  const { kernel = [3, 3], stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1 } = c;
  return { inChannels: c.channels[0], outChannels: c.channels[1], kernel, stride, padding, dilation, groups };
}

function epilogueOf(random: Random, channels: number, bytes: boolean): Epilogue {
  const zo = integer(random, 0, 255);
  return {
    inputScale: 0.02,
    inputZeroPoint: [0, 255, integer(random, 1, 254)][integer(random, 0, 2)] ?? 0,
    weightScales: Array.from({ length: random() < 0.5 ? channels : 1 }, () => 0.002 + random() * 0.01),
    bias: { kind: "float", values: Float32Array.from({ length: channels }, () => random() * 4 - 2) },
    output: bytes ? { kind: "bytes", scale: 0.1, zeroPoint: zo, low: random() < 0.5 ? zo : 0, high: 255 } : { kind: "i32" },
  };
}

/** Runs a problem; x is dense NHWC, the result too. `spare` channels surround the ones used. */
function run(problem: ConvProblem, machine: MachineChoice, x: Uint8Array, transposed: boolean, host: Engine): number[] {
  const parts = (transposed ? transposedParts : convParts)(problem, machine);
  const block = new PartBlock(parts);
  const { input, output, epilogue, shape } = problem;
  const wide = epilogue.output.kind === "bytes" ? 1 : 4;
  const flip = parts[0]?.flip ?? 0;
  return host.memory.scope((alloc) => {
    const [constants, xAt, yAt] = [alloc(block.bytes), alloc(imageSize(input)), alloc(imageSize(output) * wide)];
    const stored = host.memory.u8(xAt, imageSize(input)).fill(epilogue.inputZeroPoint ^ flip);
    const canvas = host.memory.u8(yAt, imageSize(output) * wide).fill(77);
    eachPixel(input, (n, y, i, dense) => {
      for (let c = 0; c < shape.inChannels; c++) {
        stored[pixelOffset(input, n, y, i) + (problem.inputChannel ?? 0) + c] = (x[dense * shape.inChannels + c] ?? 0) ^ flip;
      }
    });
    runParts(host.kernels, block.write(new Uint8Array(host.memory.wasm.buffer), constants), xAt, yAt);
    const view = new DataView(canvas.buffer, yAt);
    const result: number[] = [];
    eachPixel(output, (n, y, i) => {
      for (let c = 0; c < shape.outChannels; c++) {
        const at = (pixelOffset(output, n, y, i) + (problem.outputChannel ?? 0) + c) * wide;
        result.push(wide === 1 ? view.getUint8(at) ^ flip : view.getInt32(at, true));
        for (let b = 0; b < wide; b++) canvas[at + b] = 77;
      }
    });
    expect(canvas.every((v) => v === 77), "wrote outside its pixels").toBe(true);
    return result;
  });
}

function eachPixel(image: Image, visit: (n: number, y: number, x: number, dense: number) => void): void {
  let dense = 0;
  for (let n = 0; n < image.n; n++) for (let y = 0; y < image.h; y++) for (let x = 0; x < image.w; x++) visit(n, y, x, dense++);
}

function compare(transposed: boolean, machine: MachineChoice, xRange: readonly [number, number], weight: number, host: Engine = engine): void {
  const random = seeded(21);
  for (const c of CASES) {
    const shape = shapeOf(c);
    const [n, h, w] = c.size;
    const extent = (size: number, axis: 0 | 1): number => {
      const span = shape.dilation[axis] * (shape.kernel[axis] - 1) + 1;
      if (transposed) return (size - 1) * shape.stride[axis] - 2 * shape.padding[axis] + span + (shape.stride[axis] > 1 ? 1 : 0);
      return Math.floor((size + 2 * shape.padding[axis] - span) / shape.stride[axis]) + 1;
    };
    const [oh, ow] = [extent(h, 0), extent(w, 1)];
    for (const spare of [0, 3]) {
      const bare = { n, h, w, c: shape.inChannels + spare, border: NO_BORDER };
      const output = { n, h: oh, w: ow, c: shape.outChannels + spare, border: { top: 1, left: 0, bottom: 2, right: spare } };
      const needed = (transposed ? transposedBorder : convBorder)(shape, bare, output);
      const input = { ...bare, border: widerBorder(needed, { top: 0, left: spare, bottom: spare, right: 1 }) };
      const count = (shape.inChannels / shape.groups) * shape.outChannels * shape.kernel[0] * shape.kernel[1];
      const problem: ConvProblem = {
        shape, input, output, inputChannel: spare, outputChannel: spare,
        weights: int8(random, count, -weight, weight - 1),
        epilogue: epilogueOf(random, shape.outChannels, random() < 0.7),
      };
      const x = integers(random, n * h * w * shape.inChannels, xRange[0], xRange[1], Uint8Array);
      const { weights, epilogue } = problem;
      const expected = (transposed ? referenceTransposed : referenceConv)({ shape, inputSize: c.size, outputSize: [oh, ow], x, weights, epilogue });
      expect(run(problem, machine, x, transposed, host), `${JSON.stringify(c)} spare=${spare}`).toEqual(expected);
    }
  }
}

describe.each([
  ["conv", false],
  ["transposed conv", true],
] as const)("%s", (_, transposed) => {
  it("is exact in plain SIMD for every byte", () => compare(transposed, { dot: "unusable" }, [0, 255], 128));
  it("is exact in the plain build", () => compare(transposed, { dot: "unusable" }, [0, 255], 128, new Engine({ build: "simd" })));
  it("is exact with the variant chosen for this machine", () => compare(transposed, { dot: engine.dot }, [0, 255], 128));
  it("is exact with small weights on this machine", () => compare(transposed, { dot: engine.dot }, [0, 255], 64));
  it("agrees for signed storage where all machines do: plain SIMD reading flipped bytes", () =>
    compare(transposed, { dot: "signed", variant: "simd128" }, [0, 255], 128));
});

it("refuses an input whose border is too small for the padding", () => {
  const shape = shapeOf({ size: [1, 4, 4], channels: [1, 1], padding: [1, 1] });
  const image = { n: 1, h: 4, w: 4, c: 1, border: NO_BORDER };
  const epilogue = epilogueOf(seeded(1), 1, true);
  expect(() => convParts({ shape, input: image, output: image, weights: new Int8Array(9), epilogue }, { dot: "unusable" })).toThrow(ShapeError);
});
