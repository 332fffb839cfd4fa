/**
 * The way out for nodes without a kernel: values are copied to tensors, the operator's reference (or the module)
 * runs, and the results stay there until a kernel reads them.
 */

import type { Graph, Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { flattenTree } from "../../graph/tree.ts";
import { dispatch, findOp } from "../../ops/op.ts";
import type { OpInput } from "../../ops/op.ts";
import { noGrad } from "../../tensor/context.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder } from "../plan.ts";
import { load } from "../transfer.ts";

function runNode(graph: Graph, node: Node, inputs: readonly OpInput[]): readonly Tensor[] {
  if (node.kind === "operator") return noGrad(() => dispatch(findOp(node.target), inputs, node.attrs));
  const module = graph.modules.get(node.target) as unknown as { forward(...args: readonly OpInput[]): unknown };
  return noGrad(() => flattenTree(module.forward(...inputs)).leaves);
}

function fetcher(place: Place, plan: PlanBuilder, buffer: Buffer): () => Tensor {
  if (buffer.element === "host") {
    const slot = place.host(buffer);
    return () => slot.tensor!;
  }
  const address = place.at(buffer);
  return () => load(place.engine, buffer, address, plan.flip);
}

/** Adds a step that runs the node's reference on the JavaScript heap. */
export function emitReference(plan: PlanBuilder, node: Node, why: string): void {
  const reads = new Map<Value, Buffer>();
  for (const value of node.inputs) {
    if (!plan.constant(value)) reads.set(value, plan.read(value, node, { kind: "anywhere" }));
  }
  const writes = node.outputs.map((value) => plan.write(value, "host"));
  plan.step({
    node,
    kernel: "reference",
    precision: "reference",
    why,
    operations: 0,
    reads: [...reads.values()],
    writes,
    bind(place) {
      const sources = node.args.map((arg): (() => OpInput) => {
        if (!(arg instanceof Value)) return () => arg;
        const buffer = reads.get(arg);
        return buffer ? fetcher(place, plan, buffer) : () => plan.constant(arg);
      });
      const slots = writes.map((buffer) => place.host(buffer));
      return () => {
        const results = runNode(
          plan.graph,
          node,
          sources.map((source) => source()),
        );
        slots.forEach((slot, i) => (slot.tensor = results[i]!));
      };
    },
  });
}
