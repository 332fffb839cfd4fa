/**
 * Training of a layer with a batch norm behind it, as operators of the graph.
 *
 * The weight that is fake-quantized is the one conversion will store: folded by the running statistics. The output is
 * scaled back, so that the batch norm still trains on the batch's own statistics:
 *
 *     k = gamma / sqrt(runningVar + eps)      y = BN(layer(x, fakeQuant(W k)) / k + b)
 *
 * Conversion folds for good, and the weight's fake-quantize sees the folded weight once more.
 * Source: _forward_approximate, torch/ao/nn/intrinsic/qat/modules/conv_fused.py and linear_fused.py.
 */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { Builder } from "../../graph/rewrite.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import { fuseConvBnWeights, fuseLinearBnWeights } from "../../nn/fusion.ts";
import type { FixedBatchNorm } from "../../nn/fusion.ts";
import { add, div, mul } from "../../ops/arithmetic.ts";
import { reshape } from "../../ops/shape.ts";
import { sqrt } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { zeros } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { replay, standIn } from "./replay.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";
import { setUnitRecord, unitRecordOf } from "./units.ts";
import type { Unit } from "./units.ts";
import { weightIndexes } from "./weights.ts";

const KEY = "fxTrainedNorm";

/** The stored tensors of a layer and its batch norm, by name. */
interface TrainedNorm {
  readonly weight: string;
  readonly bias: string | null;
  readonly gamma: string;
  readonly beta: string | null;
  readonly mean: string;
  readonly variance: string;
  readonly eps: number;
}

function storedName(node: Node, index: number): string | null {
  const arg = node.args[index];
  return arg instanceof Value && arg.node.kind === "attribute" ? arg.node.target : null;
}

function partsOf(layer: Node, norm: Node): TrainedNorm | null {
  const [weight, bias] = [storedName(layer, 1), storedName(layer, 2)];
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => storedName(norm, i));
  if (!weight || !gamma || !mean || !variance) return null;
  return { weight, bias, gamma, beta: beta ?? null, mean, variance, eps: norm.attrs["eps"] as number };
}

/** [C] → [C, 1, ...] along axis 0 of a weight, or [1, C, 1, ...] along axis 1 of an output. */
function along(x: Tensor, axis: 0 | 1, rank: number): Tensor {
  return reshape(
    x,
    Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1)),
  );
}

/** k, and the weight times it. */
function scaleWeight(layer: Node, norm: Node): { factor: Tensor; scaled: Tensor } {
  const [, gamma, , , variance] = norm.args as readonly Value[];
  const weight = layer.args[1] as Value;
  const factor = div(standIn(gamma!), sqrt(add(standIn(variance!), norm.attrs["eps"] as number)));
  return { factor, scaled: mul(standIn(weight), along(factor, 0, weight.type!.shape.length)) };
}

function trainNorm(graph: Graph, layer: Node, norm: Node): void {
  const parts = partsOf(layer, norm);
  if (!parts) return;
  const [x, weight, bias = null] = layer.args;
  const channels = (weight as Value).type!.shape[0]!;
  let factor: Tensor | null = null;
  const scaled = replay(graph, new Builder(graph, layer), () => {
    const found = scaleWeight(layer, norm);
    factor = found.factor;
    return found.scaled;
  });
  const zero = graph.attribute(graph.freeAttributeName("zero_bias"), zeros([channels]));
  graph.setArgs(layer, [x!, scaled, bias === null ? null : zero]);
  const rank = layer.output.type!.shape.length;
  const restored = replay(graph, new Builder(graph, norm), () => {
    const y = div(standIn(layer.output), along(factor!, 1, rank));
    return bias instanceof Value ? add(y, along(standIn(bias), 1, rank)) : y;
  });
  graph.setArgs(norm, [restored, ...norm.args.slice(1)]);
  layer.meta.set(KEY, parts);
  claim(layer, norm);
}

/** Gives the nodes between a layer's weight and its batch norm to the layer's unit. */
function claim(layer: Node, norm: Node): void {
  const record = unitRecordOf(layer)!;
  const pending = [norm.args[0], layer.args[1]];
  while (pending.length > 0) {
    const value = pending.pop();
    if (!(value instanceof Value) || value.node.kind !== "operator" || unitRecordOf(value.node)) continue;
    setUnitRecord(value.node, record);
    value.node.source = layer.source;
    pending.push(...value.node.args);
  }
}

/** Rewrites every layer fused with a batch norm whose unit is to be quantized. */
export function trainBatchNorms(
  graph: Graph,
  units: readonly Unit[],
  qconfigs: ReadonlyMap<Unit, MappedQConfig>,
): void {
  for (const unit of units) {
    const layer = unit.nodes.find((node) => weightIndexes[node.target] === 1);
    const norm = unit.nodes.find((node) => node.target === "batchNorm");
    if (layer && norm && qconfigs.get(unit)) trainNorm(graph, layer, norm);
  }
}

function foldedBy(graph: Graph, layer: Node, parts: TrainedNorm): { weight: Tensor; bias: Tensor } {
  const stored = (name: string | null): Tensor | null => (name === null ? null : graph.attributes.get(name)!);
  const bn: FixedBatchNorm = {
    weight: stored(parts.gamma),
    bias: stored(parts.beta),
    runningMean: stored(parts.mean),
    runningVar: stored(parts.variance),
    eps: parts.eps,
  };
  const [weight, bias] = [stored(parts.weight)!, stored(parts.bias)];
  return noGrad(() =>
    layer.target === "linear" ? fuseLinearBnWeights(weight, bias, bn) : fuseConvBnWeights(weight, bias, bn),
  );
}

/** The batch norm that ends the chain behind a trained layer. */
function normBehind(layer: Node): Node {
  let node = layer;
  while (node.target !== "batchNorm") node = node.outputs[0]!.users[0]!;
  return node;
}

/** Undoes the rewriting with batch norms folded into weights and biases; what is left is a graph for inference. */
export function foldTrainedBatchNorms(graph: Graph): void {
  graph.updates.clear();
  for (const layer of [...graph.nodes]) {
    const parts = layer.meta.get(KEY) as TrainedNorm | undefined;
    if (!parts) continue;
    const { weight, bias } = foldedBy(graph, layer, parts);
    const stem = layer.source.path === "" ? "" : `${layer.source.path}.`;
    const norm = normBehind(layer);
    const scaled = layer.args[1] as Value;
    const folded = graph.attribute(graph.freeAttributeName(`${stem}weight`), weight.detach(), layer.source);
    if (scaled.node.kind === "module") graph.setArgs(scaled.node, [folded]);
    else graph.setArgs(layer, [layer.args[0]!, folded, ...layer.args.slice(2)]);
    graph.setArgs(layer, [
      ...layer.args.slice(0, 2),
      graph.attribute(graph.freeAttributeName(`${stem}bias`), bias.detach(), layer.source),
    ]);
    graph.replaceUses(norm.outputs[0]!, layer.output);
    layer.meta.delete(KEY);
  }
}

const FROZEN = "fxFrozenNorm";

/** Keeps frozen batch norms in eval mode, whatever the mode of the model. */
export function holdFrozen(graph: Graph): void {
  for (const node of graph.nodes) if (node.meta.has(FROZEN)) node.attrs = { ...node.attrs, training: false };
}

/** Batch norms of a model that is being trained use and keep their running statistics from now on. */
export function freezeBnStats(model: GraphModule): void {
  for (const node of model.graph.nodes) if (node.target === "batchNorm") node.meta.set(FROZEN, true);
  holdFrozen(model.graph);
}

/** Batch norms use batch statistics again, and update the running ones. */
export function updateBnStats(model: GraphModule): void {
  for (const node of model.graph.nodes) {
    if (node.target !== "batchNorm" || !node.meta.delete(FROZEN)) continue;
    node.attrs = { ...node.attrs, training: model.training };
  }
}
