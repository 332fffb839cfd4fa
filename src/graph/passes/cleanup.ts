/**
 * Passes that make a graph smaller without changing what it computes: dead code, common subexpressions and
 * constant folding.
 */

import { dispatch, findOp, hasOp } from "../../ops/op.ts";
import type { OpInput } from "../../ops/op.ts";
import { noGrad } from "../../tensor/context.ts";
import { Value } from "../graph.ts";
import type { Graph, Node } from "../graph.ts";
import { printData } from "../print.ts";
import { removeDead } from "../rewrite.ts";
import type { Pass } from "../rewrite.ts";

export const deadCode: Pass = { name: "dead-code", run: removeDead };

/** Operators whose result is not a function of their inputs are never merged or folded. */
function isPure(node: Node): boolean {
  return node.kind === "operator" && hasOp(node.target) && findOp(node.target).isRandom !== true;
}

/** Two calls of one operator on the same values with the same attributes become one. */
export const commonSubexpressions: Pass = {
  name: "common-subexpressions",
  run(graph) {
    const ids = new Map<Value, number>();
    const idOf = (value: Value): number => ids.get(value) ?? ids.set(value, ids.size).get(value)!;
    const seen = new Map<string, Node[]>();
    let merged = false;
    for (const node of [...graph.nodes]) {
      if (!isPure(node)) continue;
      const args = node.args.map((arg) => (arg instanceof Value ? `%${idOf(arg)}` : printData(arg)));
      const key = `${node.target}(${args.join()})`;
      const alike = seen.get(key);
      const first = alike?.find(({ attrs }) => printData(attrs) === printData(node.attrs));
      if (!first) {
        seen.set(key, [...(alike ?? []), node]);
        continue;
      }
      node.outputs.forEach((value, i) => graph.replaceUses(value, first.outputs[i]!));
      merged = true;
    }
    if (merged) removeDead(graph);
  },
};

/**
 * Nodes that read stored tensors only are computed now. `accepts` limits which; `stem` names the results, by default
 * after the value they were. Buffers that change are left alone.
 */
export function constantFolding(accepts: (node: Node) => boolean = () => true, stem?: string): Pass {
  return {
    name: "constant-folding",
    run(graph) {
      let folded = false;
      for (const node of [...graph.nodes]) {
        if (!isPure(node) || !accepts(node) || node.args.length === 0 || !readsConstantsOnly(graph, node)) continue;
        const inputs = node.args.map((arg): OpInput => (arg instanceof Value ? graph.tensorOf(arg) : arg));
        const results = noGrad(() => dispatch(findOp(node.target), inputs, node.attrs));
        node.outputs.forEach((value, i) => {
          const stored = graph.attribute(
            graph.freeAttributeName(stem ?? value.name),
            results[i]!.detach(),
            node.source,
          );
          graph.replaceUses(value, stored);
        });
        folded = true;
      }
      if (folded) removeDead(graph);
    },
  };
}

function readsConstantsOnly(graph: Graph, node: Node): boolean {
  const values = node.inputs;
  return (
    values.length > 0 &&
    values.every((value) => graph.tensorOf(value) !== null && !graph.updates.has(value.node.target))
  );
}
