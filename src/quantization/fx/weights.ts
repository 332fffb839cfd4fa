/**
 * Weights at conversion: observed once more, and for layers stored as integers with a dequantize behind them.
 * Source: convert_weighted_module and _run_weight_observers, torch/ao/quantization/fx/convert.py.
 */

import { QuantError } from "../../errors.ts";
import { Value, describe } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { Builder } from "../../graph/rewrite.ts";
import { dequantizeOp } from "../../ops/quantize/native.ts";
import { cast, castOp } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { observedOf } from "../pt2e/convert.ts";
import type { ConvertOptions, Observed } from "../pt2e/convert.ts";
import type { BackendConfig } from "./backend-config.ts";
import { quantizeStored } from "./pairs.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";
import { isWeightSupported } from "./support.ts";
import type { Unit } from "./units.ts";

/** Where the weight stands among a weighted operator's arguments. */
export const weightIndexes: Readonly<Record<string, number>> = {
  linear: 1,
  conv1d: 1,
  conv2d: 1,
  conv3d: 1,
  convTranspose1d: 1,
  convTranspose2d: 1,
  convTranspose3d: 1,
  embedding: 0,
  embeddingBag: 0,
};

export type UnitQConfigs = ReadonlyMap<Unit, MappedQConfig>;

/** Whether a unit's weight is converted: observed, and of dtypes the backend lists for its class. */
export function convertsWeight(
  unit: Unit,
  qconfig: MappedQConfig,
  backend: BackendConfig,
): qconfig is NonNullable<MappedQConfig> {
  if (!unit.isLayer || !qconfig || !unit.record.isObserved) return false;
  const config = backend.configs.find(({ pattern }) => pattern === unit.type);
  return config !== undefined && isWeightSupported(config.dtypeConfigs, qconfig);
}

function checkScheme(node: Node, { qscheme }: Observed): void {
  if (!node.target.startsWith("convTranspose") || !isPerChannelScheme(qscheme)) return;
  throw new QuantError(
    "convertFx",
    { node: describe(node), qscheme },
    "the weight of a transposed convolution must be quantized per tensor",
    "Use a per-tensor weight observer for it, as getDefaultQConfigMapping does",
  );
}

/** The weight as the integers (or 16-bit floats) it will be stored as, and the node that makes it float again. */
function storedWeight(graph: Graph, node: Node, weight: Tensor, qconfig: NonNullable<MappedQConfig>): Value {
  const observer = qconfig.weight();
  const observed = observedOf(observer)!;
  checkScheme(node, observed);
  const build = new Builder(graph, node);
  if (observed.dtype === "float16") {
    const half = noGrad(() => cast(weight.detach(), "float16"));
    return build.call(castOp, [build.constant(half, "weight_half")], { dtype: "float32" });
  }
  noGrad(() => (observer as unknown as { forward(x: Tensor): unknown }).forward(weight.detach()));
  const quantized = quantizeStored(weight, observed, observed.calculateQParams());
  return build.call(dequantizeOp, [build.constant(quantized, "weight_int")]);
}

/** Stores the weights of layers as integers. In training they have fake-quantizes, which conversion replaces. */
export function storeLayerWeights(
  graph: Graph,
  units: readonly Unit[],
  qconfigs: UnitQConfigs,
  backend: BackendConfig,
): void {
  const stored = new Map<string, Value>();
  for (const unit of units) {
    const qconfig = qconfigs.get(unit) ?? null;
    if (!convertsWeight(unit, qconfig, backend)) continue;
    for (const node of unit.nodes) {
      const index = weightIndexes[node.target];
      const given = index === undefined ? undefined : node.args[index];
      const weight = given instanceof Value ? graph.tensorOf(given) : null;
      if (!weight || !(given instanceof Value)) continue;
      const name = given.node.target;
      const value = stored.get(name) ?? storedWeight(graph, node, weight, qconfig);
      stored.set(name, value);
      graph.setArgs(
        node,
        node.args.map((arg, i) => (i === index ? value : arg)),
      );
    }
  }
}

/** Runs the observers of stored weights, so that those that never ran forward have seen them too. */
export function runWeightObservers(graph: Graph): void {
  for (const node of graph.nodes) {
    const index = weightIndexes[node.target];
    const watched = index === undefined ? undefined : node.args[index];
    if (!(watched instanceof Value) || watched.node.kind !== "module") continue;
    const module = graph.modules.get(watched.node.target);
    const weight = graph.tensorOf(watched.node.args[0] ?? null);
    if (weight && observedOf(module))
      noGrad(() => (module as unknown as { forward(x: Tensor): unknown }).forward(weight.detach()));
  }
}

export type { ConvertOptions };
