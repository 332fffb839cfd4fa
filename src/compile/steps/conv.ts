/**
 * conv1d and conv2d in float → direct 6x8 tiles over bordered NHWC images, or the depthwise kernel. Weights are
 * packed when the plan is bound.
 */

import type { Engine } from "../../engine/engine.ts";
import type { Node } from "../../graph/graph.ts";
import { NO_BORDER, pixelOffset, rowStride } from "../../kernels/qconv/image.ts";
import type { Image } from "../../kernels/qconv/image.ts";
import { pixelTable } from "../../kernels/qconv/conv.ts";
import type { ConvShape } from "../../kernels/qconv/conv.ts";
import type { ConvAttrs } from "../../ops/conv-geometry.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer, Place, PlanBuilder, StepRule } from "../plan.ts";
import { borderOf, convOperations, convShapeOf } from "./quantized-conv.ts";

const FLOAT = 4;
/** Output channels of one packed panel. */
const PANEL = 8;
/** Packed weights above this many bytes are walked panel by panel, in blocks of rows, smaller ones tile by tile. */
const PANELS_IN_CACHE = 256 * 1024;
const ROW_BLOCK = 192;
const TILE_ROWS = 6;

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
      for (let x = 0; x < output.w; x++) table[at++] = pixelOffset(input, n, top, x * shape.stride[1] - shape.padding[1]) * FLOAT;
    }
  }
  return table;
}

/** Runs of the sum: whole kernel rows where they are contiguous, else single taps; offsets in bytes. */
function runsOf({ kernel: [kh, kw], dilation, groups }: ConvShape, input: Image): { offsets: number[]; taps: number } {
  const taps = groups === 1 && dilation[1] === 1 ? kw : 1;
  const offsets: number[] = [];
  for (let ky = 0; ky < kh; ky++) {
    for (let kx = 0; kx < kw; kx += taps) offsets.push((ky * dilation[0] * rowStride(input) + kx * dilation[1] * input.c) * FLOAT);
  }
  return { offsets, taps };
}

/** Packed panels of every group, from weights [out, in / groups, kh, kw]. */
function packWeights(place: Place, weight: Tensor, groups: number): { at: number; panelBytes: number; groupBytes: number } {
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
  const inits = Array.from({ length: groups }, (_, g) => constantF32(place, bias ? bias.data.slice(g * outputs, (g + 1) * outputs) : [], padded));
  const [source, target] = [at(input), at(output)];
  const block = packed.groupBytes > PANELS_IN_CACHE ? ROW_BLOCK : TILE_ROWS;
  const { kernels } = engine;
  return () => {
    for (let g = 0; g < groups; g++) {
      kernels.f32_gemm_6x8(
        0, rows, table, outTable, source + g * inputs * FLOAT, runs.offsets.length, tapTable, runs.taps * inputs,
        packed.at + g * packed.groupBytes, packed.panelBytes, inits[g]!, 0, target + g * outputs * FLOAT, outputs, low, high, block,
      ); // prettier-ignore
    }
  };
}

function bindDepthwise(place: Place, { shape, input, output, weight, bias, low, high }: ConvStep): () => void {
  const { engine, at } = place;
  const channels = shape.outChannels;
  const points = weight.numel / channels;
  const transposed = Float32Array.from({ length: weight.numel }, (_, i) => weight.data[(i % channels) * points + Math.floor(i / channels)]!);
  const weights = constantF32(place, transposed);
  const table = constantI32(place, windows(shape, input.image, output.image));
  const outTable = constantI32(place, pixelTable(output.image, FLOAT));
  const tapTable = constantI32(place, runsOf(shape, input.image).offsets);
  const init = constantF32(place, bias ? bias.data : [], Math.ceil(channels / PANEL) * PANEL);
  const rows = output.image.n * output.image.h * output.image.w;
  const [source, target] = [at(input), at(output)];
  return () => engine.kernels.f32_depthwise_4x8(0, rows, table, outTable, source, points, tapTable, weights, init, target, channels, low, high);
}

/** What an engine would run for this convolution, for `explain`. */
function kernelName(engine: Engine, depthwise: boolean): string {
  return `${depthwise ? "f32 depthwise 4x8" : "f32 conv 6x8"} ${engine.build}`;
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
  const input = plan.read(x!, node, { kind: "image", border: borderOf(node, 0, weight.shape) });
  const depthwise = shape.groups > 1 && shape.groups === shape.inChannels && shape.groups === shape.outChannels;
  const step: ConvStep = { shape, input, output, weight, bias, ...range };
  plan.step({
    node,
    kernel: kernelName(plan.engine, depthwise),
    precision: "float",
    why: "",
    operations: convOperations(output.type, weight.shape),
    reads: [input],
    writes: [output],
    bind: (place) => (depthwise ? bindDepthwise(place, step) : bindDense(place, step)),
  });
}

const rule: StepRule = {
  border(node, argument) {
    const weight = node.args[1];
    const shape = weight instanceof Object ? weight.type?.shape : undefined;
    return shape ? borderOf(node, argument, shape) : NO_BORDER;
  },
  emit,
};

export const convRules: readonly (readonly [string, StepRule])[] = [
  ["conv1d", rule],
  ["conv2d", rule],
];
