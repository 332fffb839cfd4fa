/**
 * A training step as a graph: forward, loss, and the gradient of every parameter the optimizer changes.
 */

import { grad } from "../../autograd/backward.ts";
import { ArgumentError } from "../../errors.ts";
import { capture } from "../../graph/capture.ts";
import type { Graph } from "../../graph/graph.ts";
import { commonSubexpressions, deadCode } from "../../graph/passes/cleanup.ts";
import { runPasses } from "../../graph/rewrite.ts";
import { flattenTree } from "../../graph/tree.ts";
import type { TreeSpec } from "../../graph/tree.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import { FakeQuantizeBase } from "../../quantization/fake-quantize/base.ts";
import { ObserverBase } from "../../quantization/observers/base.ts";
import { enableGrad } from "../../tensor/context.ts";
import type { Parameter, Tensor } from "../../tensor/tensor.ts";

/** The loss of a model's output and the targets, 0-d. */
export type LossFunction = (output: never, ...targets: never[]) => Tensor;

/** What is captured. Outputs of the graph, in order: the loss, the model's outputs, a gradient for each of `trained`. */
export interface CapturedStep {
  readonly graph: Graph;
  /** Number and structure of the model's outputs. */
  readonly outputs: number;
  readonly outputTree: TreeSpec;
  /** Parameters that have a gradient. */
  readonly trained: readonly Parameter[];
}

class StepModule extends Module<[readonly Tensor[], readonly Tensor[]], readonly Tensor[]> {
  model: AnyModule;
  readonly found: { outputs: number; outputTree: TreeSpec; trained: Parameter[] }[] = [];
  private readonly loss: LossFunction;
  private readonly parametersOf: () => readonly Parameter[];

  constructor(model: AnyModule, loss: LossFunction, parameters: readonly Parameter[]) {
    super();
    this.model = model;
    this.loss = loss;
    // Behind a function: the optimizer's parameters are not this module's own.
    this.parametersOf = () => parameters;
  }

  forward(inputs: readonly Tensor[], targets: readonly Tensor[]): readonly Tensor[] {
    const model = this.model as unknown as { forward(...inputs: readonly Tensor[]): unknown };
    const compute = this.loss as (output: unknown, ...targets: readonly Tensor[]) => Tensor;
    const output = model.forward(...inputs);
    const loss = compute(output, ...targets);
    if (loss.numel !== 1)
      throw new ArgumentError(
        "compileTrainingStep",
        { loss: loss.shape },
        "the loss must be one number",
        "Take its mean",
      );
    const parameters = this.parametersOf();
    const gradients = grad(loss, parameters);
    const { leaves, spec } = flattenTree(output);
    const trained = parameters.filter((_, i) => gradients[i]);
    this.found.push({ outputs: leaves.length, outputTree: spec, trained });
    return [loss, ...leaves, ...gradients.filter((gradient): gradient is Tensor => gradient !== null)];
  }
}

/** Runs `body` while captures look inside observers and fake-quantizes, whose rounding has a gradient. */
function lookingInside<T>(model: AnyModule, body: () => T): T {
  const leaves = model
    .modules()
    .filter((module) => module instanceof FakeQuantizeBase || module instanceof ObserverBase);
  const before = leaves.map(({ captureInside }) => captureInside);
  for (const leaf of leaves) leaf.captureInside = true;
  try {
    return body();
  } finally {
    leaves.forEach((leaf, i) => (leaf.captureInside = before[i]!));
  }
}

/**
 * Captures one step for inputs and targets of these shapes.
 * @throws ArgumentError when the loss is not one number; AutogradError when it depends on no parameter; GraphError as capture.
 */
export function captureStep(
  model: AnyModule,
  loss: LossFunction,
  parameters: readonly Parameter[],
  inputs: readonly Tensor[],
  targets: readonly Tensor[],
): CapturedStep {
  const step = new StepModule(model, loss, parameters);
  const captured = lookingInside(model, () =>
    enableGrad(() => capture(step, [inputs, targets], { name: model.constructor.name, dynamicBatch: false })),
  );
  const graph = runPasses(captured.graph, [deadCode, commonSubexpressions]);
  return { graph, ...step.found[0]! };
}
