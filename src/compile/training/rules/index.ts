/**
 * How operators of a training step are lowered: rules of their own for what backward passes are made of and for layers
 * whose weights change, and those of inference for everything else.
 */

import type { Node } from "../../../graph/graph.ts";
import type { StepRule } from "../../plan.ts";
import { stepRuleOf } from "../../steps/index.ts";
import { batchNormGradientRules } from "./batch-norm-gradient.ts";
import { batchNormRules } from "./batch-norm.ts";
import { convRules } from "./conv.ts";
import { convWeightRules } from "./conv-weight.ts";
import { elementwiseRules } from "./elementwise.ts";
import { fakeQuantizeRules } from "./fake-quantize.ts";
import { moveRules } from "./move.ts";
import { poolRules } from "./pool.ts";

const rules: ReadonlyMap<string, StepRule> = new Map([
  ...convRules,
  ...convWeightRules,
  ...batchNormRules,
  ...batchNormGradientRules,
  ...elementwiseRules,
  ...poolRules,
  ...moveRules,
  ...fakeQuantizeRules,
]);

/** The rule of a node of a training step, or undefined when there is no kernel for it. */
export function trainingRuleOf(node: Node): StepRule | undefined {
  return (node.kind === "operator" ? rules.get(node.target) : undefined) ?? stepRuleOf(node);
}
