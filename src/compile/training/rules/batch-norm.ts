/**
 * Batch normalization, forward and backward, with the statistics of the batch or with fixed ones.
 *
 * Sums over pixels are taken by kernels in double; what is left is a few numbers a channel, computed here. The gradient
 * uses the statistics that forward took of the same tensor.
 */

import type { Argument, Node, Value } from "../../../graph/graph.ts";
import type { BatchNormAttrs } from "../../../ops/batch-norm.ts";
import { newRunning } from "../../../ops/batch-norm.ts";
import type { NormAttrs } from "../../../ops/norm-gradient.ts";
import { Tensor } from "../../../tensor/tensor.ts";
import type { Buffer, Place, PlanBuilder, StepRule } from "../../plan.ts";
import { channelDoubles, channelForm, channelLines, channelVector, readChannels } from "./channels.ts";
import { numbersOf } from "./numbers.ts";
import type { Numbers } from "./numbers.ts";

const { fround } = Math;

/** Mean and biased variance of every channel, of the run in progress. */
interface Statistics {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

/** Statistics that forward steps take, by the tensor they are of; a plan's gradients look there. */
const taken = new WeakMap<PlanBuilder, Map<Value, Statistics>>();

function takenIn(plan: PlanBuilder): Map<Value, Statistics> {
  const known = taken.get(plan) ?? new Map<Value, Statistics>();
  taken.set(plan, known);
  return known;
}

/** How many values a channel has. */
function countOf(buffer: Buffer): number {
  const { shape } = buffer.type;
  return shape.reduce((a, b) => a * b, 1) / shape[1]!;
}

/** The call that takes the statistics of a buffer. */
function bindStatistics(place: Place, x: Buffer, { mean, variance }: Statistics): () => void {
  const { engine, at } = place;
  const { lines, pixels, channels, tables: [table] } = channelLines(place, [x]); // prettier-ignore
  const [sums, squares] = channelDoubles(place, channels, 2);
  const source = at(x);
  const count = countOf(x);
  return () => {
    const values = engine.memory.f64(sums!, channels).fill(0);
    engine.kernels.f32_channel_sums(0, lines, table!, source, pixels, channels, sums!);
    for (let c = 0; c < channels; c++) mean[c] = values[c]! /= count;
    const distances = engine.memory.f64(squares!, channels).fill(0);
    engine.kernels.f32_channel_squares(0, lines, table!, source, pixels, channels, sums!, squares!);
    for (let c = 0; c < channels; c++) variance[c] = distances[c]! / count;
  };
}

/** Statistics given as tensors, read anew in each run. */
function bindFixed(place: Place, given: readonly Numbers[], { mean, variance }: Statistics): () => void {
  const [readMean, readVariance] = given.map((numbers) => numbers.bind(place));
  return () => {
    mean.set(readMean!());
    variance.set(readVariance!());
  };
}

interface Affine {
  readonly weight: Numbers | null;
  readonly bias: Numbers | null;
}

function affineOf(plan: PlanBuilder, node: Node, weight: Argument, bias: Argument): Affine {
  return {
    weight: weight === null ? null : numbersOf(plan, node, weight),
    bias: bias === null ? null : numbersOf(plan, node, bias),
  };
}

function buffersOf(...numbers: readonly (Numbers | null)[]): Buffer[] {
  return numbers.flatMap((list) => [...(list?.buffers ?? [])]);
}

function emitForward(node: Node, plan: PlanBuilder): string | void {
  const [x, weight = null, bias = null, mean = null, variance = null] = node.args;
  const type = plan.type(x!);
  const form = channelForm(type);
  if (!form) return "only float32 images and matrices have a kernel";
  const attrs = node.attrs as BatchNormAttrs;
  const input = readChannels(plan, node, x);
  const { output: value, range } = plan.absorbClamp(node);
  const output = plan.write(value, form);
  const affine = affineOf(plan, node, weight, bias);
  const running = mean === null || variance === null ? [] : [mean, variance].map((arg) => numbersOf(plan, node, arg));
  const updates = node.outputs.slice(1).map((update) => plan.write(update, "host"));
  const channels = type.shape[1]!;
  const statistics = { mean: new Float64Array(channels), variance: new Float64Array(channels) };
  if (attrs.training) takenIn(plan).set(x as Value, statistics);
  plan.step({
    node,
    kernel: "f32 batch norm",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input, ...buffersOf(affine.weight, affine.bias, ...running)],
    writes: [output, ...updates],
    bind(place) {
      const take = attrs.training ? bindStatistics(place, input, statistics) : bindFixed(place, running, statistics);
      const normalize = bindNormalize(place, input, output, affine, statistics, attrs.eps, range);
      const update = bindUpdates(place, running, updates, statistics, countOf(input), attrs.momentum);
      return () => {
        take();
        normalize();
        update();
      };
    },
  });
}

/** y = x * scale + shift, clamped. */
function bindNormalize(
  place: Place,
  input: Buffer,
  output: Buffer,
  affine: Affine,
  { mean, variance }: Statistics,
  eps: number,
  { low, high }: { readonly low: number; readonly high: number },
): () => void {
  const { engine, at } = place;
  const { lines, pixels, channels, tables } = channelLines(place, [input, output]);
  const [scale, shift] = [channelVector(place, channels), channelVector(place, channels)];
  const [source, target] = [at(input), at(output)];
  const [weight, bias] = [affine.weight?.bind(place), affine.bias?.bind(place)];
  return () => {
    const [scales, shifts] = [engine.memory.f32(scale, channels), engine.memory.f32(shift, channels)];
    const [w, b] = [weight?.(), bias?.()];
    for (let c = 0; c < channels; c++) {
      const k = (w?.[c] ?? 1) / Math.sqrt(variance[c]! + eps);
      scales[c] = k;
      shifts[c] = (b?.[c] ?? 0) - mean[c]! * scales[c]!;
    }
    engine.kernels.f32_channel_affine(
      0, lines, tables[0]!, tables[1]!, source, target, pixels, channels, scale, shift, low, high,
    ); // prettier-ignore
  };
}

/** New running statistics, as tensors on the host. */
function bindUpdates(
  place: Place,
  running: readonly Numbers[],
  updates: readonly Buffer[],
  statistics: Statistics,
  count: number,
  momentum: number,
): () => void {
  if (updates.length === 0) return () => undefined;
  const reads = running.map((numbers) => numbers.bind(place));
  const slots = updates.map((buffer) => place.host(buffer));
  return () => {
    const before = reads.map((read, i) => {
      const values = Float32Array.from(read());
      return new Tensor("float32", updates[i]!.type.shape, values);
    }) as [Tensor, Tensor];
    newRunning(before, statistics, count, momentum).forEach((tensor, i) => (slots[i]!.tensor = tensor));
  };
}

/**
 * dx = a dy + b (x - mean) + k with a = weight / std and, for the batch's own statistics,
 * b = -a mean(dy (x - mean)) / std^2, k = -a mean(dy).
 */
function emitGradient(node: Node, plan: PlanBuilder): string | void {
  const [dy, x, weight = null, mean = null, variance = null] = node.args;
  const { layout, eps } = node.attrs as NormAttrs;
  const type = plan.type(x!);
  const form = channelForm(type);
  const isBatchNorm = layout.groups === layout.channels && layout.inner === layout.channelInner;
  if (!form || !isBatchNorm) return "only the gradient of batch normalization of images and matrices has a kernel";
  const input = readChannels(plan, node, x);
  const gradient = readChannels(plan, node, dy);
  const scale = weight === null ? null : numbersOf(plan, node, weight);
  const fixed = mean === null || variance === null ? [] : [mean, variance].map((arg) => numbersOf(plan, node, arg));
  const output = plan.write(node.outputs[0]!, form);
  const [dWeight, dBias] = node.outputs.slice(1).map((value) => plan.write(value, "flat"));
  const known = fixed.length > 0 ? undefined : takenIn(plan).get(x as Value);
  const channels = type.shape[1]!;
  const statistics = known ?? { mean: new Float64Array(channels), variance: new Float64Array(channels) };
  plan.step({
    node,
    kernel: "f32 batch norm gradient",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input, gradient, ...buffersOf(scale, ...fixed)],
    writes: [output, dWeight!, dBias!],
    bind(place) {
      const take = known
        ? null
        : fixed.length > 0
          ? bindFixed(place, fixed, statistics)
          : bindStatistics(place, input, statistics);
      const run = bindGradient(place, { input, gradient, output, dWeight: dWeight!, dBias: dBias! }, scale, {
        statistics,
        eps,
        isFixed: fixed.length > 0,
      });
      return () => {
        take?.();
        run();
      };
    },
  });
}

interface GradientBuffers {
  readonly input: Buffer;
  readonly gradient: Buffer;
  readonly output: Buffer;
  readonly dWeight: Buffer;
  readonly dBias: Buffer;
}

function bindGradient(
  place: Place,
  { input, gradient, output, dWeight, dBias }: GradientBuffers,
  weight: Numbers | null,
  { statistics, eps, isFixed }: { readonly statistics: Statistics; readonly eps: number; readonly isFixed: boolean },
): () => void {
  const { engine, at } = place;
  const { memory, kernels } = engine;
  const { lines, pixels, channels, tables } = channelLines(place, [gradient, input, output]);
  const [means, sums, products] = channelDoubles(place, channels, 3);
  const [m, a, b, k] = [0, 1, 2, 3].map(() => channelVector(place, channels));
  const [dy, x, dx] = [at(gradient), at(input), at(output)];
  const [weightAt, biasAt] = [at(dWeight), at(dBias)];
  const readWeight = weight?.bind(place);
  const count = countOf(input);
  return () => {
    memory.f64(means!, channels).set(statistics.mean);
    memory.f64(sums!, channels).fill(0);
    memory.f64(products!, channels).fill(0);
    kernels.f32_channel_products(
      0, lines, tables[0]!, tables[1]!, dy, x, pixels, channels, means!, sums!, products!,
    ); // prettier-ignore
    const [s, p] = [memory.f64(sums!, channels), memory.f64(products!, channels)];
    const [mv, av, bv, kv] = [m!, a!, b!, k!].map((vector) => memory.f32(vector, channels));
    const [dw, db] = [memory.f32(weightAt, channels), memory.f32(biasAt, channels)];
    const w = readWeight?.();
    for (let c = 0; c < channels; c++) {
      const inverse = 1 / Math.sqrt(statistics.variance[c]! + eps);
      const factor = (w?.[c] ?? 1) * inverse;
      mv![c] = fround(statistics.mean[c]!);
      av![c] = factor;
      bv![c] = isFixed ? 0 : -factor * (p[c]! / count) * inverse * inverse;
      kv![c] = isFixed ? 0 : -factor * (s[c]! / count);
      dw[c] = p[c]! * inverse;
      db[c] = s[c]!;
    }
    kernels.f32_batch_norm_grad(
      0, lines, tables[0]!, tables[1]!, tables[2]!, dy, x, dx, pixels, channels, m!, a!, b!, k!,
    ); // prettier-ignore
  };
}

export const batchNormRules: readonly (readonly [string, StepRule])[] = [
  ["batchNorm", { emit: emitForward }],
  ["normGrad", { emit: emitGradient }],
];
