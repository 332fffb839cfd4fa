/** Sessions of fewbit's own engine: compiled; graphs whose types are known only when they run are interpreted. */

import { compile } from "../../compile/index.ts";
import { Engine } from "../../engine/index.ts";
import { flattenTree } from "../../graph/tree.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import { interpret } from "../../graph/interpret.ts";
import { noGrad } from "../../tensor/context.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Session, SessionOptions } from "./backend.ts";
import { threadCount } from "./backend.ts";

/** Whether every value's type is known before the graph runs, as compiling needs it. */
export function isCompilable({ graph }: GraphModule): boolean {
  return graph.nodes.every((node) => node.outputs.every(({ type }) => type !== null));
}

/* eslint-disable @typescript-eslint/require-await -- the engine computes at once; other sessions do not */
/** Operators without a kernel run by their reference. */
export function engineSession(module: GraphModule, options: SessionOptions = {}): Session {
  const engine = new Engine({ threads: threadCount(options) });
  if (!isCompilable(module)) {
    return {
      backend: "fewbit",
      threads: 1,
      run: async (inputs) => noGrad(() => interpret(module.graph, inputs)),
      dispose: async () => engine.dispose(),
    };
  }
  const executable = compile(module.graph, { engine, fallback: "reference" });
  return {
    backend: "fewbit",
    threads: engine.threads,
    run: async (inputs): Promise<Tensor[]> => flattenTree([executable.run(...inputs)]).leaves,
    dispose: async () => {
      executable.dispose();
      engine.dispose();
    },
  };
}
