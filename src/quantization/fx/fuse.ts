/**
 * fuseFx: folds batch norms into the layers before them and joins what a backend runs as one, before anything is
 * observed. A fused unit has the path of its first layer and the name of the fused class.
 * Source: torch/ao/quantization/fx/fuse.py and fuser_method_mappings.py.
 */

import { QuantError } from "../../errors.ts";
import { describe } from "../../graph/graph.ts";
import type { Argument, Graph, Node, Value } from "../../graph/graph.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { removeDead } from "../../graph/rewrite.ts";
import { verify } from "../../graph/verify.ts";
import { fuseConvBnWeights, fuseLinearBnWeights } from "../../nn/fusion.ts";
import type { FixedBatchNorm, WeightBias } from "../../nn/fusion.ts";
import type { AnyModule } from "../../nn/module.ts";
import { noGrad } from "../../tensor/context.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { BackendConfig } from "./backend-config.ts";
import { getNativeBackendConfig } from "./backends.ts";
import { longestFirst, matchEndingAt } from "./chains.ts";
import type { ChainMatch } from "./chains.ts";
import { keepAttributes } from "./custom-config.ts";
import type { FuseCustomConfig } from "./custom-config.ts";
import { symbolicTrace } from "./trace.ts";
import { producers, setUnitRecord, unitsOf } from "./units.ts";
import type { Unit, UnitRecord } from "./units.ts";

/** The batch norm of a unit, which in training also counts batches; undefined for other units. */
const normOf = (unit: Unit): Node | undefined => unit.nodes.find((node) => node.target === "batchNorm");
const isBatchNorm = (unit: Unit): boolean => unit.nodes.length <= 2 && normOf(unit) !== undefined;

/** Classes a unit has once its batch norm is folded. */
const folded: ReadonlyMap<string, string> = new Map([
  ...[1, 2, 3].flatMap((rank) => [
    [`ConvBn${rank}d`, `Conv${rank}d`] as const,
    [`ConvBnReLU${rank}d`, `ConvReLU${rank}d`] as const,
  ]),
  ["LinearBn1d", "Linear"],
]);

function foldedWeights(graph: Graph, layer: Node, norm: Node): WeightBias {
  const tensor = (arg: Argument | undefined): Tensor | null => graph.tensorOf(arg ?? null);
  const [, gamma, beta, mean, variance] = norm.args;
  const bn: FixedBatchNorm = {
    weight: tensor(gamma),
    bias: tensor(beta),
    runningMean: tensor(mean),
    runningVar: tensor(variance),
    eps: norm.attrs["eps"] as number,
  };
  const [weight, bias] = [tensor(layer.args[1])!, tensor(layer.args[2])];
  if (layer.target === "linear") return fuseLinearBnWeights(weight, bias, bn);
  const groups = layer.target.startsWith("convTranspose") ? (layer.attrs["groups"] as number) : null;
  return fuseConvBnWeights(weight, bias, bn, groups);
}

/** A name for a folded parameter next to the layer it belongs to. */
function foldedName(graph: Graph, layer: Node, parameter: string): string {
  const stem = layer.source.path === "" ? parameter : `${layer.source.path}.${parameter}`;
  return graph.freeAttributeName(stem);
}

/** Replaces layer and batch norm by the layer with other parameters. @throws QuantError in training mode. */
function foldBatchNorm(graph: Graph, layer: Unit, norm: Unit): void {
  const layerNode = layer.nodes[layer.nodes.length - 1]!;
  const normNode = normOf(norm)!;
  if (normNode.attrs["training"] === true) {
    throw new QuantError(
      "fuseFx",
      { node: describe(normNode) },
      "a batch norm can only be folded in eval mode",
      "Call model.eval() first, or use prepareQatFx",
    );
  }
  const { weight, bias } = noGrad(() => foldedWeights(graph, layerNode, normNode));
  const stored = (tensor: Tensor, name: string): Value =>
    graph.attribute(foldedName(graph, layerNode, name), tensor.detach(), layerNode.source);
  const [x] = layerNode.args;
  graph.setArgs(layerNode, [x!, stored(weight, "weight"), stored(bias, "bias")]);
  graph.replaceUses(normNode.outputs[0]!, layerNode.output);
  graph.remove(normNode);
}

function fuseMatch(graph: Graph, { config, units }: ChainMatch, isQat: boolean): void {
  const layer = units.find((unit) => !isBatchNorm(unit)) ?? units[0]!;
  const norm = units.find((unit, i) => i > 0 && isBatchNorm(unit));
  const fused = config.fusedModule!;
  const record: UnitRecord = {
    ...(norm && !isBatchNorm(units[0]!) ? layer.record : units[0]!.record),
    type: norm && !isQat ? (folded.get(fused) ?? fused) : fused,
    parts: units.filter((unit) => isQat || unit !== norm).flatMap((unit) => unit.record.parts),
  };
  if (norm && isQat && fused.startsWith("ConvTranspose")) {
    throw new QuantError(
      "prepareQatFx",
      { node: describe(normOf(norm)!) },
      "a transposed convolution cannot be trained fused with a batch norm",
    );
  }
  if (norm && !isQat) foldBatchNorm(graph, layer, norm);
  for (const unit of units) for (const node of unit.nodes) if (graph.nodes.includes(node)) setUnitRecord(node, record);
}

/** Joins units of a graph in place. @throws QuantError for a batch norm in training mode, unless training is prepared. */
export function fuseGraph(graph: Graph, backend: BackendConfig, isQat: boolean): void {
  const configs = longestFirst(backend.configs.filter((config) => config.fusedModule !== null));
  const units = unitsOf(graph);
  const context = { graph, producers: producers(units) };
  const done = new Set<Unit>();
  const matches: ChainMatch[] = [];
  for (const unit of [...units].reverse()) {
    if (done.has(unit)) continue;
    const match = matchEndingAt(context, unit, configs);
    if (!match || match.units.some((part) => done.has(part))) continue;
    for (const part of match.units) done.add(part);
    matches.push(match);
  }
  for (const match of matches.reverse()) fuseMatch(graph, match, isQat);
  removeDead(graph);
}

/**
 * A traced copy of the model with batch norms folded and layers joined; the model itself is not changed.
 * @throws QuantError for a batch norm in training mode; GraphError when the model cannot be traced.
 */
export function fuseFx(
  model: AnyModule,
  exampleInputs: readonly unknown[],
  custom: FuseCustomConfig | null = null,
  backend: BackendConfig | null = null,
): GraphModule {
  const traced = symbolicTrace(model, exampleInputs);
  const graph = traced.graph.clone();
  fuseGraph(graph, backend ?? getNativeBackendConfig(), false);
  verify(graph);
  return keepAttributes(new GraphModule(graph, model.training), model, custom?.preservedAttributes ?? []);
}
