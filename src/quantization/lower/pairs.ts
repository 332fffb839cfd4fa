/**
 * Sums and products of two integer tensors of one shape, and matrix products of two.
 *
 *     sum      float:    rne(f32((qa - za) sa + (qb - zb) sb) / so) + zo
 *              integer:  the same sum of dequantized numbers, one multiply-add each, requantized; PyTorch's kernel adds zo
 *                        before rounding for the elements behind the last whole vector of 64
 *     product  float:    rne(f32((qa - za) sa * (qb - zb) sb) / so) + zo
 *              integer:  rne(p * (sa sb / so)) + zo with p = (qa - za) (qb - zb), exact
 *     matmul   float:    the sum over k of products of dequantized numbers, each rounded
 *              integer:  rne(s * f32(sa sb) / so + zo) with s = sum of (qa - za) (qb - zb), exact
 *
 * Equal but at ties and within one rounding of them, where they differ by one step. relu is a lower clamp at zo.
 */

import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { op } from "../../graph/match.ts";
import type { OpPattern } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import { quantizedAddOp, quantizedMulOp } from "../../ops/quantized/arithmetic.ts";
import { quantizedMatmulOp } from "../../ops/quantized/joins.ts";
import type { DType } from "../../tensor/dtype.ts";
import { sameShape } from "../../tensor/shape.ts";
import { asQuantized, dequantizeBehind, integersOf, parametersOf, quantized } from "./edges.ts";

function haveOneShape([a, b]: readonly Argument[]): boolean {
  return a instanceof Value && b instanceof Value && !!a.type && !!b.type && sameShape(a.type.shape, b.type.shape);
}

/** The dequantize nodes of computed integers behind both operands, if these have the result's dtype. */
function sidesOf(graph: Graph, args: readonly Argument[], dtype: DType): readonly [Node, Node] | null {
  const [a, b] = args.map(dequantizeBehind);
  if (!a || !b) return null;
  const fits = [a, b].every((side) => parametersOf(side).dtype === dtype && !graph.tensorOf(side.args[0]!));
  return fits ? [a, b] : null;
}

function pair(target: string, operator: { readonly name: string }, relu: boolean): Rule {
  const body = op(target).usedOnce();
  const last: OpPattern = relu ? op("relu", body).usedOnce() : body;
  return rule(`${operator.name}${relu ? "-relu" : ""}`, quantized(last), (match, build) => {
    const { args } = match.node(body);
    const { dtype, scale, zeroPoint } = parametersOf(match.root);
    const sides = haveOneShape(args) && sidesOf(match.graph, args, dtype);
    if (!sides) return null;
    const [a, b] = sides.map((side) => asQuantized(build, side));
    const result = build.call(operator, [a!, b!], { scale, zeroPoint, relu });
    return integersOf(build, result, match.root);
  });
}

const product = op("matmul").usedOnce();

const matmul = rule("quantizedMatmul", quantized(product), (match, build) => {
  const { dtype, scale, zeroPoint } = parametersOf(match.root);
  const sides = sidesOf(match.graph, match.node(product).args, dtype);
  if (!sides) return null;
  const [a, b] = sides.map((side) => asQuantized(build, side));
  return integersOf(build, build.call(quantizedMatmulOp, [a!, b!], { scale, zeroPoint }), match.root);
});

export const pairRules: readonly Rule[] = [
  pair("add", quantizedAddOp, true),
  pair("add", quantizedAddOp, false),
  pair("mul", quantizedMulOp, true),
  pair("mul", quantizedMulOp, false),
  matmul,
];
