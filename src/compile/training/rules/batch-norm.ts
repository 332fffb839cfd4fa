/**
 * Batch normalization, forward: with the statistics of the batch or with fixed ones, and with what norm-layer.ts finds
 * around it taken in.
 *
 * One pass takes the moments of every channel; a second normalizes, clamps and rounds. The second is a rising or falling
 * function of each channel, also in float arithmetic, so the range an observer wants follows from each channel's smallest
 * and largest value, without a pass of its own.
 */

import type { Node, Value } from "../../../graph/graph.ts";
import { newRunning } from "../../../ops/batch-norm.ts";
import type { BatchNormAttrs } from "../../../ops/batch-norm.ts";
import { Tensor } from "../../../tensor/tensor.ts";
import type { Buffer } from "../../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../../plan.ts";
import type { Range } from "../../steps/clamps.ts";
import { bindMoments, channelForm, channelLines, channelVector, emptyMoments, readChannels } from "./channels.ts";
import type { Moments } from "./channels.ts";
import { fusedObserver } from "./fake-quantize.ts";
import type { Rounding } from "./fake-quantize.ts";
import { normLayerOf } from "./norm-layer.ts";
import type { NormLayer } from "./norm-layer.ts";
import { numbersOf } from "./numbers.ts";
import type { Numbers } from "./numbers.ts";

const { fround } = Math;
const LINES = { at: 0, unit: 1 };

/** What forward computes for every channel; the gradient of the same run reads it. */
export interface ChannelState {
  /** Of the source, before the division by `factor`. */
  readonly moments: Moments;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  /** What the source is divided by. */
  readonly factor: Float64Array;
  /** The normalization as source * scale + shift. */
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

interface Known {
  readonly layer: NormLayer;
  readonly state: ChannelState;
}

const layers = new WeakMap<PlanBuilder, Map<Node, Known>>();

/** The layer of a batchNorm node of a plan. */
export function layerOf(plan: PlanBuilder, norm: Node): Known {
  const known = layers.get(plan) ?? new Map<Node, Known>();
  layers.set(plan, known);
  const found = known.get(norm);
  if (found) return found;
  const channels = plan.type(norm.args[0]!).shape[1]!;
  const doubles = (): Float64Array => new Float64Array(channels);
  const state: ChannelState = {
    moments: emptyMoments(channels),
    mean: doubles(),
    variance: doubles(),
    factor: doubles().fill(1),
    scale: new Float32Array(channels),
    shift: new Float32Array(channels),
  };
  const made = { layer: normLayerOf(plan.graph, norm), state };
  known.set(norm, made);
  return made;
}

/** Whether a division is left to the normalization behind it. */
export function isTakenIn(plan: PlanBuilder, division: Node): boolean {
  const norm = division.outputs[0]!.users.find(({ target }) => target === "batchNorm");
  if (!norm || !channelForm(plan.type(norm.args[0]!))) return false;
  return layerOf(plan, norm).layer.absorbed.includes(division);
}

function optional(plan: PlanBuilder, node: Node, argument: Node["args"][number] | undefined): Numbers | null {
  return argument === null || argument === undefined ? null : numbersOf(plan, node, argument);
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, weight, bias, runningMean, runningVar] = node.args;
  const form = channelForm(plan.type(x!));
  if (!form) return "only float32 images and matrices have a kernel";
  const attrs = node.attrs as BatchNormAttrs;
  const { layer, state } = layerOf(plan, node);
  const input = readChannels(plan, node, layer.source);
  const numbers = {
    weight: optional(plan, node, weight),
    bias: optional(plan, node, bias),
    mean: optional(plan, node, runningMean),
    variance: optional(plan, node, runningVar),
    factor: optional(plan, node, layer.factor),
  };
  const updates = node.outputs.slice(1).map((update) => plan.write(update, "host"));
  const observer = layer.rounding && fusedObserver(plan, layer.rounding);
  const residual = layer.residual && readChannels(plan, node, layer.residual);
  const output = plan.write(layer.rounding?.outputs[0] ?? layer.output, form);
  for (const absorbed of layer.absorbed) plan.absorbed.add(absorbed);
  const given = Object.values(numbers).flatMap((value) => [...(value?.buffers ?? [])]);
  plan.step({
    node,
    kernel: `f32 batch norm${residual ? ", add" : ""}${layer.rounding ? ", fake-quantize" : ""}`,
    precision: "float",
    why: "",
    operations: 0,
    reads: [input, ...(residual ? [residual] : []), ...given, ...(observer?.reads ?? [])],
    writes: [output, ...updates, ...(observer?.results ?? [])],
    bind(place) {
      const needsMoments = attrs.training || observer !== null;
      const moments = needsMoments ? bindMoments(place, input, state.moments) : null;
      const prepare = bindPrepare(place, numbers, state, attrs);
      const observe = observer?.bind(place);
      const update = bindUpdates(place, numbers, updates, state, countOf(input), attrs.momentum);
      const normalize = bindNormalize(place, { input, residual, output }, state, layer.range);
      return () => {
        moments?.();
        prepare();
        normalize(observe ? observe(() => rangeOf(state, layer.range)) : null);
        update();
      };
    },
  });
}

/** How many values a channel has. */
export function countOf(buffer: Buffer): number {
  const { shape } = buffer.type;
  return shape.reduce((a, b) => a * b, 1) / shape[1]!;
}

interface LayerNumbers {
  readonly weight: Numbers | null;
  readonly bias: Numbers | null;
  readonly mean: Numbers | null;
  readonly variance: Numbers | null;
  readonly factor: Numbers | null;
}

/** From moments (or fixed statistics) to scale and shift. */
function bindPrepare(
  place: Place,
  numbers: LayerNumbers,
  state: ChannelState,
  { training, eps }: BatchNormAttrs,
): () => void {
  const [weight, bias, factor] = [numbers.weight, numbers.bias, numbers.factor].map((value) => value?.bind(place));
  const [runningMean, runningVar] = [numbers.mean, numbers.variance].map((value) => value?.bind(place));
  const { moments, mean, variance, scale, shift } = state;
  return () => {
    if (factor) state.factor.set(factor());
    const [w, b] = [weight?.(), bias?.()];
    const [fixedMean, fixedVar] = training ? [] : [runningMean!(), runningVar!()];
    for (let c = 0; c < mean.length; c++) {
      const m = fixedMean ? fixedMean[c]! : moments.mean[c]!;
      mean[c] = m;
      variance[c] = fixedVar ? fixedVar[c]! : moments.variance[c]!;
      const f = state.factor[c]!;
      const k = (w?.[c] ?? 1) / Math.sqrt(variance[c]! / (f * f) + eps);
      scale[c] = k / f;
      shift[c] = (b?.[c] ?? 0) - m * scale[c]!;
    }
  };
}

/** The ends of what normalization and activation make of the batch: a tensor [2]. */
function rangeOf({ moments, scale, shift }: ChannelState, { low, high }: Range): Tensor {
  let [least, most] = [Infinity, -Infinity];
  let isNaNFree = true;
  for (let c = 0; c < scale.length; c++) {
    const ends = [moments.lows[c]!, moments.highs[c]!];
    for (const end of ends) {
      const v = fround(fround(end * scale[c]!) + shift[c]!);
      const y = Math.min(Math.max(v, low), high);
      least = Math.min(least, y);
      most = Math.max(most, y);
    }
    if (Number.isNaN(moments.mean[c]!)) isNaNFree = false;
  }
  return new Tensor("float32", [2], isNaNFree ? Float32Array.of(least, most) : Float32Array.of(NaN, NaN));
}

/** What is normalized, what is added to it, and the result. */
interface Passed {
  readonly input: Buffer;
  readonly residual: Buffer | null;
  readonly output: Buffer;
}

/** y = x * scale + shift [+ residual], clamped, and rounded when there are parameters to round with. */
function bindNormalize(
  place: Place,
  { input, residual, output }: Passed,
  state: ChannelState,
  { low, high }: Range,
): (rounding: Rounding | null) => void {
  const { engine, at } = place;
  const buffers = residual ? [input, residual, output] : [input, output];
  const { lines, pixels, channels, tables } = channelLines(place, buffers);
  const [scale, shift] = [channelVector(place, channels), channelVector(place, channels)];
  const [source, target] = [at(input), at(output)];
  const operations = 8 * lines * pixels * channels;
  const of = [pixels, channels, scale, shift, low, high] as const;
  if (residual) {
    const [tx, tr, ty] = tables as [number, number, number];
    return () => {
      engine.memory.f32(scale, channels).set(state.scale);
      engine.memory.f32(shift, channels).set(state.shift);
      engine.share(
        "f32_channel_affine_add",
        [0, lines, tx, tr, ty, source, at(residual), target, ...of],
        LINES,
        operations,
      );
    };
  }
  const common = [0, lines, tables[0]!, tables[1]!, source, target, ...of] as const;
  return (rounding) => {
    engine.memory.f32(scale, channels).set(state.scale);
    engine.memory.f32(shift, channels).set(state.shift);
    if (!rounding) {
      engine.share("f32_channel_affine", [...common], LINES, operations);
      return;
    }
    const s = fround(rounding.scale.data[0]!);
    const parameters = [s, fround(1 / s), rounding.zeroPoint.data[0]!, rounding.quantMin, rounding.quantMax] as const;
    engine.share("f32_channel_fake_quantize", [...common, ...parameters], LINES, operations);
  };
}

/** New running statistics, as tensors on the host. */
function bindUpdates(
  place: Place,
  { mean, variance }: LayerNumbers,
  updates: readonly Buffer[],
  state: ChannelState,
  count: number,
  momentum: number,
): () => void {
  if (updates.length === 0 || !mean || !variance) return () => undefined;
  const [readMean, readVariance] = [mean.bind(place), variance.bind(place)];
  const slots = updates.map((buffer) => place.host(buffer));
  const tensor = (values: ArrayLike<number>): Tensor =>
    new Tensor("float32", updates[0]!.type.shape, Float32Array.from(values));
  return () => {
    const { factor } = state;
    const statistics = {
      mean: state.mean.map((v, c) => v / factor[c]!),
      variance: state.variance.map((v, c) => v / (factor[c]! * factor[c]!)),
    };
    const now = newRunning([tensor(readMean()), tensor(readVariance())], statistics, count, momentum);
    now.forEach((value, i) => (slots[i]!.tensor = value));
  };
}

/** The batchNorm node whose gradient a normGrad node is, in training. */
export function normOf(gradient: Node): Node | null {
  const x = gradient.args[1] as Value;
  return x.users.find(({ target, args }) => target === "batchNorm" && args[0] === x) ?? null;
}

export const batchNormRules: readonly (readonly [string, StepRule])[] = [["batchNorm", { emit }]];
