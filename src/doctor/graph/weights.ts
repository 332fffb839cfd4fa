/** The integer weights of a graph's layers, whatever stage it is at, and the observers of their inputs. */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import type { AnyModule } from "../../nn/module.ts";
import { quantizeStored } from "../../quantization/fx/pairs.ts";
import { unitRecordOf } from "../../quantization/fx/units.ts";
import { weightIndexes } from "../../quantization/fx/weights.ts";
import { observedOf } from "../../quantization/pt2e/convert.ts";
import { noGrad } from "../../tensor/context.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export interface GraphWeight {
  readonly node: Node;
  readonly weight: Tensor;
  readonly isTransposed: boolean;
  /** Observer of the input; null when there is none any more. */
  readonly input: AnyModule | null;
}

function observerBehind(graph: Graph, arg: unknown): AnyModule | null {
  const node = arg instanceof Value && arg.node.kind === "module" ? arg.node : null;
  const module = node ? graph.modules.get(node.target) : undefined;
  return observedOf(module) ? module! : null;
}

/** The observer a weight meets: its own in the graph, or, in FX, one that its unit's qconfig makes at convert. */
function weightObserver(graph: Graph, node: Node, arg: Value): AnyModule | null {
  const inGraph = observerBehind(graph, arg);
  if (inGraph) return inGraph.clone();
  const record = unitRecordOf(node);
  return record?.isObserved && record.qconfig ? record.qconfig.weight() : null;
}

function stored(graph: Graph, arg: Value): Tensor | null {
  const through = observerBehind(graph, arg) ? arg.node.args[0]! : arg;
  return graph.tensorOf(through);
}

/** The integers a float weight will be; null when its observer gives none of 8 bits. */
function quantized(weight: Tensor, observer: AnyModule | null): Tensor | null {
  const observed = observedOf(observer ?? undefined);
  if (!observer || (observed?.dtype !== "qint8" && observed?.dtype !== "int8")) return null;
  return noGrad(() => {
    (observer as unknown as { forward(x: Tensor): unknown }).forward(weight.detach());
    return quantizeStored(weight, { ...observed, dtype: "qint8" }, observed.calculateQParams());
  });
}

function weightOf(graph: Graph, node: Node, at: number): Tensor | null {
  const arg = node.args[at];
  if (!(arg instanceof Value)) return null;
  const tensor = stored(graph, arg);
  if (!tensor || tensor.isQuantized) return tensor;
  return quantized(tensor, weightObserver(graph, node, arg));
}

/** Layers of a graph whose weights are 8-bit integers, now or after convert. */
export function integerWeights(graph: Graph): GraphWeight[] {
  return graph.nodes.flatMap((node): GraphWeight[] => {
    const isLowered = /^quantized(Conv|Linear)/.test(node.target);
    const at = isLowered ? 1 : weightIndexes[node.target];
    if (at !== 1) return [];
    const weight = weightOf(graph, node, at);
    if (!weight?.isQuantized) return [];
    const isTransposed = /convTranspose/i.test(node.target);
    return [{ node, weight, isTransposed, input: observerBehind(graph, node.args[0]) }];
  });
}
