/**
 * Convolutions and linear layers of integers.
 *
 *     float:    y = sum (qx - zx) sx * (qw - zw) sw_c + b_c          q = rne(f32(y / so)) + zo
 *     integer:  acc = sum (qx - zx) (qw - zw), exact in int32
 *               q = rne((acc + b_c / (sx sw_c)) * (sx sw_c / so)) + zo
 *
 * A bias that is stored as int32 in units of sx sw_c, as ONNX does, is added to acc as it is; in other units it is the
 * floats it stands for.
 *
 * The same real number, rounded once in both before the zero point is added; the float form also rounds its sums and
 * the integer form its multiplier. So the two differ where that tips a number over a tie, by one step at most. A relu
 * in between is a lower clamp at zo, since rne(0) + zo = zo; any clamp is one of the integers, at its limits' integers,
 * since rounding keeps order. Both clamp to quantMin..quantMax.
 *
 * Where nothing quantizes the result, it stays float: f32(acc) * (sx sw_c) + b_c against y above, equal but for the
 * rounding of float32 sums.
 */

import { any, constant, literal, oneOf, op, optionalConstant } from "../../graph/match.ts";
import type { Match, OpPattern } from "../../graph/match.ts";
import type { Argument, Node } from "../../graph/graph.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Builder, Rewrite, Rule } from "../../graph/rewrite.ts";
import type { Attrs } from "../../ops/op.ts";
import { quantizedClampOp } from "../../ops/quantized/activations.ts";
import { quantizedConvOp } from "../../ops/quantized/conv.ts";
import { productScales } from "../../ops/quantized/epilogue.ts";
import { DEFAULT_ENGINE } from "../../ops/quantized/engines.ts";
import { quantizedConvFloatOp, quantizedLinearFloatOp } from "../../ops/quantized/float-output.ts";
import { quantizedLinearOp } from "../../ops/quantized/linear.ts";
import { perChannel, perTensor } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { DEQUANTIZE, asQuantized, dequantized, integersOf, parametersOf, quantized } from "./edges.ts";

const PER_CHANNEL = "decomposedDequantizePerChannel";
const isInt8 = ({ attrs }: Node): boolean => attrs["dtype"] === "int8";

/** A stored int8 weight, dequantized; its channels are on axis 0. */
const stored = constant();
const scales = constant();
const zeroPoints = optionalConstant();
export const weight = oneOf(
  op(DEQUANTIZE, stored, literal(), literal()).where(isInt8),
  op(PER_CHANNEL, stored, scales, zeroPoints).where((node) => isInt8(node) && node.attrs["axis"] === 0),
);

/** The weight as a stored quantized tensor; null when its zero points are not integers. */
export function quantizedWeight(match: Match, build: Builder): ReturnType<Builder["constant"]> | null {
  const integers = match.tensor(stored)!;
  const node = match.node(weight);
  const isPerChannel = node.target === PER_CHANNEL;
  const zeros = isPerChannel
    ? (match.graph.tensorOf(node.args[2] ?? null)?.data ?? new Float64Array(integers.shape[0]!))
    : null;
  if (zeros && !zeros.every(Number.isInteger)) return null;
  const { scale, zeroPoint } = parametersOf(node);
  const qparams = zeros ? perChannel(match.graph.tensorOf(node.args[1]!)!.data, zeros, 0) : perTensor(scale, zeroPoint);
  return build.constant(new Tensor("qint8", integers.shape, integers.data, qparams), "_quantized_weight");
}

/** A bias: a stored tensor, or none, or integers and their scale. */
const bias = optionalConstant();
const integerBias = constant();
const biasScales = constant();
const isInt32 = ({ attrs }: Node): boolean => attrs["dtype"] === "int32";
const anyBias = oneOf(
  bias,
  op(DEQUANTIZE, integerBias, literal(), literal()).where((node) => isInt32(node) && node.args[2] === 0),
  op(PER_CHANNEL, integerBias, biasScales, any()).where((node) => isInt32(node) && node.attrs["axis"] === 0),
);

/** Scales that differ by less are the same, rounded in another order. */
const SAME_SCALE = 2 ** -22;

function storedBias(match: Match, build: Builder, weight: Tensor, inputScale: number): Argument {
  const integers = match.tensor(integerBias);
  if (!integers) return match.arg(bias);
  const one = match.node(anyBias).args[1];
  const given = match.tensor(biasScales)?.data;
  const scales = productScales(inputScale, weight.qparams!, integers.numel);
  const scaleOf = (c: number): number => (typeof one === "number" ? one : given![given!.length === 1 ? 0 : c]!);
  if (scales.every((a, c) => Math.abs(scaleOf(c) - a) <= a * SAME_SCALE)) return match.arg(integerBias);
  const floats = Float32Array.from(integers.data, (n, c) => n * Math.fround(scaleOf(c)));
  return build.constant(new Tensor("float32", integers.shape, floats), "_dequantized_bias");
}

/** What may stand between a layer and its quantize: a lower clamp at zero, or a clamp of the integers. */
interface Activation {
  readonly target: string;
  readonly limits?: (attrs: Attrs) => Attrs;
}

const activations: readonly (Activation | null)[] = [
  { target: "relu" },
  { target: "relu6", limits: () => ({ min: 0, max: 6 }) },
  { target: "hardtanh", limits: ({ minVal, maxVal }) => ({ min: minVal, max: maxVal }) },
  null,
];

function product(targets: readonly string[], operator: { readonly name: string }, activation: Activation | null): Rule {
  const x = dequantized();
  const layer = op(targets, x, weight, anyBias).usedOnce();
  const body: OpPattern = activation ? op(activation.target, layer).usedOnce() : layer;
  const relu = activation !== null && !activation.limits;
  const rewrite: Rewrite = (match, build) => {
    const w = quantizedWeight(match, build);
    const [input, output] = [parametersOf(match.node(x)), parametersOf(match.root)];
    if (!w || input.dtype !== output.dtype) return null;
    const { scale, zeroPoint } = output;
    const attrs = { ...match.node(layer).attrs, scale, zeroPoint, relu, engine: DEFAULT_ENGINE };
    const b = storedBias(match, build, match.graph.tensorOf(w)!, input.scale);
    const result = build.call(operator, [asQuantized(build, match.node(x)), w, b], attrs);
    const limits = activation?.limits?.(match.node(body).attrs);
    return integersOf(build, limits ? build.call(quantizedClampOp, [result], limits) : result, match.root);
  };
  return rule(`${operator.name}${activation ? `-${activation.target}` : ""}`, quantized(body), rewrite);
}

const CONV = ["conv1d", "conv2d", "conv3d"];

function floatProduct(targets: readonly string[], operator: { readonly name: string }): Rule {
  const x = dequantized();
  return rule(operator.name, op(targets, x, weight, anyBias), (match, build) => {
    const w = quantizedWeight(match, build);
    if (!w) return null;
    const b = storedBias(match, build, match.graph.tensorOf(w)!, parametersOf(match.node(x)).scale);
    return build.call(operator, [asQuantized(build, match.node(x)), w, b], match.root.attrs);
  });
}

/** For products without a quantize behind them; tried when the others are through. */
export const floatProductRules: readonly Rule[] = [
  floatProduct(CONV, quantizedConvFloatOp),
  floatProduct(["linear"], quantizedLinearFloatOp),
];

export const productRules: readonly Rule[] = activations.flatMap((activation) => [
  product(CONV, quantizedConvOp, activation),
  product(["linear"], quantizedLinearOp, activation),
]);
