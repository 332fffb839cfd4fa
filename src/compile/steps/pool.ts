/**
 * Pooling of images, floats and bytes: maximum, average, adaptive average, and the mean over all pixels.
 */

import type { Node } from "../../graph/graph.ts";
import { imageStride, pixelOffset, rowStride } from "../../kernels/qconv/image.ts";
import type { Image } from "../../kernels/qconv/image.ts";
import { ruleCode } from "../../kernels/quantize/rules.ts";
import { adaptiveWindows, poolBytes, poolOffsets, slidingWindows, writePool } from "../../kernels/qpool/windows.ts";
import type { Average, PoolProblem, Window } from "../../kernels/qpool/windows.ts";
import type { AvgPoolAttrs } from "../../ops/avg-pool.ts";
import type { PoolAttrs } from "../../ops/pool-windows.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { elementOf, flat, imageOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, Precision, StepRule } from "../plan.ts";
import { emitReduce } from "./reduce.ts";
import { quantizerOf } from "./quantized-storage.ts";

const FLOAT = 4;
const { fround } = Math;

interface PoolStep {
  readonly kernel: string;
  readonly input: Buffer;
  readonly output: Buffer;
  bind(place: Place): () => void;
}

function addStep(plan: PlanBuilder, node: Node, step: PoolStep): void {
  const precision: Precision = step.input.element === "byte" ? "int8" : "float";
  const { kernel, input, output } = step;
  plan.step({
    node,
    kernel,
    precision,
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => step.bind(place),
  });
}

/** Height and width of a per-axis attribute; one axis is the width. */
export function both(values: readonly number[], height: number): readonly [number, number] {
  return values.length === 1 ? [height, values[0]!] : [values[0]!, values[1]!];
}

/** Windows of both axes of a sliding pool. */
function windowsOf(
  input: Image,
  output: Image,
  attrs: Pick<PoolAttrs, "kernelSize" | "stride" | "padding"> & { readonly dilation?: readonly number[] },
): [Window[], Window[]] {
  const [kernel, stride, padding] = [both(attrs.kernelSize, 1), both(attrs.stride, 1), both(attrs.padding, 0)];
  const dilation = both(attrs.dilation ?? [1, 1], 1);
  const axis = (size: number, outputs: number, i: 0 | 1): Window[] =>
    slidingWindows(size, outputs, { kernel: kernel[i], stride: stride[i], padding: padding[i], dilation: dilation[i] });
  return [axis(input.h, output.h, 0), axis(input.w, output.w, 1)];
}

/** Reads and writes as images; a string when this is not a batch of images. */
function imagesOf(node: Node, plan: PlanBuilder): { input: Buffer; output: Buffer } | string {
  const type = plan.type(node.args[0]!);
  if (!imageOf(type.shape)) return "there is no kernel for three spatial axes";
  if (elementOf(type.dtype) === "host") return "only float32 and 8-bit tensors have a kernel";
  return { input: plan.read(node.args[0]!, node, { kind: "image" }), output: plan.write(node.output, "image") };
}

function bindBytes(
  place: Place,
  problem: PoolProblem,
  buffers: { input: Buffer; output: Buffer },
  average?: Average,
): () => void {
  const { engine, at, constant } = place;
  const { kernels } = engine;
  const record = constant(poolBytes(problem, average));
  writePool(new Uint8Array(engine.memory.wasm.buffer), record, problem, average);
  const [source, target] = [at(buffers.input), at(buffers.output)];
  const calls = Array.from({ length: problem.input.n }, (_, n) => poolOffsets(problem, n)).map(
    ([x, y]) => [source + x, target + y] as const,
  );
  const rule = average ? ruleCode(average.quantizer.rule) : 0;
  return () => {
    for (const [x, y] of calls) {
      if (average) kernels.qpool_average(rule, record, x, y);
      else kernels.qpool_max(record, x, y);
    }
  };
}

function bindFloatMax(
  place: Place,
  attrs: PoolAttrs,
  { input, output }: { input: Buffer; output: Buffer },
): () => void {
  const [x, y] = [input.image, output.image];
  const [kernel, stride, padding, dilation] = [
    both(attrs.kernelSize, 1),
    both(attrs.stride, 1),
    both(attrs.padding, 0),
    both(attrs.dilation, 1),
  ];
  const source = place.at(input) + pixelOffset(x, 0, 0, 0) * FLOAT;
  const target = place.at(output) + pixelOffset(y, 0, 0, 0) * FLOAT;
  return () =>
    place.engine.kernels.f32_max_pool(
      0, y.n * y.h, y.h, y.w, source, imageStride(x) * FLOAT, rowStride(x) * FLOAT, x.h, x.w, x.c,
      kernel[0], kernel[1], stride[0], stride[1], padding[0], padding[1], dilation[0], dilation[1],
      target, imageStride(y) * FLOAT, rowStride(y) * FLOAT,
    ); // prettier-ignore
}

function emitMax(node: Node, plan: PlanBuilder): string | void {
  const images = imagesOf(node, plan);
  if (typeof images === "string") return images;
  const attrs = node.attrs as PoolAttrs;
  const [x, y] = [images.input.image, images.output.image];
  const bytes = images.input.element === "byte";
  addStep(plan, node, {
    ...images,
    kernel: bytes ? "qpool max" : "f32 max pool",
    bind(place) {
      if (!bytes) return bindFloatMax(place, attrs, images);
      const [windowsY, windowsX] = windowsOf(x, y, attrs);
      return bindBytes(
        place,
        { input: x, output: y, channels: x.c, windowsY, windowsX, dilation: both(attrs.dilation, 1), flip: plan.flip },
        images,
      );
    },
  });
}

function bindFloatAverage(
  place: Place,
  attrs: AvgPoolAttrs,
  { input, output }: { input: Buffer; output: Buffer },
): () => void {
  const [x, y] = [input.image, output.image];
  const [kernel, stride, padding] = [both(attrs.kernelSize, 1), both(attrs.stride, 1), both(attrs.padding, 0)];
  const source = place.at(input) + pixelOffset(x, 0, 0, 0) * FLOAT;
  const target = place.at(output) + pixelOffset(y, 0, 0, 0) * FLOAT;
  return () =>
    place.engine.kernels.f32_avg_pool(
      0, y.n * y.h, y.h, y.w, source, imageStride(x) * FLOAT, rowStride(x) * FLOAT, x.h, x.w, x.c,
      kernel[0], kernel[1], stride[0], stride[1], padding[0], padding[1], attrs.countIncludePad ? 1 : 0, attrs.divisorOverride ?? 0,
      target, imageStride(y) * FLOAT, rowStride(y) * FLOAT,
    ); // prettier-ignore
}

/** Elements of a window, those of the padding included: windows may stick out of the padded image by rounding up. */
function paddedCount(size: number, o: number, kernel: number, stride: number, padding: number): number {
  const start = o * stride - padding;
  return Math.min(start + kernel, size + padding) - start;
}

function emitAverage(node: Node, plan: PlanBuilder): string | void {
  const images = imagesOf(node, plan);
  if (typeof images === "string") return images;
  const attrs = node.attrs as AvgPoolAttrs;
  const [x, y] = [images.input.image, images.output.image];
  const bytes = images.input.element === "byte";
  addStep(plan, node, {
    ...images,
    kernel: bytes ? "qpool average" : "f32 average pool",
    bind(place) {
      if (!bytes) return bindFloatAverage(place, attrs, images);
      const [windowsY, windowsX] = windowsOf(x, y, attrs);
      const [kernel, stride, padding] = [both(attrs.kernelSize, 1), both(attrs.stride, 1), both(attrs.padding, 0)];
      const counts = windowsY.flatMap((wy, oy) =>
        windowsX.map((wx, ox) =>
          attrs.countIncludePad
            ? paddedCount(x.h, oy, kernel[0], stride[0], padding[0]) *
              paddedCount(x.w, ox, kernel[1], stride[1], padding[1])
            : wy.count * wx.count,
        ),
      );
      const quantizer = quantizerOf(images.output.type, plan.flip, "addThenRoundTwice");
      const factors = Float32Array.from(counts, (count) => fround(1 / (attrs.divisorOverride ?? count)));
      const average: Average = { subtract: quantizer.zeroPoint + quantizer.offset, factors, quantizer };
      return bindBytes(
        place,
        { input: x, output: y, channels: x.c, windowsY, windowsX, flip: plan.flip },
        images,
        average,
      );
    },
  });
}

/** A pool by windows of one size, side by side: what an adaptive pool is when sizes divide. */
export function equalWindows(size: readonly number[]): AvgPoolAttrs {
  return {
    kernelSize: size,
    stride: size,
    padding: [0, 0],
    ceilMode: false,
    countIncludePad: true,
    divisorOverride: null,
  };
}

/** The average of one window a pixel of the output, each of its own size: adaptive pools and means. */
function emitWindows(
  node: Node,
  plan: PlanBuilder,
  images: { input: Buffer; output: Buffer },
  exactMean: boolean,
): string | void {
  const [x, y] = [images.input.image, images.output.image];
  const windowsY = adaptiveWindows(x.h, y.h);
  const windowsX = adaptiveWindows(x.w, y.w);
  const bytes = images.input.element === "byte";
  if (!bytes && (x.h % y.h !== 0 || x.w % y.w !== 0)) return "windows of different sizes have a kernel for bytes only";
  addStep(plan, node, {
    ...images,
    kernel: bytes ? "qpool average" : "f32 average pool",
    bind(place) {
      if (!bytes) {
        return bindFloatAverage(place, equalWindows([x.h / y.h, x.w / y.w]), images);
      }
      const { min, max } = dtypeInfo[images.output.type.dtype];
      const plain = quantizerOf(images.output.type, plan.flip, exactMean ? "divideThenRound" : "roundThenAdd");
      const quantizer = { ...plain, zeroPoint: 0, low: min, high: max };
      const sizes = windowsY.flatMap((wy) => windowsX.map((wx) => [wy.count, wx.count] as const));
      const factors = Float32Array.from(sizes, ([h, w]) => (exactMean ? h * w : fround(fround(1 / h) / w)));
      return bindBytes(place, { input: x, output: y, channels: x.c, windowsY, windowsX, flip: plan.flip }, images, {
        subtract: plain.offset,
        factors,
        quantizer,
      });
    },
  });
}

function emitAdaptive(node: Node, plan: PlanBuilder): string | void {
  const images = imagesOf(node, plan);
  return typeof images === "string" ? images : emitWindows(node, plan, images, false);
}

/** The mean over both spatial axes of [N, C, H, W]; of floats over any. */
function emitMean(node: Node, plan: PlanBuilder): string | void {
  const { dim, keepdim } = node.attrs as { dim: readonly number[]; keepdim: boolean };
  const [x] = node.args;
  const type = plan.type(x!);
  const spatial = type.shape.length === 4 && [...dim].sort().join() === "2,3";
  if (!spatial && type.dtype === "float32") return emitReduce(node, plan);
  if (!spatial || elementOf(type.dtype) === "host")
    return "only the mean over both spatial axes of images has a kernel for bytes";
  const input = plan.read(x!, node, { kind: "image" });
  const pooled = [type.shape[0]!, type.shape[1]!, 1, 1];
  const output = plan.scratch({ ...type, shape: pooled }, { kind: "image", image: imageOf(pooled)!, shape: pooled });
  const refused = emitWindows(node, plan, { input, output }, input.element === "byte");
  if (refused) return refused;
  plan.alias(node.output, output, keepdim ? output.form : flat(plan.type(node.output).shape));
}

const max: StepRule = { emit: emitMax };
const average: StepRule = { emit: emitAverage };
const adaptive: StepRule = { emit: emitAdaptive };
const mean: StepRule = { emit: emitMean };

export const poolRules: readonly (readonly [string, StepRule])[] = [
  ["maxPool1d", max],
  ["maxPool2d", max],
  ["avgPool1d", average],
  ["avgPool2d", average],
  ["quantizedAvgPool1d", average],
  ["quantizedAvgPool2d", average],
  ["adaptiveAvgPool1d", adaptive],
  ["adaptiveAvgPool2d", adaptive],
  ["quantizedAdaptiveAvgPool1d", adaptive],
  ["quantizedAdaptiveAvgPool2d", adaptive],
  ["mean", mean],
  ["quantizedMean", mean],
];
