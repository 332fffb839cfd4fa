/**
 * Values that are not in the engine: indices, masks and plain integers are tensors on the JavaScript heap, where their
 * operators run by their reference, there being few of them and nothing to copy.
 */

import type { Node } from "../../graph/graph.ts";
import { elementOf } from "../form.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";
import { emitReference } from "./reference.ts";

/** Why such an operator has no kernel. */
export const HOST = "its results are no values of the engine";

/** Whether all results of an operator are such values. */
export function givesHostValues({ kind, outputs }: Node): boolean {
  return kind === "operator" && outputs.every(({ type }) => type && elementOf(type.dtype) === "host");
}

/** Integers and bools become floats where they are. */
function emitCast(node: Node, plan: PlanBuilder): string | void {
  if (elementOf(plan.type(node.args[0]!).dtype) !== "host") return "only integers and bools have a step";
  emitReference(plan, node, "");
}

export const hostRules: readonly (readonly [string, StepRule])[] = [["cast", { emit: emitCast }]];
