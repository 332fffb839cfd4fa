/**
 * The reference interpreter: runs a graph node by node through the same dispatch as eager code.
 *
 * So it is differentiable (a captured graph trains), can itself be captured, and is what the compiled engine is
 * compared with. Values are dropped after their last use.
 */

import { FewbitError, GraphError } from "../errors.ts";
import { dispatch, findOp, hasOp } from "../ops/op.ts";
import type { OpInput } from "../ops/op.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Value, describe } from "./graph.ts";
import type { Argument, Graph, Node } from "./graph.ts";
import { flattenTree } from "./tree.ts";
import { liveUpdates } from "./updates.ts";

/** Sees every value as it is computed; what it returns, if anything, replaces the value. */
export type NodeListener = (node: Node, outputs: readonly Tensor[]) => readonly Tensor[] | void;

export interface InterpretOptions {
  readonly onNode?: NodeListener;
}

function lastUses(graph: Graph): Map<Node, Value[]> {
  const last = new Map<Value, Node>();
  for (const node of graph.nodes) for (const input of node.inputs) last.set(input, node);
  for (const kept of [...graph.outputs, ...graph.updates.values()]) if (kept instanceof Value) last.delete(kept);
  const dying = new Map<Node, Value[]>();
  for (const [value, node] of last) dying.set(node, [...(dying.get(node) ?? []), value]);
  return dying;
}

function runNode(graph: Graph, node: Node, inputs: readonly OpInput[]): readonly Tensor[] {
  if (node.kind === "module") {
    const module = graph.modules.get(node.target) as unknown as { forward(...args: readonly OpInput[]): unknown };
    return flattenTree(module.forward(...inputs)).leaves;
  }
  if (!hasOp(node.target)) {
    throw new GraphError(
      "interpret",
      { operator: node.target },
      "is not an operator of this library: it can be carried through, but not run",
    );
  }
  return dispatch(findOp(node.target), inputs, node.attrs);
}

function withContext(error: unknown, node: Node): unknown {
  if (error instanceof FewbitError) error.message += ` — while running ${describe(node)}`;
  return error;
}

/**
 * Runs the graph. Buffers with an update get their new values at the end.
 * @param inputs one tensor an input, in order.
 * @throws GraphError for a wrong number of inputs; errors of operators name the node they happened in.
 */
export function interpret(graph: Graph, inputs: readonly Tensor[], { onNode }: InterpretOptions = {}): Tensor[] {
  const expected = graph.inputs;
  if (inputs.length !== expected.length) {
    throw new GraphError(
      `graph ${graph.name}`,
      { inputs: inputs.length, expected: expected.length },
      "needs one tensor for each input",
    );
  }
  const values = new Map<Value, Tensor>();
  const read = (arg: Argument): OpInput => (arg instanceof Value ? values.get(arg)! : arg);
  const dying = lastUses(graph);
  let nextInput = 0;
  for (const node of graph.nodes) {
    let outputs: readonly Tensor[];
    if (node.kind === "input") outputs = [inputs[nextInput++]!];
    else if (node.kind === "attribute") outputs = [graph.attributes.get(node.target)!];
    else {
      try {
        outputs = runNode(graph, node, node.args.map(read));
      } catch (error) {
        throw withContext(error, node);
      }
    }
    outputs = onNode?.(node, outputs) ?? outputs;
    node.outputs.forEach((value, i) => values.set(value, outputs[i]!));
    for (const value of dying.get(node) ?? []) values.delete(value);
  }
  const updates = liveUpdates(graph).map(
    ([name, value]) => [graph.attributes.get(name)!, read(value) as Tensor] as const,
  );
  const results = graph.outputs.map((output) => read(output) as Tensor);
  for (const [buffer, value] of updates) buffer.assign(value);
  return results;
}
