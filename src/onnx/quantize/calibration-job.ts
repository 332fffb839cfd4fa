/**
 * What calibration runs: the prepared graph without the observers that need no data. Weights are observed once, here;
 * biases take their parameters from others. Nothing is kept of what passes by but the observers' few numbers.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph, Value } from "../../graph/graph.ts";
import { DerivedObserverOrFakeQuantize } from "../../quantization/pt2e/index.ts";
import { FixedQParamsObserver } from "../../quantization/observers/index.ts";
import { noGrad } from "../../tensor/context.ts";
import { observerNodes } from "./observer-nodes.ts";
import type { ObserverNode } from "./observer-nodes.ts";
import type { CalibrationJob } from "./options.ts";
import { tappedModel } from "./tapped.ts";

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

/** The job of a prepared graph. */
export function calibrationJob(prepared: GraphModule): CalibrationJob {
  const observed = withoutObservers(prepared.graph, needsNoData);
  const observers = new Map(observerNodes(observed).map(({ name, observer }) => [name, observer]));
  return { observed: new GraphModule(observed), observers, tapped: () => tappedModel(observed) };
}
