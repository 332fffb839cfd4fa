/**
 * The reference representation: converted graphs with integers spelled out in elementary operators, as a specification
 * for those who write kernels.
 *
 *     quantize     clamp(int(round(x / s)) + z)          dequantize   (float(q) - z) s
 *     linear       acc = (qx - zx) (qw - zw)^T + int(b / (sx sw));   q = clamp(int(acc (sx sw / so)) + zo)
 *     sum          q = clamp(int(round((qa - za) (sa / so))) + int(round((qb - zb) (sb / so))) + zo)
 *
 * int() truncates toward zero, as PyTorch's out_dtype does, and a sum rounds each side by itself (before a relu even
 * truncates it): results differ from the graph's by a step or two. Source: torchao/quantization/pt2e/reference_representation_rewrite.py.
 */

import type { Argument, Node, Value } from "../../graph/graph.ts";
import { any, constant, literal, op, optionalConstant, value } from "../../graph/match.ts";
import { rewritePass, rule } from "../../graph/rewrite.ts";
import type { Builder, Pass, Rule } from "../../graph/rewrite.ts";
import { addOp, divOp, mulOp, subOp } from "../../ops/arithmetic.ts";
import { clampOp } from "../../ops/clamp.ts";
import { integerLinearOp } from "../../ops/quantized/integer-linear.ts";
import { castOp, roundOp } from "../../ops/unary.ts";
import type { DType } from "../../tensor/dtype.ts";
import { DEQUANTIZE, QUANTIZE, dequantizeBehind, dequantized, parametersOf, quantized } from "../lower/edges.ts";

const { fround } = Math;

const cast = (build: Builder, x: Argument, dtype: DType): Value => build.call(castOp, [x], { dtype });
const limited = (build: Builder, x: Argument, { attrs }: Node): Value =>
  build.call(clampOp, [x], { min: attrs["quantMin"] as number, max: attrs["quantMax"] as number });

/** Integers of a dequantize or quantize node's dtype from int32 ones. */
function stored(build: Builder, x: Value, node: Node, low = node.attrs["quantMin"] as number): Value {
  return cast(
    build,
    build.call(clampOp, [x], { min: low, max: node.attrs["quantMax"] as number }),
    node.attrs["dtype"] as DType,
  );
}

/** q - z in a wider dtype. */
function centered(build: Builder, dequantize: Node, dtype: DType): Value {
  return build.call(subOp, [cast(build, limited(build, dequantize.args[0]!, dequantize), dtype), dequantize.args[2]!]);
}

const sum = (relu: boolean): Rule => {
  const body = op("add").usedOnce();
  const last = relu ? op("relu", body).usedOnce() : body;
  return rule("reference-add", quantized(last), (match, build) => {
    const [a, b] = match.node(body).args.map(dequantizeBehind);
    const { scale, zeroPoint } = parametersOf(match.root);
    if (!a || !b) return null;
    const [left, right] = [a, b].map((side) => {
      const factor = fround(fround(parametersOf(side).scale) / fround(scale));
      const scaled = build.call(mulOp, [cast(build, centered(build, side, "int32"), "float32"), factor]);
      return cast(build, relu ? scaled : build.call(roundOp, [scaled]), "int32");
    });
    const total = build.call(addOp, [build.call(addOp, [left!, right!]), zeroPoint]);
    return stored(build, total, match.root, relu ? zeroPoint : undefined);
  });
};

const x = dequantized();
const weight = op(DEQUANTIZE, constant(), literal(), literal());
const bias = optionalConstant();
const layer = op("linear", x, weight, bias).usedOnce();

const linear = rule("reference-linear", quantized(layer), (match, build) => {
  const [ofX, ofWeight, output] = [match.node(x), match.node(weight), match.root].map(parametersOf);
  const unit = fround(fround(ofX!.scale) * fround(ofWeight!.scale));
  const products = build.call(integerLinearOp, [
    centered(build, match.node(x), "int16"),
    centered(build, match.node(weight), "int16"),
  ]);
  const own = match.arg(bias);
  const acc =
    own === null ? products : build.call(addOp, [products, cast(build, build.call(divOp, [own, unit]), "int32")]);
  const scaled = build.call(mulOp, [cast(build, acc, "float32"), fround(unit / fround(output!.scale))]);
  return stored(build, build.call(addOp, [cast(build, scaled, "int32"), output!.zeroPoint]), match.root);
});

const read = op(DEQUANTIZE, any(), value(), value());
const dynamicLayer = op("linear", read, weight, bias);

/** Ranges taken at run time: scale and zero point are values of the graph, and the result stays float. */
const dynamicLinear = rule("reference-dynamic-linear", dynamicLayer, (match, build) => {
  const [q, s, z] = match.node(read).args as [Value, Value, Value];
  const unit = build.call(mulOp, [s, parametersOf(match.node(weight)).scale]);
  const x64 = build.call(subOp, [cast(build, q, "int64"), z]);
  const products = build.call(integerLinearOp, [x64, centered(build, match.node(weight), "int16")]);
  const own = match.arg(bias);
  const acc =
    own === null ? products : build.call(addOp, [products, cast(build, build.call(divOp, [own, unit]), "int32")]);
  return cast(build, build.call(mulOp, [cast(build, acc, "float64"), unit]), "float32");
});

const [input, scale, zeroPoint] = [value(), any(), any()];

const quantize = rule("reference-quantize", op(QUANTIZE, input, scale, zeroPoint), (match, build) => {
  const steps = build.call(roundOp, [build.call(divOp, [match.arg(input), match.arg(scale)])]);
  return stored(build, build.call(addOp, [cast(build, steps, "int32"), match.arg(zeroPoint)]), match.root);
});

const dequantize = rule("reference-dequantize", op(DEQUANTIZE, input, scale, zeroPoint), (match, build) => {
  const integers = cast(build, limited(build, match.arg(input), match.root), "float32");
  const real = build.call(mulOp, [build.call(subOp, [integers, match.arg(zeroPoint)]), match.arg(scale)]);
  return cast(build, real, match.root.attrs["outDType"] as DType);
});

/** Operators first, then the quantize and dequantize nodes that are left. Weights by channel keep theirs. */
export const referenceRepresentation: readonly Pass[] = [
  rewritePass("reference-operators", [linear, dynamicLinear, sum(true), sum(false)]),
  rewritePass("reference-quantize", [quantize, dequantize]),
];
