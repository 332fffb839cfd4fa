/**
 * Operators that only look at the same values in another shape: no step at all where the memory order allows.
 */

import type { Node } from "../../graph/graph.ts";
import { elementOf, flat } from "../form.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";

function emitReshape(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  if (elementOf(plan.type(x!).dtype) === "host") return "only float32 and 8-bit values live in the engine";
  const source = plan.read(x!, node, { kind: "flat" });
  plan.alias(node.output, source, flat(plan.type(node.output).shape));
}

/** Dropout outside training, detach and the like: the same buffer. */
function emitSame(node: Node, plan: PlanBuilder): string | void {
  if (node.attrs["training"] === true) return "there is no kernel for training";
  plan.same(node.output, plan.read(node.args[0]!, node, { kind: "any" }));
}

export const shapeRules: readonly (readonly [string, StepRule])[] = [
  ["reshape", { emit: emitReshape }],
  ["dropout", { emit: emitSame }],
];
