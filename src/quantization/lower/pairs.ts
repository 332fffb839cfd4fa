/**
 * Sums and products of two integer tensors of one shape.
 *
 *     sum      float:    rne(f32((qa - za) sa + (qb - zb) sb) / so) + zo
 *              integer:  the same sum of dequantized numbers, one multiply-add each, requantized; PyTorch's kernel adds zo
 *                        before rounding for the elements behind the last whole vector of 64
 *     product  float:    rne(f32((qa - za) sa * (qb - zb) sb) / so) + zo
 *              integer:  rne(p * (sa sb / so)) + zo with p = (qa - za) (qb - zb), exact
 *
 * Equal but at ties and within one rounding of them, where they differ by one step. relu is a lower clamp at zo.
 */

import { Value } from "../../graph/graph.ts";
import type { Argument } from "../../graph/graph.ts";
import { op } from "../../graph/match.ts";
import type { OpPattern } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import { quantizedAddOp, quantizedMulOp } from "../../ops/quantized/arithmetic.ts";
import { sameShape } from "../../tensor/shape.ts";
import { asQuantized, dequantizeBehind, integersOf, parametersOf, quantized } from "./edges.ts";

function haveOneShape([a, b]: readonly Argument[]): boolean {
  return a instanceof Value && b instanceof Value && !!a.type && !!b.type && sameShape(a.type.shape, b.type.shape);
}

function pair(target: string, operator: { readonly name: string }, relu: boolean): Rule {
  const body = op(target).usedOnce();
  const last: OpPattern = relu ? op("relu", body).usedOnce() : body;
  return rule(`${operator.name}${relu ? "-relu" : ""}`, quantized(last), (match, build) => {
    const { args } = match.node(body);
    const sides = args.map(dequantizeBehind);
    const [a, b] = sides;
    const { dtype, scale, zeroPoint } = parametersOf(match.root);
    if (!a || !b || !haveOneShape(args)) return null;
    if ([a, b].some((side) => parametersOf(side).dtype !== dtype || match.graph.tensorOf(side.args[0]!))) return null;
    const result = build.call(operator, [asQuantized(build, a), asQuantized(build, b)], { scale, zeroPoint, relu });
    return integersOf(build, result, match.root);
  });
}

export const pairRules: readonly Rule[] = [
  pair("add", quantizedAddOp, true),
  pair("add", quantizedAddOp, false),
  pair("mul", quantizedMulOp, true),
  pair("mul", quantizedMulOp, false),
];
