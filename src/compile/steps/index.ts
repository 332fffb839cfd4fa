/**
 * How each operator is lowered to kernel calls: a table by name, and one rule for every operator record that says it
 * is elementwise. Operators with neither have no kernel.
 */

import type { Node } from "../../graph/graph.ts";
import { findOp, hasOp } from "../../ops/op.ts";
import type { StepRule } from "../plan.ts";
import { attentionRules } from "./attention.ts";
import { binaryRules } from "./binary.ts";
import { convRules } from "./conv.ts";
import { hostRules } from "./host.ts";
import { integerRules } from "./integers.ts";
import { interpolateRules } from "./interpolate.ts";
import { linearRules } from "./linear.ts";
import { lookupRules } from "./lookup.ts";
import { matmulRules } from "./matmul.ts";
import { moveRules } from "./move.ts";
import { normRules } from "./norm.ts";
import { pieceRules } from "./pieces.ts";
import { poolRules } from "./pool.ts";
import { quantizeRules } from "./quantize.ts";
import { quantizedConvTransposeRules } from "./quantized-conv-transpose.ts";
import { quantizedConvRules } from "./quantized-conv.ts";
import { pairRules, tableRule } from "./quantized-elementwise.ts";
import { quantizedDynamicRules } from "./quantized-dynamic.ts";
import { quantizedLinearRules } from "./quantized-linear.ts";
import { quantizedMatmulRules } from "./quantized-matmul.ts";
import { quantizedNormRules } from "./quantized-norm.ts";
import { reduceRules } from "./reduce.ts";
import { shapeRules } from "./shape.ts";
import { softmaxRules } from "./softmax.ts";
import { unaryRules } from "./unary.ts";
import { weightOnlyRules } from "./weight-only.ts";

const rules: ReadonlyMap<string, StepRule> = new Map([
  ...convRules,
  ...linearRules,
  ...weightOnlyRules,
  ...matmulRules,
  ...attentionRules,
  ...binaryRules,
  ...unaryRules,
  ...softmaxRules,
  ...normRules,
  ...reduceRules,
  ...poolRules,
  ...quantizedConvRules,
  ...quantizedConvTransposeRules,
  ...quantizedLinearRules,
  ...quantizedDynamicRules,
  ...quantizedMatmulRules,
  ...quantizedNormRules,
  ...quantizeRules,
  ...integerRules,
  ...hostRules,
  ...pairRules,
  ...moveRules,
  ...pieceRules,
  ...interpolateRules,
  ...lookupRules,
  ...shapeRules,
]);

/** The rule of a node, or undefined when the engine has no kernel for its operator. */
export function stepRuleOf(node: Node): StepRule | undefined {
  if (node.kind !== "operator") return undefined;
  return rules.get(node.target) ?? (hasOp(node.target) && findOp(node.target).isElementwise ? tableRule : undefined);
}
