/** Compiled graphs: `compile(model, options)` gives an Executable. */

import { GraphModule } from "../graph/graph-module.ts";
import { capture } from "../graph/capture.ts";
import { Graph } from "../graph/graph.ts";
import type { AnyModule } from "../nn/module.ts";
import { ArgumentError } from "../errors.ts";
import { Executable as FinishedExecutable } from "./executable.ts";
import type { CompileOptions } from "./executable.ts";
import { prepareGraph } from "./prepare.ts";
import { observerRule } from "./steps/observe.ts";

export type { CompileOptions, Explanation, StepReport } from "./executable.ts";

export { TrainingStep, compileTrainingStep } from "./training/training-step.ts";
export type { Batch, TrainingResult, TrainingStepOptions } from "./training/training-step.ts";

/** A compiled graph, which may also be a prepared one: its observers are compiled, for calibration. */
export class Executable extends FinishedExecutable {
  constructor(graph: Graph, options: CompileOptions = {}) {
    super(graph, options, observerRule);
  }
}

export interface CompileModuleOptions extends CompileOptions {
  /** What a module is captured with; not needed for a graph. Only dtypes and shapes matter. */
  readonly exampleInputs?: readonly unknown[];
}

/**
 * Compiles a graph, or captures a module and compiles that.
 * @throws ArgumentError for a module without exampleInputs; GraphError when it cannot be captured.
 */
export function compile(model: Graph | AnyModule, options: CompileModuleOptions = {}): Executable {
  if (model instanceof Graph) return new Executable(model, options);
  if (model instanceof GraphModule) return new Executable(model.graph, options);
  if (!options.exampleInputs) {
    throw new ArgumentError(
      "compile",
      { module: model.constructor.name },
      "a module needs exampleInputs, with which its graph is captured",
    );
  }
  return new Executable(capture(model, options.exampleInputs).graph, options);
}

/**
 * The graph that the engine runs instead of this one: batch norms folded, quantize and dequantize pairs in integer
 * operators. Run by the interpreter it gives bit for bit what the compiled graph gives, as far as it is in integers.
 */
export function lower(model: GraphModule): GraphModule {
  return new GraphModule(prepareGraph(model.graph), false);
}
