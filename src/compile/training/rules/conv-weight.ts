/**
 * The weight gradient of a convolution: dw[o][c][point] = sum over pixels of dy[pixel][o] * x[window of pixel][point][c].
 * Direct sums take pixels in blocks of whole lines that stay in the first-level cache; sums continue in memory, so
 * blocks change no bit.
 */

import { isDepthwise } from "../../../engine/f32/implicit.ts";
import type { Conv3d } from "../../../engine/f32/geometry.ts";
import {
  WEIGHT_SUMS_SCRATCH_ARGUMENT,
  WINOGRAD_TEMPORARY_BYTES,
  blocksOf,
  weightGroupSize,
  scratchBytes,
  weightSlots,
  winogradSumBytes,
} from "../../../engine/f32/winograd.ts";
import type { Node } from "../../../graph/graph.ts";
import { imageStride, pixelOffset, rowStride } from "../../../kernels/qconv/image.ts";
import type { Image } from "../../../kernels/qconv/image.ts";
import { pixelTable } from "../../../kernels/qconv/conv.ts";
import type { ConvAttrs } from "../../../ops/conv-geometry.ts";
import type { Buffer } from "../../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../../plan.ts";
import { constantI32 } from "../../steps/conv.ts";
import { convOperations } from "../../steps/quantized-conv.ts";
import { FLOATS_ONLY, blockBorder, inputBorder, problemOf, shapeOf, usesWinograd } from "./conv.ts";

const FLOAT = 4;
/** Pixels of a block: their 32-byte slices of x and 24-byte slices of dy fit the first-level cache. */
const BLOCK_PIXELS = 192;

interface Operands {
  readonly x: Buffer;
  readonly dy: Buffer;
  /** [outChannels][inChannels / groups][point]. */
  readonly dw: Buffer;
}

/** dw [out][point][in] at `sums` into the order of weights. */
function bindReorder({ engine }: Place, c: Conv3d, sums: number, dw: number): () => void {
  const { kernels } = engine;
  const inputs = c.inChannels / c.groups;
  const bytes = inputs * c.points * FLOAT;
  if (isDepthwise(c))
    return () => kernels.layout_transpose32(c.points, c.inChannels, sums, c.inChannels * FLOAT, dw, c.points * FLOAT);
  return () => {
    for (let o = 0; o < c.outChannels; o++)
      kernels.layout_transpose32(c.points, inputs, sums + o * bytes, inputs * FLOAT, dw + o * bytes, c.points * FLOAT);
  };
}

function bindWinograd(place: Place, c: Conv3d, { x, dy }: Operands, sums: number): () => void {
  const { engine, at, constant } = place;
  const { inChannels: channels, outChannels: outputs, outSize } = c;
  const [image, grad] = [x.image, dy.image];
  const blocks = blocksOf(c.batch, outSize[1], outSize[2]);
  const group = weightGroupSize(channels, outputs);
  const bytes = scratchBytes(channels, outputs, group);
  const scratch = constant(engine.threads * bytes);
  const slots = weightSlots(channels, outputs, blocks.all);
  const du = constant(winogradSumBytes(channels, outputs, slots));
  const temporary = constant(WINOGRAD_TEMPORARY_BYTES);
  const first = at(x) + pixelOffset(image, 0, -c.padding[1], -c.padding[2]) * FLOAT;
  const gradient = at(dy) + pixelOffset(grad, 0, 0, 0) * FLOAT;
  const operations = 18 * c.batch * c.outPixels * channels * outputs;
  const split = { at: 0, unit: 1, scratch: { at: WEIGHT_SUMS_SCRATCH_ARGUMENT, bytes } };
  return () => {
    engine.share("f32_winograd_weight_sums", [
      0, slots, slots, blocks.all, blocks.perRow, blocks.perImage, first, imageStride(image) * FLOAT, rowStride(image) * FLOAT,
      channels, gradient, imageStride(grad) * FLOAT, rowStride(grad) * FLOAT, outputs, du, scratch, group,
    ], split, operations); // prettier-ignore
    engine.kernels.f32_winograd_weight_grad(channels, outputs, du, slots, sums, temporary);
  };
}

/** Byte offsets of the kernel's runs: whole kernel rows where they are contiguous, else single points. */
function weightRuns(c: Conv3d, image: Image): { offsets: number[]; run: number } {
  const joined = c.groups === 1 && c.dilation[2] === 1;
  const width = joined ? 1 : c.kernel[2];
  const offsets: number[] = [];
  for (let y = 0; y < c.kernel[1]; y++)
    for (let x = 0; x < width; x++)
      offsets.push((y * c.dilation[1] * rowStride(image) + x * c.dilation[2] * image.c) * FLOAT);
  return { offsets, run: ((joined ? c.kernel[2] : 1) * c.inChannels) / c.groups };
}

/** Byte offsets of the first window of every line of outputs, or with `pixels` of every output. */
function windowTable(c: Conv3d, image: Image, pixels: boolean): number[] {
  const table: number[] = [];
  for (let n = 0; n < c.batch; n++)
    for (let y = 0; y < c.outSize[1]; y++)
      for (let x = 0; x < (pixels ? c.outSize[2] : 1); x++)
        table.push(pixelOffset(image, n, y * c.stride[1] - c.padding[1], x * c.stride[2] - c.padding[2]) * FLOAT);
  return table;
}

function lineTable(image: Image): number[] {
  return Array.from(
    { length: image.n * image.h },
    (_, i) => pixelOffset(image, Math.floor(i / image.h), i % image.h, 0) * FLOAT,
  );
}

function bindDense(place: Place, c: Conv3d, { x, dy }: Operands, sums: number): () => void {
  const { engine, at } = place;
  const { offsets, run } = weightRuns(c, x.image);
  const taps = constantI32(place, offsets);
  const xLines = constantI32(place, windowTable(c, x.image, false));
  const dyLines = constantI32(place, lineTable(dy.image));
  const lines = c.batch * c.outSize[1];
  const block = Math.max(1, Math.floor(BLOCK_PIXELS / c.outSize[2]));
  const [inputs, outputs] = [c.inChannels / c.groups, c.outChannels / c.groups];
  const dwRow = c.points * inputs * FLOAT;
  const [source, gradient] = [at(x), at(dy)];
  const split = { at: 0, unit: 6 };
  const perLine = 2 * c.outSize[2] * outputs * offsets.length * run;
  return () => {
    engine.kernels.fill_f32(sums, 0, c.outChannels * inputs * c.points);
    for (let line = 0; line < lines; line += block) {
      const count = Math.min(block, lines - line);
      for (let g = 0; g < c.groups; g++) {
        engine.share("f32_conv_weight_6x8", [
          0, outputs, count, xLines + line * 4, dyLines + line * 4, c.outSize[2], source + g * inputs * FLOAT,
          c.stride[2] * x.image.c * FLOAT, offsets.length, taps, run, gradient + g * outputs * FLOAT, dy.image.c * FLOAT,
          sums + g * outputs * dwRow, dwRow,
        ], split, count * perLine); // prettier-ignore
      }
    }
  };
}

function bindDepthwise(place: Place, c: Conv3d, { x, dy }: Operands, sums: number): () => void {
  const { engine, at } = place;
  const taps = constantI32(place, weightRuns({ ...c, groups: c.inChannels }, x.image).offsets);
  const table = constantI32(place, windowTable(c, x.image, true));
  const out = constantI32(place, pixelTable(dy.image, FLOAT));
  const rows = c.batch * c.outPixels;
  const [source, gradient, channels] = [at(x), at(dy), c.inChannels];
  const split = { at: 10, unit: 4 };
  return () => {
    engine.kernels.fill_f32(sums, 0, channels * c.points);
    engine.share(
      "f32_depthwise_weight",
      [0, rows, table, out, source, c.points, taps, gradient, sums, channels, 0, channels],
      split,
      2 * rows * c.points * channels,
    );
  };
}

function bind(place: Place, c: Conv3d, operands: Operands, winograd: boolean): () => void {
  const sums = place.constant(c.outChannels * (c.inChannels / c.groups) * c.points * FLOAT);
  const make = winograd ? bindWinograd : isDepthwise(c) ? bindDepthwise : bindDense;
  const sum = make(place, c, operands, sums);
  const reorder = bindReorder(place, c, sums, place.at(operands.dw));
  return () => {
    sum();
    reorder();
  };
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, dy] = node.args;
  const weight = plan.type(node.output).shape;
  const c = problemOf(shapeOf(x), weight, node.attrs as ConvAttrs);
  if (!c || plan.type(x!).dtype !== "float32") return FLOATS_ONLY;
  const operands = {
    x: plan.read(x!, node, { kind: "image", border: inputBorder(plan, c) }),
    dy: plan.read(dy!, node, { kind: "image", border: blockBorder(plan, c) }),
    dw: plan.write(node.output, "flat"),
  };
  const winograd = usesWinograd(plan, c);
  plan.step({
    node,
    kernel: `f32 ${winograd ? "winograd 4x4" : "conv 6x8"} weight gradient ${plan.engine.build}`,
    precision: "float",
    why: "",
    operations: convOperations(operands.dy.type, weight),
    reads: [operands.x, operands.dy],
    writes: [operands.dw],
    bind: (place) => bind(place, c, operands, winograd),
  });
}

export const convWeightRules: readonly (readonly [string, StepRule])[] = [
  [
    "convWeightGrad",
    {
      border(node, argument, machine) {
        const c = problemOf(shapeOf(node.args[0]), shapeOf(node.output), node.attrs as ConvAttrs);
        if (!c) return null;
        return argument === 0 ? inputBorder(machine, c) : blockBorder(machine, c);
      },
      emit,
    },
  ],
];
