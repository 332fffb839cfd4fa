/**
 * The gradient of batch normalization, with the masks before it and the division behind it taken in (norm-layer.ts).
 *
 * With z = source / f normalized to y = z * scale + shift, g the gradient where the masks let it pass, i = 1 / std of z,
 * a = weight i, S = sum g and P = sum g (z - mean):
 *
 *     dz = a g - a i^2 P / n (z - mean) - a S / n      dsource = dz / f      dweight = P i      dbias = S
 *     df = -sum(dz z) / f = -a P eps i^2 / f           (dz is orthogonal to z but for eps)
 *
 * A straight-through mask lets an interval of y pass, because rounding is monotone; so masks are two comparisons.
 */

import type { Node } from "../../../graph/graph.ts";
import type { NormAttrs } from "../../../ops/norm-gradient.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { Buffer } from "../../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../../plan.ts";
import type { Range } from "../../steps/clamps.ts";
import { unlimited } from "../../steps/clamps.ts";
import { countOf, layerOf, normOf } from "./batch-norm.ts";
import type { ChannelState } from "./batch-norm.ts";
import {
  SLOTS,
  bindMoments,
  channelForm,
  channelLines,
  channelVector,
  emptyMoments,
  paddedChannels,
  readChannels,
} from "./channels.ts";
import { hostValue } from "./fake-quantize.ts";
import { passingRange } from "./passing-range.ts";
import { numbersOf } from "./numbers.ts";
import type { Numbers } from "./numbers.ts";

const { fround } = Math;
const LINES = { at: 0, unit: 1 };

/** Where the numbers of a channel come from. */
interface Source {
  readonly state: ChannelState;
  /** Fixed statistics, or moments to be taken here because no forward of this plan did. */
  readonly own: { readonly mean: Numbers; readonly variance: Numbers } | "moments" | null;
}

interface Operands {
  readonly input: Buffer;
  readonly gradient: Buffer;
  readonly output: Buffer;
  readonly dWeight: Buffer;
  readonly dBias: Buffer;
  readonly dFactor: Buffer | null;
}

/** Masks of the incoming gradient, as the open interval of y that passes in this run. */
interface Gate {
  readonly reads: readonly Buffer[];
  bind(place: Place): () => Range;
}

const open: Gate = { reads: [], bind: () => () => unlimited };

function gateOf(plan: PlanBuilder, node: Node, gate: Range | null, mask: Node | null, activation: Range): Gate {
  const around = gate ?? unlimited;
  if (!mask) return gate ? { reads: [], bind: () => () => around } : open;
  const { quantMin, quantMax } = mask.attrs as { quantMin: number; quantMax: number };
  const [scale, zeroPoint] = [mask.args[2]!, mask.args[3]!].map((argument) => hostValue(plan, node, argument));
  return {
    reads: [...scale!.buffers, ...zeroPoint!.buffers],
    bind(place) {
      const [readScale, readZeroPoint] = [scale!.bind(place), zeroPoint!.bind(place)];
      const first = (tensor: Tensor): number => tensor.data[0]!;
      return () => {
        const passing = passingRange(first(readScale()), first(readZeroPoint()), quantMin, quantMax, activation);
        return { low: Math.max(around.low, passing.low), high: Math.min(around.high, passing.high) };
      };
    },
  };
}

function emptyState(channels: number): ChannelState {
  const doubles = (): Float64Array => new Float64Array(channels);
  return {
    moments: emptyMoments(channels),
    mean: doubles(),
    variance: doubles(),
    factor: doubles().fill(1),
    scale: new Float32Array(channels),
    shift: new Float32Array(channels),
  };
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [dy, x, weight = null, mean = null, variance = null] = node.args;
  const { layout, eps } = node.attrs as NormAttrs;
  const type = plan.type(x!);
  const form = channelForm(type);
  const isBatchNorm = layout.groups === layout.channels && layout.inner === layout.channelInner;
  if (!form || !isBatchNorm) return "only the gradient of batch normalization of images and matrices has a kernel";
  const norm = normOf(node);
  const known = norm && layerOf(plan, norm);
  const found = known?.layer.gradient?.node === node ? known.layer : null;
  const { gradient: back = null } = found ?? {};
  const fixed = mean !== null && variance !== null;
  const source: Source = {
    state: found && known ? known.state : emptyState(type.shape[1]!),
    own: fixed
      ? { mean: numbersOf(plan, node, mean), variance: numbersOf(plan, node, variance) }
      : found
        ? null
        : "moments",
  };
  const gate = back ? gateOf(plan, node, back.gate, back.mask, found!.range) : open;
  const scale = weight === null ? null : numbersOf(plan, node, weight);
  const operands: Operands = {
    input: readChannels(plan, node, found?.source ?? x!),
    gradient: readChannels(plan, node, back?.incoming ?? dy!),
    output: plan.write(back?.output ?? node.outputs[0]!, form),
    dWeight: plan.write(node.outputs[1]!, "flat"),
    dBias: plan.write(node.outputs[2]!, "flat"),
    dFactor: back?.factor ? plan.write(back.factor, "flat") : null,
  };
  const { input, gradient, output, dWeight, dBias, dFactor } = operands;
  const statistics = source.own && source.own !== "moments" ? [source.own.mean, source.own.variance] : [];
  const numbers = [scale, ...statistics].flatMap((value) => [...(value?.buffers ?? [])]);
  plan.step({
    node,
    kernel: "f32 batch norm gradient",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input, gradient, ...numbers, ...gate.reads],
    writes: [output, dWeight, dBias, ...(dFactor ? [dFactor] : [])],
    bind: (place) => bind(place, operands, source, { weight: scale, eps, isFixed: fixed, gate }),
  });
}

interface Settings {
  readonly weight: Numbers | null;
  readonly eps: number;
  readonly isFixed: boolean;
  readonly gate: Gate;
}

/** The call that fills mean and variance when forward did not. */
function bindStatistics(place: Place, input: Buffer, { state, own }: Source): () => void {
  if (own === null) return () => undefined;
  const { mean, variance, moments } = state;
  if (own !== "moments") {
    const [readMean, readVariance] = [own.mean.bind(place), own.variance.bind(place)];
    return () => {
      mean.set(readMean());
      variance.set(readVariance());
    };
  }
  const take = bindMoments(place, input, moments);
  return () => {
    take();
    mean.set(moments.mean);
    variance.set(moments.variance);
  };
}

/** The call that sums g and g (source - mean) over all pixels, into the two arrays. */
function bindSums(
  place: Place,
  { input, gradient }: Operands,
  { mean }: ChannelState,
  vectors: { readonly scale: number; readonly shift: number },
): (gate: Range, sums: Float64Array, products: Float64Array) => void {
  const { engine, at, constant } = place;
  const { memory } = engine;
  const { lines, pixels, channels, tables } = channelLines(place, [gradient, input], true);
  const c4 = paddedChannels(channels);
  const out = constant(SLOTS * 16 * c4);
  const means = channelVector(place, channels);
  const [dy, x] = [at(gradient), at(input)];
  const operations = 12 * lines * pixels * channels;
  return ({ low, high }, sums, products) => {
    memory.f32(means, channels).set(mean);
    engine.share("f32_channel_products", [
      0, SLOTS, SLOTS, lines, tables[0]!, tables[1]!, dy, x, pixels, channels, means, vectors.scale, vectors.shift, low, high, out,
    ], LINES, operations); // prettier-ignore
    sums.fill(0);
    products.fill(0);
    for (let slot = 0; slot < SLOTS; slot++) {
      const s = memory.f64(out + slot * 16 * c4, channels);
      const p = memory.f64(out + (slot * 16 + 8) * c4, channels);
      for (let c = 0; c < channels; c++) {
        sums[c]! += s[c]!;
        products[c]! += p[c]!;
      }
    }
  };
}

function bind(place: Place, operands: Operands, source: Source, { weight, eps, isFixed, gate }: Settings): () => void {
  const { engine, at } = place;
  const { memory } = engine;
  const { input, gradient, output, dWeight, dBias, dFactor } = operands;
  const { state } = source;
  const { lines, pixels, channels, tables } = channelLines(place, [gradient, input, output]);
  const [m, a, b, k, scale, shift] = Array.from({ length: 6 }, () => channelVector(place, channels)) as [
    number, number, number, number, number, number,
  ]; // prettier-ignore
  const take = bindStatistics(place, input, source);
  const sum = bindSums(place, operands, state, { scale, shift });
  const [sums, products] = [new Float64Array(channels), new Float64Array(channels)];
  const [dy, x, dx] = [at(gradient), at(input), at(output)];
  const [weightAt, biasAt, factorAt] = [at(dWeight), at(dBias), dFactor && at(dFactor)];
  const [readWeight, readGate] = [weight?.bind(place), gate.bind(place)];
  const count = countOf(input);
  const operations = 12 * lines * pixels * channels;
  return () => {
    take();
    const passing = readGate();
    memory.f32(scale, channels).set(state.scale);
    memory.f32(shift, channels).set(state.shift);
    sum(passing, sums, products);
    const vector = (address: number): Float32Array => memory.f32(address, channels);
    const [mv, av, bv, kv, dw, db] = [m, a, b, k, weightAt, biasAt].map(vector);
    const df = factorAt === null ? null : vector(factorAt);
    const w = readWeight?.();
    for (let c = 0; c < channels; c++) {
      const f = state.factor[c]!;
      const inverse = 1 / Math.sqrt(state.variance[c]! / (f * f) + eps);
      const factor = (w?.[c] ?? 1) * inverse;
      const product = products[c]! / f;
      mv![c] = fround(state.mean[c]!);
      av![c] = factor / f;
      bv![c] = isFixed ? 0 : (-factor * inverse * inverse * (product / count)) / (f * f);
      kv![c] = isFixed ? 0 : (-factor * (sums[c]! / count)) / f;
      dw![c] = product * inverse;
      db![c] = sums[c]!;
      if (df) df[c] = (-factor * product * eps * inverse * inverse) / f;
    }
    engine.share("f32_batch_norm_grad", [
      0, lines, tables[0]!, tables[1]!, tables[2]!, dy, x, dx, pixels, channels, m, a, b, k, scale, shift, passing.low, passing.high,
    ], LINES, operations); // prettier-ignore
  };
}

export const batchNormGradientRules: readonly (readonly [string, StepRule])[] = [["normGrad", { emit }]];
