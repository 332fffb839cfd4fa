/**
 * What calibration runs: the prepared graph without the observers that need no data. Weights are observed once, here;
 * biases take their parameters from others. Nothing is kept of what passes by but the observers' few numbers.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph, Node, Value } from "../../graph/graph.ts";
import { removeDead } from "../../graph/rewrite.ts";
import { DerivedObserverOrFakeQuantize } from "../../quantization/pt2e/index.ts";
import { FixedQParamsObserver, ObserverBase } from "../../quantization/observers/index.ts";
import { noGrad } from "../../tensor/context.ts";
import type { CalibrationJob, Tap } from "./options.ts";
import { tapOf } from "./watch.ts";

interface ObserverNode {
  readonly node: Node;
  readonly name: string;
  readonly observer: ObserverBase;
}

/** Every observer that a graph calls. */
export function observerNodes(graph: Graph): ObserverNode[] {
  return graph.nodes.flatMap((node) => {
    const observer = node.kind === "module" ? graph.modules.get(node.target) : undefined;
    return observer instanceof ObserverBase ? [{ node, name: node.target, observer }] : [];
  });
}

/** Takes observers out of the graph: their readers read what they watched. */
export function withoutObservers(graph: Graph, drop: (observer: ObserverNode) => boolean): Graph {
  const copy = graph.cloneWithMap().graph;
  for (const one of observerNodes(copy)) {
    if (!drop(one)) continue;
    copy.replaceUses(one.node.output, one.node.args[0]!);
    copy.remove(one.node);
  }
  copy.collectGarbage();
  return copy;
}

const needsNoData = ({ node, observer }: ObserverNode): boolean =>
  (node.args[0] as Value).node.kind === "attribute" ||
  observer instanceof DerivedObserverOrFakeQuantize ||
  observer instanceof FixedQParamsObserver;

/** Shows stored weights to their observers. */
export function observeWeights(graph: Graph): void {
  noGrad(() => {
    for (const { node, observer } of observerNodes(graph)) {
      const stored = graph.tensorOf(node.args[0]!);
      if (stored) observer.observe(stored);
    }
  });
}

/** Observers of the same value are one tap; an observer that sees several values is in several. */
function tapsOf(graph: Graph): { readonly values: readonly Value[]; readonly taps: readonly Tap[] } {
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
  const values = [...byValue.keys()];
  return { values, taps: values.map((value) => tapOf(value, byValue.get(value)!)) };
}

function tappedModel(observed: Graph): { readonly model: GraphModule; readonly taps: readonly Tap[] } {
  const { graph, values } = observed.cloneWithMap();
  const found = tapsOf(observed);
  graph.outputs = found.values.map((value) => values.get(value)!);
  graph.outputTree = null;
  for (const { node } of observerNodes(graph)) {
    graph.replaceUses(node.output, node.args[0]!);
    graph.remove(node);
  }
  removeDead(graph);
  return { model: new GraphModule(graph), taps: found.taps };
}

/** The job of a prepared graph. */
export function calibrationJob(prepared: GraphModule): CalibrationJob {
  const observed = withoutObservers(prepared.graph, needsNoData);
  const observers = new Map(observerNodes(observed).map(({ name, observer }) => [name, observer]));
  return { observed: new GraphModule(observed), observers, tapped: () => tappedModel(observed) };
}
