/**
 * Cross-layer equalization of a graph: channels between two layers are scaled so that the first layer's output weights
 * and the second's input weights use their ranges alike, which per-tensor weights need most.
 *
 *     relu(x W1 + b1) W2 = relu(x (W1 / s) + b1 / s) (s W2)        s_i = sqrt(r1_i / r2_i)
 *
 * for s > 0 and anything between that is positively homogeneous, r being the largest absolute weight of a channel.
 * Source: Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019, section 4.1.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { QuantizePass } from "./passes.ts";

/** Operators that a positive factor of a channel goes through. */
const homogeneous = new Set([
  "relu",
  "leakyRelu",
  "maxPool2d",
  "avgPool2d",
  "adaptiveAvgPool2d",
  "maxPool1d",
  "avgPool1d",
]);
const convs = new Set(["conv1d", "conv2d", "conv3d"]);
/** Sweeps over all pairs; factors of a chain settle within some. */
const SWEEPS = 20;
/** Factors nearer to 1 move nothing. */
const SETTLED = 1e-3;

interface Pair {
  readonly first: Node;
  readonly second: Node;
  readonly channels: number;
}

/** Where the weights of a channel lie: `count` runs of `length`, `stride` apart. */
interface ChannelWeights {
  readonly data: Float32Array;
  readonly at: (channel: number) => {
    readonly start: number;
    readonly length: number;
    readonly stride: number;
    readonly count: number;
  };
}

function stored(graph: Graph, arg: unknown): Tensor | null {
  if (!(arg instanceof Value) || arg.users.length !== 1) return null;
  const tensor = graph.tensorOf(arg);
  return tensor?.dtype === "float32" ? tensor : null;
}

function isLayer(graph: Graph, node: Node): boolean {
  if (node.target !== "linear" && !convs.has(node.target)) return false;
  const [, weight, bias] = node.args;
  return stored(graph, weight) !== null && (bias === null || bias === undefined || stored(graph, bias) !== null);
}

function isDepthwise(graph: Graph, node: Node): boolean {
  const groups = node.attrs["groups"];
  return groups !== undefined && groups !== 1 && groups === graph.tensorOf(node.args[1]!)!.shape[0];
}

/** The layer that alone reads `first`, through homogeneous operators only. */
function layerBehind(graph: Graph, first: Node): Node | null {
  for (let at = first; ;) {
    const [output] = at.outputs;
    const [reader] = output!.users;
    if (graph.useCount(output!) !== 1 || !reader || reader.args[0] !== output) return null;
    if (isLayer(graph, reader)) return reader;
    if (!homogeneous.has(reader.target)) return null;
    at = reader;
  }
}

function pairsOf(graph: Graph): Pair[] {
  return graph.nodes.flatMap((first) => {
    const second = isLayer(graph, first) ? layerBehind(graph, first) : null;
    if (!second) return [];
    const channels = graph.tensorOf(first.args[1]!)!.shape[0]!;
    const groups = second.attrs["groups"] ?? 1;
    return groups === 1 || isDepthwise(graph, second) ? [{ first, second, channels }] : [];
  });
}

function outputWeights(graph: Graph, node: Node): ChannelWeights {
  const { data, shape, numel } = graph.tensorOf(node.args[1]!)!;
  const length = numel / shape[0]!;
  return { data: data as Float32Array, at: (c) => ({ start: c * length, length, stride: 0, count: 1 }) };
}

function inputWeights(graph: Graph, node: Node): ChannelWeights {
  if (isDepthwise(graph, node)) return outputWeights(graph, node);
  const { data, shape, numel } = graph.tensorOf(node.args[1]!)!;
  const length = numel / (shape[0]! * shape[1]!);
  const stride = length * shape[1]!;
  return { data: data as Float32Array, at: (c) => ({ start: c * length, length, stride, count: shape[0]! }) };
}

function each({ data, at }: ChannelWeights, channel: number, f: (value: number, i: number) => void): void {
  const { start, length, stride, count } = at(channel);
  for (let k = 0; k < count; k++) for (let i = start + k * stride; i < start + k * stride + length; i++) f(data[i]!, i);
}

function largest(weights: ChannelWeights, channel: number): number {
  let most = 0;
  each(weights, channel, (v) => (most = Math.max(most, Math.abs(v))));
  return most;
}

/** Scales the channels between two layers; returns how far from 1 the factors were. */
function equalizePair(graph: Graph, { first, second, channels }: Pair): number {
  const [out, into] = [outputWeights(graph, first), inputWeights(graph, second)];
  const bias = graph.tensorOf(first.args[2] ?? null)?.data;
  let moved = 0;
  for (let c = 0; c < channels; c++) {
    const [r1, r2] = [largest(out, c), largest(into, c)];
    const s = Math.sqrt(r1 / r2);
    if (!(s > 0) || !Number.isFinite(s)) continue;
    moved = Math.max(moved, Math.abs(s - 1));
    each(out, c, (v, i) => (out.data[i] = v / s));
    each(into, c, (v, i) => (into.data[i] = v * s));
    if (bias) bias[c] = bias[c]! / s;
  }
  return moved;
}

/** Gives the layers of a graph weights of their own, which may be written to. */
function ownWeights(graph: Graph): void {
  for (const node of graph.nodes) {
    if (!isLayer(graph, node)) continue;
    for (const arg of node.args.slice(1))
      if (arg instanceof Value) {
        const { shape, data } = graph.tensorOf(arg)!;
        graph.attributes.set(arg.node.target, new Tensor("float32", shape, Float32Array.from(data)));
      }
  }
}

export const crossLayerEqualization: QuantizePass = {
  name: "cross-layer-equalization",
  beforeCalibration({ graph: given }) {
    const graph = given.cloneWithMap().graph;
    ownWeights(graph);
    const pairs = pairsOf(graph);
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const moved = pairs.reduce((most, pair) => Math.max(most, equalizePair(graph, pair)), 0);
      if (moved < SETTLED) break;
    }
    return new GraphModule(graph);
  },
};
