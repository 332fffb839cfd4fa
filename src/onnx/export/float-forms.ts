/**
 * What operators on quantized tensors are among floats: the same thing said of the real numbers, before it is rounded.
 * Total over the operators whose name is their own; the others (reshape, maxPool2d, ...) keep theirs.
 */

import type { Value } from "../../graph/graph.ts";
import type { Argument, Node } from "../../graph/graph.ts";
import type { Builder } from "../../graph/rewrite.ts";
import type { Attrs } from "../../ops/op.ts";
import { decomposedChooseQParamsOp } from "../../ops/quantize/choose.ts";
import { decomposedDequantizePerTensorOp, decomposedQuantizePerTensorOp } from "../../ops/quantize/decomposed.ts";
import { EPS } from "../../ops/quantize/numerics.ts";
import { dequantize, quantizePerTensor } from "../../ops/quantize/native.ts";
import { castOp } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { ones } from "../../tensor/create.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType, QuantizedDType } from "../../tensor/dtype.ts";
import type { PerTensorQParams } from "../../tensor/qparams.ts";

/** The range of a pair, and the dtype of its integers. */
export function rangeAttrs(
  dtype: DType,
  { min: quantMin, max: quantMax }: { readonly min: number; readonly max: number },
) {
  return { quantMin, quantMax, dtype };
}

/** A float operator's call, its arguments already real numbers. */
export interface FloatCall {
  readonly build: Builder;
  readonly node: Node;
  readonly args: readonly Argument[];
  readonly attrs: Attrs;
}

type Form = (call: FloatCall) => Value;

/** Attributes of quantized operators that the float ones do not have. */
const OWN_ATTRS = new Set(["scale", "zeroPoint", "relu", "engine", "reduceRange"]);

/** A node's attributes as the float operator takes them. */
export function floatAttrs({ attrs }: Node): Attrs {
  return Object.fromEntries(Object.entries(attrs).filter(([name]) => !OWN_ATTRS.has(name)));
}

/** The float operator of a name; with a relu behind it where the node has one. */
function named(target: string | ((node: Node) => string)): Form {
  return ({ build, node, args, attrs }) => {
    const y = build.call(typeof target === "string" ? target : target(node), args, attrs);
    return node.attrs["relu"] === true ? build.call("relu", [y]) : y;
  };
}

/** Of one, two or three spatial axes, by the rank of the input. */
function spatial(stem: string): (node: Node) => string {
  return ({ args }) => `${stem}${(args[0] as Value).type!.shape.length - 2}d`;
}

const withScalar =
  (target: string): Form =>
  ({ build, node, args }) => {
    const y = build.call(target, [args[0]!, node.attrs["scalar"] as number]);
    return node.attrs["relu"] === true ? build.call("relu", [y]) : y;
  };

const convAdd: Form = ({ build, node, args, attrs }) => {
  const product = build.call(spatial("conv")(node), args.slice(0, 3), attrs);
  const sum = build.call("add", [product, args[3]!]);
  return node.attrs["relu"] === true ? build.call("relu", [sum]) : sum;
};

const linearActivation: Form = ({ build, node, args }) => {
  const product = build.call("linear", args);
  const { activation, negativeSlope } = node.attrs;
  return activation === "tanh"
    ? build.call("tanh", [product])
    : build.call("leakyRelu", [product], { negativeSlope: negativeSlope! });
};

/** The quantized one also does celu: elu whose input is divided by alpha. */
const elu: Form = ({ build, node, args }) => {
  const { alpha, inputScale } = node.attrs;
  return build.call(inputScale === 1 ? "elu" : "celu", args, { alpha });
};

/**
 * Values above zero are multiplied with 1 as the weight's parameters have it, which is less than 1 where all slopes are small:
 * so PyTorch computes it.
 */
const prelu: Form = ({ build, node, args: [x, slope] }) => {
  const { dtype, qparams } = (node.args[1] as Value).type!;
  const { scale, zeroPoint } = qparams as PerTensorQParams;
  const unit = noGrad(() => dequantize(quantizePerTensor(ones([1]), scale, zeroPoint, dtype as QuantizedDType))).item();
  return build.call("mul", [build.call("prelu", [x!, build.call("div", [slope!, unit])]), unit]);
};

const batchNorm: Form = (call) =>
  named("batchNorm")({ ...call, attrs: { eps: call.node.attrs["eps"], training: false, momentum: 0.1 } });

/**
 * A value between a quantize and a dequantize whose parameters are chosen when the graph runs, from all 256 integers: the
 * reduced range that spares old processors an overflow is not ONNX's.
 */
function dynamicPair(build: Builder, x: Argument, dtype: "uint8" | "int8"): Value {
  const attrs = rangeAttrs(dtype, dtypeInfo[dtype]);
  const parameters = build.callMany(decomposedChooseQParamsOp, [x], { ...attrs, eps: EPS, symmetric: false });
  const q = build.call(decomposedQuantizePerTensorOp, [x, ...parameters], { ...attrs, axis: null });
  return build.call(decomposedDequantizePerTensorOp, [q, ...parameters], { ...attrs, axis: null, outDType: "float32" });
}

const dynamic =
  (target: string | ((node: Node) => string)): Form =>
  (call) =>
    named(target)({ ...call, args: [dynamicPair(call.build, call.args[0]!, "uint8"), ...call.args.slice(1)] });

/** Parameters chosen when the graph runs; to 16-bit floats and back where those are asked for. */
const quantizeDequantizeDynamic: Form = ({ build, node, args }) => {
  const { dtype } = node.attrs;
  if (dtype === "quint8") return dynamicPair(build, args[0]!, "uint8");
  if (dtype === "qint8") return dynamicPair(build, args[0]!, "int8");
  return build.call(castOp, [build.call(castOp, [args[0]!], { dtype: "float16" })], { dtype: "float32" });
};

const embeddingBag: Form = ({ build, node, args }) =>
  build.call("embeddingBag", args, {
    mode: "sum",
    includeLastOffset: node.attrs["includeLastOffset"]!,
    paddingIdx: null,
  });

/** By the name of the operator on quantized tensors. */
export const floatForms: Readonly<Record<string, Form>> = {
  quantizedConv: named(spatial("conv")),
  quantizedConvAdd: convAdd,
  quantizedConvTranspose: named(spatial("convTranspose")),
  quantizedLinear: named("linear"),
  quantizedLinearActivation: linearActivation,
  linearDynamic: dynamic("linear"),
  convDynamic: dynamic(spatial("conv")),
  quantizedAdd: named("add"),
  quantizedMul: named("mul"),
  quantizedAddScalar: withScalar("add"),
  quantizedMulScalar: withScalar("mul"),
  quantizedMatmul: named("matmul"),
  quantizedCat: named("cat"),
  quantizedSoftmax: named("softmax"),
  quantizedRelu: named("relu"),
  quantizedClamp: named("clamp"),
  quantizedLeakyRelu: named("leakyRelu"),
  quantizedElu: elu,
  quantizedHardswish: named("hardswish"),
  quantizedHardsigmoid: named("hardsigmoid"),
  quantizedSigmoid: named("sigmoid"),
  quantizedTanh: named("tanh"),
  quantizedThreshold: named("threshold"),
  quantizedPrelu: prelu,
  quantizedMean: named("mean"),
  quantizedAvgPool1d: named("avgPool1d"),
  quantizedAvgPool2d: named("avgPool2d"),
  quantizedAvgPool3d: named("avgPool3d"),
  quantizedAdaptiveAvgPool1d: named("adaptiveAvgPool1d"),
  quantizedAdaptiveAvgPool2d: named("adaptiveAvgPool2d"),
  quantizedAdaptiveAvgPool3d: named("adaptiveAvgPool3d"),
  quantizedInterpolate: named("interpolate"),
  quantizedBatchNorm: batchNorm,
  quantizedLayerNorm: named("layerNorm"),
  quantizedGroupNorm: named("groupNorm"),
  quantizedEmbedding: ({ build, args }) => build.call("embedding", args, { paddingIdx: null }),
  quantizedEmbeddingBag: embeddingBag,
  quantizeDequantizeDynamic,
  quantizePerTensor: ({ args }) => args[0] as Value,
  quantizePerChannel: ({ args }) => args[0] as Value,
  dequantize: ({ args }) => args[0] as Value,
};
