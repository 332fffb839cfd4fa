/**
 * Functions of one integer tensor with parameters of their own behind: each of the 256 integers has one result.
 *
 *     float:    rne(f32(f((q - z) s)) / so) + zo        integer:  a table of the same, in the rounding of PyTorch's kernel
 *
 * One step apart at most, where f's float32 steps or a tie fall differently.
 */

import { op } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import { quantizedHardswishOp, quantizedLeakyReluOp, quantizedSigmoidOp } from "../../ops/quantized/activations.ts";
import { asQuantized, dequantized, integersOf, parametersOf, quantized } from "./edges.ts";

const operators: readonly (readonly [target: string, operator: { readonly name: string }])[] = [
  ["sigmoid", quantizedSigmoidOp],
  ["hardswish", quantizedHardswishOp],
  ["leakyRelu", quantizedLeakyReluOp],
];

export const activationRules: readonly Rule[] = operators.map(([target, operator]) => {
  const x = dequantized();
  const body = op(target, x).usedOnce();
  return rule(operator.name, quantized(body), (match, build) => {
    const { dtype, scale, zeroPoint } = parametersOf(match.root);
    if (parametersOf(match.node(x)).dtype !== dtype) return null;
    const result = build.call(operator, [asQuantized(build, match.node(x))], {
      ...match.node(body).attrs,
      scale,
      zeroPoint,
    });
    return integersOf(build, result, match.root);
  });
});
