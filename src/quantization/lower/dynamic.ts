/**
 * Linear layers whose input is quantized by its own range, as exported graphs and ONNX files say it:
 *
 *     PT2E:   linear(dequantize(quantize(x, s, z), s, z), dequantize(w), b)
 *     ONNX:   q, s, z = dynamicQuantizeLinear(x);  f32(integerMatmul(q, W, z)) * (s * sw) + b
 *
 * with s, z = chooseQParams(x) in the first. In both, sums of integers are exact and f32(acc) * f32(s * sw) + b is what is
 * rounded, so the integer operator gives the same bits; ONNX divides x by s where the operator multiplies with 1 / s, which may
 * tip a number over a tie, by one step.
 */

import { any, constant, literal, oneOf, op, optionalConstant, value } from "../../graph/match.ts";
import type { OpPattern } from "../../graph/match.ts";
import type { Argument, Graph } from "../../graph/graph.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Builder, Rule } from "../../graph/rewrite.ts";
import { decomposedChooseQParamsOp } from "../../ops/quantize/choose.ts";
import type { ChooseAttrs } from "../../ops/quantize/choose.ts";
import { dynamicQuantizeLinearOp } from "../../ops/quantize/dynamic-linear.ts";
import { decomposedLinearDynamicOp } from "../../ops/quantized/float-output.ts";
import { integerMatmulOp } from "../../ops/quantized/integer-matmul.ts";
import { perChannel } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { DEQUANTIZE, QUANTIZE } from "./edges.ts";
import { quantizedWeight, weight } from "./products.ts";

const CHOOSE = decomposedChooseQParamsOp.name;

function layer(build: Builder, x: Argument, w: Argument, b: Argument, attrs: ChooseAttrs): Argument {
  return build.call(decomposedLinearDynamicOp, [x, w, b], attrs);
}

function exportedLinear(): Rule {
  const [x, bias] = [value(), optionalConstant()];
  const [scale, zeroPoint] = [op(CHOOSE, x), op(CHOOSE, x)];
  const q = op(QUANTIZE, x, scale, zeroPoint);
  const input = op(DEQUANTIZE, q, scale, zeroPoint).where(({ attrs }) => attrs["outDType"] === "float32");
  return rule(decomposedLinearDynamicOp.name, op("linear", input, weight, bias), (match, build) => {
    const [s, z] = [match.value(scale), match.value(zeroPoint)];
    const attrs = s.node.attrs as ChooseAttrs;
    const own = match.node(q).attrs;
    const isPair = s.node === z.node && s.index === 0 && z.index === 1;
    const isByte = attrs.dtype === "int8" || attrs.dtype === "uint8";
    const isOne = (["dtype", "quantMin", "quantMax"] as const).every((key) => own[key] === attrs[key]);
    if (!isPair || !isByte || !isOne || match.value(x).type?.dtype !== "float32") return null;
    const w = quantizedWeight(match, build);
    return w && layer(build, match.arg(x), w, match.arg(bias), attrs);
  });
}

/** Numbers of a literal, or of a stored tensor with one or `count` elements, one each; null for others. */
function numbersOf(graph: Graph, arg: Argument, count: number): number[] | null {
  const stored = graph.tensorOf(arg);
  const values = typeof arg === "number" ? [arg] : stored && Array.from(stored.data, Number);
  if (!values || (values.length !== 1 && values.length !== count)) return null;
  return Array.from({ length: count }, (_, i) => values[values.length === 1 ? 0 : i]!);
}

/** Bytes [k, n] as the rows of a qint8 weight [n, k]: unsigned ones and their zero points move down by 128. */
function turned({ dtype, shape, data }: Tensor, scales: readonly number[], zeroPoints: readonly number[]): Tensor {
  const [depth, channels] = shape as [number, number];
  const shift = dtype === "uint8" ? 128 : 0;
  const rows = Int8Array.from(
    { length: data.length },
    (_, i) => data[(i % depth) * channels + Math.floor(i / depth)]! - shift,
  );
  const zeros = zeroPoints.map((z) => z - shift);
  return new Tensor("qint8", [channels, depth], rows, perChannel(scales, zeros, 0));
}

/** The range of ONNX's dynamic quantization, and the smallest scale whose reciprocal is still a number. */
const ONNX_RANGE = { dtype: "uint8", quantMin: 0, quantMax: 255, symmetric: false, eps: 2 ** -126 } as const;

function onnxLinear(): Rule {
  const [x, matrix, zeroPoints, scales] = [value(), constant(), any(), oneOf(literal(), constant())];
  const dynamic = (): OpPattern => op(dynamicQuantizeLinearOp.name, x);
  const [q, s, z] = [dynamic(), dynamic(), dynamic()];
  const sums = op(integerMatmulOp.name, q, matrix, z, zeroPoints).usedOnce();
  const real = op("cast", sums)
    .usedOnce()
    .where(({ attrs }) => attrs["dtype"] === "float32");
  const product = op("mul", real, op("mul", s, scales).commutative()).commutative();
  return rule("onnx-linear-dynamic", product, (match, build) => {
    const [given, quantized] = [match.tensor(matrix)!, match.value(q)];
    const isOne = [q, s, z].every((part, i) => match.node(part) === quantized.node && match.value(part).index === i);
    if (!isOne || given.rank !== 2) return null;
    const channels = given.shape[1]!;
    const zeros = numbersOf(match.graph, match.arg(zeroPoints) ?? 0, channels);
    const factors = numbersOf(match.graph, match.arg(scales), channels);
    if (!zeros || !factors) return null;
    const w = build.constant(turned(given, factors, zeros), "_quantized_weight");
    return layer(build, match.arg(x), w, null, ONNX_RANGE);
  });
}

/** A bias behind a layer without one: it is added to the rounded product in the layer too. */
function addedBias(): Rule {
  const [x, w, bias] = [any(), constant(), constant()];
  const product = op(decomposedLinearDynamicOp.name, x, w)
    .usedOnce()
    .where(({ args }) => (args[2] ?? null) === null);
  return rule("linear-dynamic-bias", op("add", product, bias).commutative(), (match, build) => {
    const b = match.tensor(bias)!;
    const channels = match.tensor(w)!.shape[0]!;
    if (b.dtype !== "float32" || b.rank !== 1 || b.numel !== channels) return null;
    const args = [match.arg(x), match.arg(w), match.arg(bias)];
    return build.call(decomposedLinearDynamicOp, args, match.node(product).attrs);
  });
}

export const dynamicRules: readonly Rule[] = [exportedLinear(), onnxLinear(), addedBias()];
