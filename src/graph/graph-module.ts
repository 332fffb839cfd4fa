/**
 * GraphModule: a graph that is called, trained, cloned and saved like any other module.
 */

import { GraphError, ShapeError } from "../errors.ts";
import { Module } from "../nn/module.ts";
import type { AnyModule } from "../nn/module.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { interpret } from "./interpret.ts";
import { setMode } from "./mode.ts";
import { printGraph } from "./print.ts";
import { flattenTree, unflattenTree } from "./tree.ts";

export class GraphModule extends Module<unknown[], unknown> {
  readonly graph: Graph;
  /** Extra attributes carried over from the original model. */
  readonly preserved: Record<string, unknown> = {};

  constructor(graph: Graph, training = false) {
    super();
    this.graph = graph;
    this.training = training;
  }

  /**
   * Runs the graph on the reference interpreter.
   * @throws GraphError, ShapeError when the inputs are not of the captured dtypes and shapes (batch size aside).
   */
  override forward(...inputs: unknown[]): unknown {
    const { graph } = this;
    const { leaves } = flattenTree(inputs);
    checkInputs(graph, leaves);
    const outputs = interpret(graph, leaves);
    return graph.outputTree ? unflattenTree(graph.outputTree, outputs) : outputs.length === 1 ? outputs[0] : outputs;
  }

  /** `forward` for graphs that return one tensor. @throws GraphError when it returns something else. */
  run(...inputs: unknown[]): Tensor {
    const { leaves } = flattenTree([this.forward(...inputs)]);
    if (leaves.length !== 1)
      throw new GraphError(`graph ${this.graph.name}`, { outputs: leaves.length }, "does not return one tensor");
    return leaves[0]!;
  }

  override ownTensors(): [string, Tensor][] {
    return [...this.graph.attributes];
  }

  override namedChildren(): [string, AnyModule][] {
    return [...this.graph.modules];
  }

  override setChild(name: string, module: AnyModule): void {
    this.graph.modules.set(name, module);
  }

  override getSubmodule(path: string): AnyModule {
    return this.graph.modules.get(path) ?? super.getSubmodule(path);
  }

  /** Moves dropout and batch-norm nodes between train and eval, leaving all their other settings as they are. */
  override train(mode = true): this {
    super.train(mode);
    setMode(this.graph, mode);
    return this;
  }

  override toString(): string {
    return printGraph(this.graph);
  }
}

function fits(type: TensorType, given: Tensor, fixed: boolean): boolean {
  if (type.dtype !== given.dtype || type.shape.length !== given.shape.length) return false;
  return type.shape.every((size, axis) => size === given.shape[axis] || (axis === 0 && !fixed));
}

function checkInputs(graph: Graph, given: readonly Tensor[]): void {
  const expected = graph.inputs;
  if (given.length !== expected.length) {
    throw new GraphError(
      `graph ${graph.name}`,
      { tensors: given.length, expected: expected.length },
      "needs the number of tensors it was captured with",
    );
  }
  expected.forEach(({ type, name }, i) => {
    const tensor = given[i]!;
    if (!type || fits(type, tensor, graph.fixedBatch !== null)) return;
    const onlyBatch = graph.fixedBatch !== null && fits(type, tensor, false);
    throw new ShapeError(
      `graph ${graph.name}`,
      {
        input: name,
        given: `${tensor.dtype}[${tensor.shape.join(",")}]`,
        captured: `${type.dtype}[${type.shape.join(",")}]`,
      },
      onlyBatch
        ? `the graph only runs for batch size ${graph.fixedBatch!.size}: ${graph.fixedBatch!.reason}`
        : "an input must have the captured dtype and shape; only axis 0 may differ",
    );
  });
}
