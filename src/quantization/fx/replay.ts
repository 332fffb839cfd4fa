/**
 * Writes into a graph what a call of operator functions does: the functions run on tensors that stand for values, and
 * every operator they end in becomes a node. So a rule can say `quantizedLayerNorm(x, ...)` instead of repeating how
 * that operator's attributes are laid out.
 */

import { GraphError } from "../../errors.ts";
import { TracedTensor } from "../../graph/capture.ts";
import type { Argument, Graph, Value } from "../../graph/graph.ts";
import type { Builder } from "../../graph/rewrite.ts";
import type { Attrs } from "../../ops/op.ts";
import { dispatch, findOp } from "../../ops/op.ts";
import type { OpInput } from "../../ops/op.ts";
import { noGrad, withTracer } from "../../tensor/context.ts";
import type { Tracer } from "../../tensor/context.ts";
import type { Tensor, TensorType } from "../../tensor/tensor.ts";

/** A tensor that stands for a value; stored tensors stay themselves when the graph knows them. */
export function standIn(value: Value): Tensor {
  return new TracedTensor(value.type!, value);
}

class Replay implements Tracer {
  private readonly graph: Graph;
  private readonly build: Builder;

  constructor(graph: Graph, build: Builder) {
    this.graph = graph;
    this.build = build;
  }

  record(op: string, inputs: readonly OpInput[], attrs: Attrs, types: readonly TensorType[]): Tensor[] {
    const outputs = this.build.callMany(
      op,
      inputs.map((input) => this.argument(input)),
      attrs,
    );
    return outputs.map((value, i) => new TracedTensor(types[i]!, value));
  }

  callModule(_module: object, _args: readonly unknown[], run: () => unknown): unknown {
    return run();
  }

  assign(): never {
    throw new GraphError("lower", {}, "a rule cannot change stored tensors");
  }

  private argument(input: OpInput): Argument {
    if (input === null || typeof input === "number") return input;
    if (input instanceof TracedTensor) return input.value;
    for (const [name, stored] of this.graph.attributes) if (stored === input) return this.graph.attribute(name, stored);
    return this.build.constant(input, "constant");
  }
}

/** The value of what `run` returns, its operators written before the builder's node. */
export function replay(graph: Graph, build: Builder, run: () => Tensor): Value {
  const result = withTracer(new Replay(graph, build), () => noGrad(run));
  return (result as TracedTensor).value;
}

/** The same for one operator called by name: on integers its integer form, where it has one. */
export function replayCall(
  graph: Graph,
  build: Builder,
  target: string,
  inputs: readonly OpInput[],
  attrs: Attrs,
): Value {
  return replay(graph, build, () => dispatch(findOp(target), inputs, attrs)[0]!);
}
