/**
 * A graph's types for inputs of another batch size: every operator's own type rule, applied again.
 */

import { FewbitError } from "../errors.ts";
import { Value, describe } from "../graph/graph.ts";
import type { Graph } from "../graph/graph.ts";
import { findOp, hasOp } from "../ops/op.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";

/** Changes the types in `graph` to those it has for these inputs. @throws ShapeError, DtypeError naming the node. */
export function retype(graph: Graph, inputs: readonly Tensor[]): void {
  graph.inputs.forEach((value, i) => {
    const { dtype, shape, qparams } = inputs[i]!;
    value.type = qparams ? { dtype, shape, qparams } : { dtype, shape };
  });
  for (const node of graph.nodes) {
    if (node.kind === "module") retypeLeaf(node.args, node.outputs);
    if (node.kind !== "operator" || !hasOp(node.target)) continue;
    const types = node.args.map((arg) => (arg instanceof Value ? arg.type : arg));
    try {
      const inferred: readonly TensorType[] = findOp(node.target).infer(types, node.attrs);
      node.outputs.forEach((value, i) => (value.type = inferred[i] ?? null));
    } catch (error) {
      if (error instanceof FewbitError) error.message += ` — while compiling ${describe(node)}`;
      throw error;
    }
  }
}

/** Modules a graph calls as a whole keep shapes (observers); batch sizes follow their first argument. */
function retypeLeaf(args: readonly unknown[], outputs: readonly Value[]): void {
  const [first] = args;
  const batch = first instanceof Value ? first.type?.shape[0] : undefined;
  for (const value of outputs) {
    const { type } = value;
    if (!type || batch === undefined || type.shape.length === 0) continue;
    value.type = { ...type, shape: [batch, ...type.shape.slice(1)] };
  }
}
