/**
 * Convolutions in training: forward with weights that change, and both gradients. 3x3 kernels with stride 1 take
 * Winograd transforms where they are allowed, everything else the direct tiles of products (product.ts).
 */

import { conv3d } from "../../../engine/f32/geometry.ts";
import type { Conv3d } from "../../../engine/f32/geometry.ts";
import { axisPhases, axisReach } from "../../../engine/f32/phases.ts";
import type { AxisPhase } from "../../../engine/f32/phases.ts";
import {
  WINOGRAD_SCRATCH_ARGUMENT,
  WINOGRAD_STEP,
  WINOGRAD_TEMPORARY_BYTES,
  blocksOf,
  groupSize,
  scratchBytes,
  takesWinograd,
  winogradWeightBytes,
} from "../../../engine/f32/winograd.ts";
import type { Argument, Node } from "../../../graph/graph.ts";
import { Value } from "../../../graph/graph.ts";
import { imageStride, pixelOffset, rowStride, widerBorder } from "../../../kernels/qconv/image.ts";
import type { Border, Image } from "../../../kernels/qconv/image.ts";
import { pixelTable } from "../../../kernels/qconv/conv.ts";
import type { ConvAttrs } from "../../../ops/conv-geometry.ts";
import type { Shape } from "../../../tensor/shape.ts";
import { imageOf } from "../../form.ts";
import type { Buffer } from "../../buffer.ts";
import type { Machine, Place, PlanBuilder, StepRule } from "../../plan.ts";
import { constantF32, convRule } from "../../steps/conv.ts";
import { convOperations, convShapeOf } from "../../steps/quantized-conv.ts";
import type { Range } from "../../steps/clamps.ts";
import { unlimited } from "../../steps/clamps.ts";
import { bindProduct } from "./product.ts";
import type { Product } from "./product.ts";

const FLOAT = 4;

/** The convolution a node is about, from the shapes of its input, weight and attributes; null for three spatial axes. */
function problemOf(input: Shape, weight: Shape, attrs: ConvAttrs): Conv3d | null {
  const image = imageOf(input);
  if (!image || attrs.stride.length > 2) return null;
  return conv3d({ ...convShapeOf(weight, attrs), batch: image.n, size: [image.h, image.w] });
}

function shapeOf(argument: Argument | undefined): Shape {
  return argument instanceof Value ? (argument.type?.shape ?? []) : [];
}

function usesWinograd(machine: Machine, c: Conv3d): boolean {
  return machine.allowWinograd && takesWinograd(machine.engine, c);
}

/** Border that holds a whole window for every output whose first window begins at `start`. */
function windowBorder(
  start: readonly [number, number],
  ends: readonly [number, number],
  size: readonly [number, number],
): Border {
  const beyond = (i: 0 | 1): number => Math.max(0, ends[i] - size[i]);
  const before = (i: 0 | 1): number => Math.max(0, -start[i]);
  return { top: before(0), left: before(1), bottom: beyond(0), right: beyond(1) };
}

/** Where whole 6x6 windows end that begin at `start`, one for every 4x4 block of outputs. */
function winogradEnd(start: number, outputs: number): number {
  return start + Math.ceil(outputs / 4) * 4 + 2;
}

/** What forward and weight gradient read around x. */
function inputBorder(machine: Machine, c: Conv3d): Border {
  const [, ph, pw] = c.padding;
  const end = (i: 1 | 2): number =>
    (c.outSize[i] - 1) * c.stride[i] + c.dilation[i] * (c.kernel[i] - 1) + 1 - c.padding[i];
  const size = [c.size[1], c.size[2]] as const;
  const direct = windowBorder([-ph, -pw], [end(1), end(2)], size);
  if (!usesWinograd(machine, c)) return direct;
  const ends = [winogradEnd(-ph, c.outSize[1]), winogradEnd(-pw, c.outSize[2])] as const;
  return widerBorder(direct, windowBorder([-ph, -pw], ends, size));
}

/** The kernel turned around is slid over dy: windows begin this far before the first pixel. */
function backwardStart(c: Conv3d): readonly [number, number] {
  return [c.padding[1] - c.kernel[1] + 1, c.padding[2] - c.kernel[2] + 1];
}

/** What the input gradient reads around dy. */
function gradientBorder(machine: Machine, c: Conv3d): Border {
  if (usesWinograd(machine, c)) {
    const start = backwardStart(c);
    const ends = [winogradEnd(start[0], c.size[1]), winogradEnd(start[1], c.size[2])] as const;
    return windowBorder(start, ends, [c.outSize[1], c.outSize[2]]);
  }
  const [y, x] = [axisReach(axisPhases(c, 1), c.outSize[1]), axisReach(axisPhases(c, 2), c.outSize[2])];
  return { top: y.low, left: x.low, bottom: y.high, right: x.high };
}

/** dy in whole 4x4 blocks, for the weight gradient. */
function blockBorder(machine: Machine, c: Conv3d): Border {
  const rest = (size: number): number => (usesWinograd(machine, c) ? Math.ceil(size / 4) * 4 - size : 0);
  return { top: 0, left: 0, bottom: rest(c.outSize[1]), right: rest(c.outSize[2]) };
}

interface Slide {
  readonly input: Buffer;
  readonly output: Buffer;
  readonly weight: Buffer;
  readonly bias: Buffer | null;
  readonly range: Range;
  /** Turned kernel, sums over output channels: the input gradient. */
  readonly backward: boolean;
}

/** Winograd forward or input gradient. */
function bindWinograd(place: Place, c: Conv3d, { input, output, weight, bias, range, backward }: Slide): () => void {
  const { engine, at, constant } = place;
  const [x, y] = [input.image, output.image];
  const [channels, outputs] = [x.c, y.c];
  const u = constant(winogradWeightBytes(channels, outputs));
  const temporary = constant(WINOGRAD_TEMPORARY_BYTES);
  const blocks = blocksOf(y.n, y.h, y.w);
  const group = groupSize(channels, outputs);
  const bytes = scratchBytes(channels, outputs, group);
  const scratch = constant(bytes * engine.threads);
  const init = constantF32(place, [], Math.ceil(outputs / 8) * 8);
  const [top, left] = backward ? backwardStart(c) : [-c.padding[1], -c.padding[2]];
  const source = at(input) + pixelOffset(x, 0, top, left) * FLOAT;
  const target = at(output) + pixelOffset(y, 0, 0, 0) * FLOAT;
  const [weightAt, biasAt] = [at(weight) + (backward ? 8 * FLOAT : 0), bias && at(bias)];
  const [own, other] = [9 * FLOAT, c.inChannels * 9 * FLOAT];
  const [strideO, strideC] = backward ? [own, other] : [other, own];
  const [stepY, stepX] = backward ? [-3 * FLOAT, -FLOAT] : [3 * FLOAT, FLOAT];
  const operations = 18 * channels * outputs * y.n * y.h * y.w;
  const split = { at: 0, unit: WINOGRAD_STEP, scratch: { at: WINOGRAD_SCRATCH_ARGUMENT, bytes } };
  return () => {
    engine.kernels.f32_winograd_weights(
      weightAt, strideO, strideC, stepY, stepX, channels, outputs, u, temporary,
    ); // prettier-ignore
    if (biasAt !== null) engine.memory.f32(init, outputs).set(engine.memory.f32(biasAt, outputs));
    engine.share("f32_winograd_conv", [
      0, blocks.all, blocks.perRow, blocks.perImage, source, imageStride(x) * FLOAT, rowStride(x) * FLOAT, channels, u, init,
      target, imageStride(y) * FLOAT, rowStride(y) * FLOAT, outputs * FLOAT, outputs, y.h, y.w, range.low, range.high, scratch, group,
    ], split, operations); // prettier-ignore
  };
}

/** Forward as one product. */
function forwardProduct(c: Conv3d, input: Image, output: Image): Product {
  const table: number[] = [];
  for (let n = 0; n < output.n; n++)
    for (let y = 0; y < output.h; y++)
      for (let x = 0; x < output.w; x++)
        table.push(pixelOffset(input, n, y * c.stride[1] - c.padding[1], x * c.stride[2] - c.padding[2]) * FLOAT);
  const taps = Array.from({ length: c.points }, (_, point) => {
    const [ky, kx] = [Math.floor(point / c.kernel[2]), point % c.kernel[2]];
    return { point, offset: (ky * c.dilation[1] * rowStride(input) + kx * c.dilation[2] * input.c) * FLOAT };
  });
  return { table, out: pixelTable(output, FLOAT), taps };
}

/** The product of the input pixels of one phase in each axis. */
function phaseProduct(c: Conv3d, dy: Image, dx: Image, py: AxisPhase, px: AxisPhase): Product {
  const [table, out]: [number[], number[]] = [[], []];
  for (let n = 0; n < dx.n; n++)
    for (let y = 0; y < py.count; y++)
      for (let x = 0; x < px.count; x++) {
        table.push(pixelOffset(dy, n, y, x) * FLOAT);
        out.push(pixelOffset(dx, n, py.first + y * c.stride[1], px.first + x * c.stride[2]) * FLOAT);
      }
  const taps = py.points.flatMap((a) =>
    px.points.map((b) => ({
      point: a.index * c.kernel[2] + b.index,
      offset: (a.from * rowStride(dy) + b.from * dy.c) * FLOAT,
    })),
  );
  return { table, out, taps };
}

/** Direct forward, or the phases of the input gradient. */
function bindDirect(place: Place, c: Conv3d, slide: Slide): () => void {
  const { at } = place;
  const { input, output, weight, bias, range, backward } = slide;
  const operands = {
    source: at(input),
    weight: at(weight),
    bias: bias && at(bias),
    result: at(output),
    ...range,
    backward,
  };
  const products = backward
    ? axisPhases(c, 1).flatMap((y) => axisPhases(c, 2).map((x) => phaseProduct(c, input.image, output.image, y, x)))
    : [forwardProduct(c, input.image, output.image)];
  const calls = products.map((product) => bindProduct(place, c, operands, product));
  return () => calls.forEach((call) => call());
}

function addSlide(plan: PlanBuilder, node: Node, c: Conv3d, slide: Slide): void {
  const winograd = usesWinograd(plan, c);
  const { input, output, weight, bias, backward } = slide;
  plan.step({
    node,
    kernel: `f32 ${winograd ? "winograd 4x4" : "conv 6x8"}${backward ? " input gradient" : ""} ${plan.engine.build}`,
    precision: "float",
    why: "",
    operations: convOperations(backward ? input.type : output.type, weight.type.shape),
    reads: [input, weight, ...(bias ? [bias] : [])],
    writes: [output],
    bind: (place) => (winograd ? bindWinograd : bindDirect)(place, c, slide),
  });
}

const FLOATS_ONLY = "only float32 convolutions of one and two spatial axes have a kernel";

function emitForward(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  const c = problemOf(shapeOf(x), shapeOf(w), node.attrs as ConvAttrs);
  if (!c || plan.type(x!).dtype !== "float32") return FLOATS_ONLY;
  const { output: value, range } = plan.absorbClamp(node);
  const output = plan.write(value, "image");
  const input = plan.read(x!, node, { kind: "image", border: inputBorder(plan, c) });
  const weight = plan.read(w!, node, { kind: "flat" });
  const bias = b instanceof Value ? plan.read(b, node, { kind: "flat" }) : null;
  addSlide(plan, node, c, { input, output, weight, bias, range, backward: false });
}

function emitInputGradient(node: Node, plan: PlanBuilder): string | void {
  const [dy, w] = node.args;
  const c = problemOf(plan.type(node.output).shape, shapeOf(w), node.attrs as ConvAttrs);
  if (!c || plan.type(dy!).dtype !== "float32") return FLOATS_ONLY;
  const output = plan.write(node.output, "image");
  const input = plan.read(dy!, node, { kind: "image", border: gradientBorder(plan, c) });
  const weight = plan.read(w!, node, { kind: "flat" });
  addSlide(plan, node, c, { input, output, weight, bias: null, range: unlimited, backward: true });
}

const forward: StepRule = {
  border(node, argument, machine) {
    if (argument !== 0) return null;
    const c = problemOf(shapeOf(node.args[0]), shapeOf(node.args[1]), node.attrs as ConvAttrs);
    return c && inputBorder(machine, c);
  },
  emit: (node, plan) => (plan.constant(node.args[1]!) ? convRule.emit(node, plan) : emitForward(node, plan)),
};

const inputGradient: StepRule = {
  border(node, argument, machine) {
    const c = argument === 0 && problemOf(shapeOf(node.output), shapeOf(node.args[1]), node.attrs as ConvAttrs);
    return c ? gradientBorder(machine, c) : null;
  },
  emit: emitInputGradient,
};

export { FLOATS_ONLY, blockBorder, inputBorder, problemOf, shapeOf, usesWinograd };

export const convRules: readonly (readonly [string, StepRule])[] = [
  ["conv1d", forward],
  ["conv2d", forward],
  ["convInputGrad", inputGradient],
];
