/**
 * Observing a value that another program computed: its observers alone, compiled, so that ranges and histograms are
 * taken by kernels as they are when the engine runs the model itself.
 */

import { compile } from "../../compile/index.ts";
import type { Executable } from "../../compile/index.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { Graph } from "../../graph/graph.ts";
import type { Value } from "../../graph/graph.ts";
import type { ObserverBase } from "../../quantization/observers/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Tap } from "./options.ts";

function watchingGraph(value: Value, observers: readonly ObserverBase[]): GraphModule {
  const graph = new Graph();
  const { type } = value;
  let seen = graph.insert({ kind: "input", target: "value", types: [type] }).output;
  observers.forEach((observer, i) => {
    graph.modules.set(`observer${i}`, observer);
    seen = graph.insert({ kind: "module", target: `observer${i}`, args: [seen], types: [type] }).output;
  });
  graph.outputs = [seen];
  return new GraphModule(graph);
}

/** Shows batches of `value` to its observers, in their order. */
export function tapOfValues(value: Value, observers: readonly ObserverBase[]): Tap {
  let executable: Executable | null = null;
  return {
    name: value.name,
    observe(tensor: Tensor) {
      executable ??= compile(watchingGraph(value, observers), { fallback: "reference" });
      executable.observe(tensor);
    },
    dispose() {
      executable?.dispose();
      executable = null;
    },
  };
}

/** Shows the smallest and largest element of each batch of `value` to its observers. */
export function tapOfRange(value: Value, observers: readonly ObserverBase[]): Tap {
  return {
    name: value.name,
    observe: (ends) => observers.forEach((observer) => observer.observe(ends)),
    dispose: () => undefined,
  };
}
