/**
 * Input-weight equalization: input channels of a layer are scaled so that they use the integers as evenly as the
 * weight's columns do, and the weight's columns are scaled back.
 *
 *     k = sqrt((wMax - wMin) / (xMax - xMin)) a channel      layer(x, W) = layer(x k, W / k)
 *
 * The input gets a product in front of its observer; between two layers that are both equalized, the second's k goes
 * into the first's rows and bias instead. Source: torch/ao/quantization/fx/_equalize.py.
 */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { Builder } from "../../graph/rewrite.ts";
import { Module } from "../../nn/module.ts";
import { div, mul, mulOp, sub } from "../../ops/arithmetic.ts";
import { reshape } from "../../ops/shape.ts";
import { sqrt } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { scalar } from "../../tensor/create.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { MinMaxObserver, PerChannelMinMaxObserver } from "../observers/min-max.ts";
import { observedOf } from "../pt2e/convert.ts";
import { unitsOf } from "./units.ts";
import { weightIndexes } from "./weights.ts";

/** Channels are axis 1 of inputs and of weights. */
const CHANNELS = 1;

/** Watches the range of every input channel, and returns the same tensor. */
export class InputEqualizationObserver extends Module {
  inputObs = new PerChannelMinMaxObserver({ chAxis: CHANNELS, dtype: "quint8", qscheme: "per_channel_symmetric" });

  /** Captured graphs call it as a whole. */
  override get isGraphLeaf(): boolean {
    return true;
  }

  forward(x: Tensor): Tensor {
    this.inputObs.observe(x);
    return x;
  }
}

const STEM = "equalization_process";
const EQUALIZED = ["linear", "conv1d", "conv2d", "conv3d"];

/** Puts an observer in front of every quantized layer whose input nothing else reads. */
export function insertEqualization(graph: Graph): void {
  for (const unit of unitsOf(graph)) {
    const layer = unit.nodes.find((node) => EQUALIZED.includes(node.target));
    const input = layer?.args[0];
    if (!unit.isLayer || !unit.record.isObserved || !layer || !(input instanceof Value)) continue;
    const observed = input.node.kind === "module" ? observedOf(graph.modules.get(input.node.target)) : null;
    if (!observed || observed.isDynamic || input.users.length > 1) continue;
    const name = graph.freeAttributeName(STEM);
    graph.modules.set(name, new InputEqualizationObserver());
    const watching = graph.insert(
      { kind: "module", target: name, args: [input], types: [input.type], name, source: layer.source },
      layer,
    );
    graph.setArgs(layer, [watching.output, ...layer.args.slice(1)]);
  }
}

/** A layer to be equalized, the observers before it and its factors. */
interface Equalized {
  readonly layer: Node;
  readonly watching: Node;
  readonly observer: Node;
  readonly watched: InputEqualizationObserver;
  readonly factors: Tensor;
}

/** One factor a channel; 1 where a range is empty or not finite. */
function factorsOf({ inputObs }: InputEqualizationObserver, weight: Tensor): Tensor {
  const columns = new PerChannelMinMaxObserver({ chAxis: CHANNELS, dtype: "qint8", qscheme: "per_channel_affine" });
  columns.observe(weight.detach());
  const k = sqrt(div(sub(columns.maxVal, columns.minVal), sub(inputObs.maxVal, inputObs.minVal)));
  const data = Float32Array.from(k.data, (v) => (v === 0 || !Number.isFinite(v) ? 1 : v));
  return new Tensor("float32", k.shape, data);
}

function found(graph: Graph, watching: Node): Equalized {
  const layer = watching.users[0]!;
  const watched = graph.modules.get(watching.target) as unknown as InputEqualizationObserver;
  const weight = graph.tensorOf(layer.args[weightIndexes[layer.target]!]!)!;
  return { layer, watching, observer: watching.inputs[0]!.node, watched, factors: factorsOf(watched, weight) };
}

function along(k: Tensor, axis: number, rank: number): Tensor {
  return reshape(
    k,
    Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1)),
  );
}

/** The layer a value comes from, a relu in between aside. */
function layerBehind(value: Value): Node {
  return value.node.target === "relu" ? value.node.inputs[0]!.node : value.node;
}

/** W / k over its columns, and rows and bias times the next layer's k. */
function scaleLayer(graph: Graph, { layer, factors }: Equalized, next: Equalized | undefined): void {
  const [x, weight, bias = null] = layer.args;
  const [w, b] = [graph.tensorOf(weight!)!, graph.tensorOf(bias)];
  const rank = w.shape.length;
  let scaled = mul(w, div(1, along(factors, CHANNELS, rank)));
  if (next) scaled = mul(scaled, along(next.factors, 0, rank));
  const stem = layer.source.path === "" ? "" : `${layer.source.path}.`;
  const stored = (tensor: Tensor, name: string): Value =>
    graph.attribute(graph.freeAttributeName(stem + name), tensor.detach(), layer.source);
  graph.setArgs(layer, [x!, stored(scaled, "weight"), b && next ? stored(mul(b, next.factors), "bias") : bias]);
}

/** x k in front of the observer, whose range becomes that of the product. */
function scaleInput(graph: Graph, { observer, watched, factors }: Equalized): void {
  const [x] = observer.inputs;
  const build = new Builder(graph, observer);
  const k = graph.attribute(
    graph.freeAttributeName(`${x!.name}_equalization_scale`),
    along(factors, CHANNELS, x!.type!.shape.length),
  );
  graph.setArgs(observer, [build.call(mulOp, [x!, k])]);
  const module: unknown = graph.modules.get(observer.target);
  if (!(module instanceof MinMaxObserver)) return;
  const { minVal, maxVal } = watched.inputObs;
  module.minVal = scalar(Math.min(...mul(minVal, factors).data));
  module.maxVal = scalar(Math.max(...mul(maxVal, factors).data));
}

/** Applies all factors and removes the observers that found them. */
export function applyEqualization(graph: Graph): void {
  const watching = graph.nodes.filter(
    (node) => node.kind === "module" && graph.modules.get(node.target) instanceof InputEqualizationObserver,
  );
  noGrad(() => {
    const all = watching.map((node) => found(graph, node));
    const byLayer = new Map(all.map((one) => [one.layer, one]));
    const behind = new Map(all.map((one) => [one, byLayer.get(layerBehind(one.observer.inputs[0]!))]));
    for (const one of all)
      scaleLayer(
        graph,
        one,
        all.find((next) => behind.get(next) === one),
      );
    for (const one of all) {
      if (!behind.get(one)) scaleInput(graph, one);
      graph.replaceUses(one.watching.output, one.observer.output);
      graph.remove(one.watching);
    }
  });
  graph.collectGarbage();
}
