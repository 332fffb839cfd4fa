/**
 * Calibration by another program: the float model with every observed value as an output.
 *
 * Where all observers of a value need only its range, the program takes it: the output is the two numbers, which the
 * observers are shown in place of the values. So a program in another memory hands over next to nothing.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph, Value } from "../../graph/graph.ts";
import { Builder, removeDead } from "../../graph/rewrite.ts";
import { catOp } from "../../ops/cat.ts";
import { isnanOp } from "../../ops/logical.ts";
import { amaxOp, aminOp } from "../../ops/reduce-extremes.ts";
import { reduceAttrs, sumOp } from "../../ops/reduce.ts";
import { reshapeOp } from "../../ops/shape.ts";
import { whereOp } from "../../ops/where.ts";
import type { ObserverBase } from "../../quantization/observers/index.ts";
import { numel } from "../../tensor/shape.ts";
import { observerNodes } from "./observer-nodes.ts";
import type { Tap } from "./options.ts";
import { tapOfRange, tapOfValues } from "./watch.ts";

/** Observers by what they see; an observer that sees several values is in several lists. */
function observersByValue(graph: Graph): ReadonlyMap<Value, readonly ObserverBase[]> {
  const byValue = new Map<Value, ObserverBase[]>();
  const watched = new Map<Value, Value>();
  for (const { node, observer } of observerNodes(graph)) {
    const arg = node.args[0] as Value;
    const value = watched.get(arg) ?? arg;
    watched.set(node.output, value);
    const list = byValue.get(value) ?? [];
    list.push(observer);
    byValue.set(value, list);
  }
  return byValue;
}

const isRangeEnough = ({ type }: Value, observers: readonly ObserverBase[]): boolean =>
  type?.dtype === "float32" && numel(type.shape) > 0 && observers.every((observer) => observer.needsRangeOnly);

/**
 * Smallest and largest element, as [2]. Reductions of onnxruntime pass over NaN, where observers and PyTorch do not: a
 * sum that is NaN takes the smallest one's place.
 */
function addRange(graph: Graph, value: Value): Value {
  const build = new Builder(graph, null);
  const all = reduceAttrs("calibration", value.type!, null, { keepdim: true });
  const row = (scalar: Value): Value => build.call(reshapeOp, [scalar], { shape: [1] });
  const sum = row(build.call(sumOp, [value], all));
  const min = row(build.call(aminOp, [value], all));
  const max = row(build.call(amaxOp, [value], all));
  const low = build.call(whereOp, [build.call(isnanOp, [sum]), sum, min]);
  return build.call(catOp, [low, max], { dim: 0 });
}

/** The float model that returns each tapped value, or its range, as an output in the order of the taps. */
export function tappedModel(observed: Graph): { readonly model: GraphModule; readonly taps: readonly Tap[] } {
  const { graph, values } = observed.cloneWithMap();
  const byValue = observersByValue(observed);
  const taps: Tap[] = [];
  graph.outputs = [...byValue].map(([value, observers]) => {
    const copy = values.get(value)!;
    const ranged = isRangeEnough(value, observers);
    taps.push(ranged ? tapOfRange(value, observers) : tapOfValues(value, observers));
    return ranged ? addRange(graph, copy) : copy;
  });
  graph.outputTree = null;
  for (const { node } of observerNodes(graph)) {
    graph.replaceUses(node.output, node.args[0]!);
    graph.remove(node);
  }
  removeDead(graph);
  return { model: new GraphModule(graph), taps };
}
