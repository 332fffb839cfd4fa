/**
 * conv1d and conv2d in float → direct 6x8 tiles over bordered NHWC images, Winograd where it is allowed and pays, or
 * the depthwise kernel. Weights are packed (and transformed) when the plan is bound.
 */

import type { Engine } from "../../engine/engine.ts";
import { conv3d } from "../../engine/f32/geometry.ts";
import type { Conv3d } from "../../engine/f32/geometry.ts";
import {
  WINOGRAD_SCRATCH_ARGUMENT,
  WINOGRAD_STEP,
  WINOGRAD_TEMPORARY_BYTES,
  blocksOf,
  groupSize,
  scratchBytes,
  takesWinograd,
  winogradWeightBytes,
} from "../../engine/f32/winograd.ts";
import type { Node } from "../../graph/graph.ts";
import { DEPTHWISE_ROWS, PANEL, TILE_ROWS, convRowBlock } from "../../kernels/f32-gemm/tile.ts";
import { NO_BORDER, imageStride, pixelOffset, rowStride, widerBorder } from "../../kernels/qconv/image.ts";
import type { Border, Image } from "../../kernels/qconv/image.ts";
import { pixelTable } from "../../kernels/qconv/conv.ts";
import type { ConvShape } from "../../kernels/qconv/conv.ts";
import type { ConvAttrs } from "../../ops/conv-geometry.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { imageOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Machine, Place, PlanBuilder, StepRule } from "../plan.ts";
import { borderOf, convOperations, convShapeOf } from "./quantized-conv.ts";

const FLOAT = 4;

/** Copies numbers into the plan's constants. */
export function constantF32({ engine, constant }: Place, values: ArrayLike<number>, length = values.length): number {
  const at = constant(length * FLOAT);
  engine.memory.f32(at, length).fill(0).set(values);
  return at;
}

export function constantI32({ engine, constant }: Place, values: ArrayLike<number>): number {
  const at = constant(values.length * FLOAT);
  engine.memory.i32(at, values.length).set(values);
  return at;
}

/** Byte offset of every output pixel's first tap. */
function windows(shape: ConvShape, input: Image, output: Image): Int32Array {
  const table = new Int32Array(output.n * output.h * output.w);
  let at = 0;
  for (let n = 0; n < output.n; n++) {
    for (let y = 0; y < output.h; y++) {
      const top = y * shape.stride[0] - shape.padding[0];
      for (let x = 0; x < output.w; x++)
        table[at++] = pixelOffset(input, n, top, x * shape.stride[1] - shape.padding[1]) * FLOAT;
    }
  }
  return table;
}

/** Runs of the sum: whole kernel rows where they are contiguous, else single taps; offsets in bytes. */
function runsOf({ kernel: [kh, kw], dilation, groups }: ConvShape, input: Image): { offsets: number[]; taps: number } {
  const taps = groups === 1 && dilation[1] === 1 ? kw : 1;
  const offsets: number[] = [];
  for (let ky = 0; ky < kh; ky++) {
    for (let kx = 0; kx < kw; kx += taps)
      offsets.push((ky * dilation[0] * rowStride(input) + kx * dilation[1] * input.c) * FLOAT);
  }
  return { offsets, taps };
}

/** Packed panels of every group, from weights [out, in / groups, kh, kw]. */
function packWeights(
  place: Place,
  weight: Tensor,
  groups: number,
): { at: number; panelBytes: number; groupBytes: number } {
  const { engine, constant } = place;
  const [out, inputs] = weight.shape as [number, number];
  const points = weight.numel / (out * inputs);
  const outputs = out / groups;
  const panelBytes = points * inputs * PANEL * FLOAT;
  const groupBytes = Math.ceil(outputs / PANEL) * panelBytes;
  const at = constant(groups * groupBytes);
  engine.memory.scope((alloc) => {
    const source = alloc(weight.numel * FLOAT);
    engine.memory.f32(source, weight.numel).set(weight.data);
    for (let g = 0; g < groups; g++) {
      for (let point = 0; point < points; point++) {
        const from = source + (g * outputs * inputs * points + point) * FLOAT;
        const to = at + g * groupBytes + point * inputs * PANEL * FLOAT;
        engine.kernels.f32_pack(inputs, outputs, from, points * FLOAT, inputs * points * FLOAT, panelBytes, to);
      }
    }
  });
  return { at, panelBytes, groupBytes };
}

interface ConvStep {
  readonly shape: ConvShape;
  readonly input: Buffer;
  readonly output: Buffer;
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  /** Clamp of the results, for a fused activation. */
  readonly low: number;
  readonly high: number;
}

function bindDense(place: Place, { shape, input, output, weight, bias, low, high }: ConvStep): () => void {
  const { engine, at } = place;
  const { groups } = shape;
  const table = constantI32(place, windows(shape, input.image, output.image));
  const rows = output.image.n * output.image.h * output.image.w;
  const outTable = constantI32(place, pixelTable(output.image, FLOAT));
  const runs = runsOf(shape, input.image);
  const tapTable = constantI32(place, runs.offsets);
  const packed = packWeights(place, weight, groups);
  const [inputs, outputs] = [shape.inChannels / groups, shape.outChannels / groups];
  const padded = Math.ceil(outputs / PANEL) * PANEL;
  const inits = Array.from({ length: groups }, (_, g) =>
    constantF32(place, bias ? bias.data.slice(g * outputs, (g + 1) * outputs) : [], padded),
  );
  const [source, target] = [at(input), at(output)];
  const block = convRowBlock(packed.groupBytes);
  const operations = 2 * rows * outputs * inputs * shape.kernel[0] * shape.kernel[1];
  return () => {
    for (let g = 0; g < groups; g++) {
      engine.share("f32_gemm_6x8", [
        0, rows, table, outTable, source + g * inputs * FLOAT, runs.offsets.length, tapTable, runs.taps * inputs,
        packed.at + g * packed.groupBytes, packed.panelBytes, inits[g]!, 0, target + g * outputs * FLOAT, outputs, low, high, block,
      ], { at: 0, unit: TILE_ROWS }, operations); // prettier-ignore
    }
  };
}

/** Whether the sliding depthwise kernel takes a convolution. */
function slides({ kernel, stride, dilation }: ConvShape, output: Image): boolean {
  const isSquare = kernel.every((size) => size === 3) && dilation.every((step) => step === 1);
  return isSquare && stride[0] === stride[1] && stride[0] <= 2 && output.h >= 2;
}

interface SlidingStep extends Pick<ConvStep, "shape" | "input" | "output" | "low" | "high"> {
  /** Addresses of [9][channels] and [channels]. */
  readonly weights: number;
  readonly init: number;
}

/** One call an image, shared by pairs of rows. */
function bindSliding({ engine, at }: Place, step: SlidingStep): () => void {
  const { shape, weights, init, low, high } = step;
  const [x, y] = [step.input.image, step.output.image];
  const [top, left] = shape.padding;
  const calls = Array.from({ length: y.n }, (_, n): Parameters<typeof engine.kernels.f32_depthwise_3x3_rows> => [
    0, y.h, y.w,
    at(step.input) + pixelOffset(x, n, -top, -left) * FLOAT, rowStride(x) * FLOAT, x.c * FLOAT,
    at(step.output) + pixelOffset(y, n, 0, 0) * FLOAT, rowStride(y) * FLOAT, y.c * FLOAT,
    weights, init, shape.outChannels, shape.stride[0], low, high,
  ]); // prettier-ignore
  const split = { at: 0, unit: 2 };
  const operations = 2 * 9 * y.h * y.w * shape.outChannels;
  return () => {
    for (const call of calls) engine.share("f32_depthwise_3x3_rows", call, split, operations);
  };
}

function bindDepthwise(place: Place, { shape, input, output, weight, bias, low, high }: ConvStep): () => void {
  const { engine, at } = place;
  const channels = shape.outChannels;
  const points = weight.numel / channels;
  const transposed = Float32Array.from(
    { length: weight.numel },
    (_, i) => weight.data[(i % channels) * points + Math.floor(i / channels)]!,
  );
  const weights = constantF32(place, transposed);
  const init = constantF32(place, bias ? bias.data : [], Math.ceil(channels / PANEL) * PANEL);
  if (slides(shape, output.image)) return bindSliding(place, { shape, input, output, weights, init, low, high });
  const table = constantI32(place, windows(shape, input.image, output.image));
  const outTable = constantI32(place, pixelTable(output.image, FLOAT));
  const tapTable = constantI32(place, runsOf(shape, input.image).offsets);
  const rows = output.image.n * output.image.h * output.image.w;
  const [source, target] = [at(input), at(output)];
  const split = { at: 0, unit: DEPTHWISE_ROWS };
  const operations = 2 * rows * points * channels;
  return () =>
    engine.share(
      "f32_depthwise_4x8",
      [0, rows, table, outTable, source, points, tapTable, weights, init, target, channels, low, high],
      split,
      operations,
    );
}

/** The convolution as the Winograd helpers describe it; null when they do not apply. */
function winogradOf(machine: Machine, shape: ConvShape, input: Image): Conv3d | null {
  if (!machine.allowWinograd) return null;
  const { n: batch, h, w } = input;
  const c = conv3d({ ...shape, batch, size: [h, w] });
  return takesWinograd(machine.engine, c) ? c : null;
}

/** Border with a whole 6x6 window for every block of 4x4 outputs. */
function winogradBorder(shape: ConvShape, input: Image, c: Conv3d): Border {
  const beyond = (outputs: number, padding: number, size: number): number =>
    Math.max(0, Math.ceil(outputs / 4) * 4 + 2 - padding - size);
  const [top, left] = shape.padding;
  return { top, left, bottom: beyond(c.outSize[1], top, input.h), right: beyond(c.outSize[2], left, input.w) };
}

function bindWinograd(
  place: Place,
  { shape, input, output, weight, bias, low, high }: ConvStep,
  c: Conv3d,
): () => void {
  const { engine, at, constant } = place;
  const { kernels } = engine;
  const [x, y] = [input.image, output.image];
  const { inChannels: channels, outChannels: outputs } = shape;
  const u = constant(winogradWeightBytes(channels, outputs));
  engine.memory.scope((alloc) => {
    const source = alloc(weight.numel * FLOAT);
    engine.memory.f32(source, weight.numel).set(weight.data);
    kernels.f32_winograd_weights(
      source,
      channels * 9 * FLOAT,
      9 * FLOAT,
      3 * FLOAT,
      FLOAT,
      channels,
      outputs,
      u,
      alloc(WINOGRAD_TEMPORARY_BYTES),
    );
  });
  const blocks = blocksOf(y.n, y.h, y.w);
  const group = groupSize(channels, outputs);
  const bytes = scratchBytes(channels, outputs, group);
  const scratch = constant(bytes * engine.threads);
  const init = constantF32(place, bias ? bias.data : [], Math.ceil(outputs / PANEL) * PANEL);
  const source = at(input) + pixelOffset(x, 0, -c.padding[1], -c.padding[2]) * FLOAT;
  const target = at(output) + pixelOffset(y, 0, 0, 0) * FLOAT;
  const pixel = y.c * FLOAT;
  const operations = 2 * 9 * channels * outputs * y.n * y.h * y.w;
  return () =>
    engine.share("f32_winograd_conv", [
      0, blocks.all, blocks.perRow, blocks.perImage, source, imageStride(x) * FLOAT, rowStride(x) * FLOAT, channels, u, init,
      target, imageStride(y) * FLOAT, rowStride(y) * FLOAT, pixel, outputs, y.h, y.w, low, high, scratch, group,
    ], { at: 0, unit: WINOGRAD_STEP, scratch: { at: WINOGRAD_SCRATCH_ARGUMENT, bytes } }, operations); // prettier-ignore
}

/** What a convolution runs as, for `explain`. */
function kernelName(engine: Engine, form: "conv 6x8" | "winograd 4x4" | "depthwise 4x8" | "depthwise rows"): string {
  return `f32 ${form} ${engine.build}`;
}

/** Border for whichever kernel will be taken. */
function neededBorder(node: Node, weight: Shape, machine: Machine): Border {
  const [x] = node.args;
  const input = x instanceof Object ? imageOf(x.type?.shape ?? []) : null;
  const direct = borderOf(node, 0, weight);
  if (!input) return direct;
  const shape = convShapeOf(weight, node.attrs as ConvAttrs);
  const c = winogradOf(machine, shape, input);
  return c ? widerBorder(direct, winogradBorder(shape, input, c)) : direct;
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  const weight = plan.constant(w!);
  const bias = plan.constant(b ?? null);
  if (!weight || (b !== null && !bias)) return "the weight or bias is not a stored tensor";
  if (plan.type(x!).dtype !== "float32") return "only float32 convolutions have a kernel";
  const shape = convShapeOf(weight.shape, node.attrs as ConvAttrs);
  const { output: value, range } = plan.absorbClamp(node);
  const output = plan.write(value, "image");
  const input = plan.read(x!, node, { kind: "image", border: neededBorder(node, weight.shape, plan) });
  const depthwise = shape.groups > 1 && shape.groups === shape.inChannels && shape.groups === shape.outChannels;
  const winograd = winogradOf(plan, shape, input.image);
  const step: ConvStep = { shape, input, output, weight, bias, ...range };
  plan.step({
    node,
    kernel: kernelName(
      plan.engine,
      winograd
        ? "winograd 4x4"
        : !depthwise
          ? "conv 6x8"
          : slides(shape, output.image)
            ? "depthwise rows"
            : "depthwise 4x8",
    ),
    precision: "float",
    why: "",
    operations: convOperations(output.type, weight.shape),
    reads: [input],
    writes: [output],
    bind: (place) =>
      winograd ? bindWinograd(place, step, winograd) : depthwise ? bindDepthwise(place, step) : bindDense(place, step),
  });
}

export const convRule: StepRule = {
  border(node, argument, machine) {
    const weight = node.args[1];
    const shape = weight instanceof Object ? weight.type?.shape : undefined;
    return shape && argument === 0 ? neededBorder(node, shape, machine) : NO_BORDER;
  },
  emit,
};

export const convRules: readonly (readonly [string, StepRule])[] = [
  ["conv1d", convRule],
  ["conv2d", convRule],
];
