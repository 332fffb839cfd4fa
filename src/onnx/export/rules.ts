/**
 * The export table: what every float operator becomes in ONNX.
 */

import { codeOf } from "../dtypes.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { PadMode } from "../../ops/pad.ts";
import { full } from "../../tensor/create.ts";
import type { ExportCall, ExportRule, ExportRules } from "./call.ts";
import {
  convolution,
  convTranspose,
  linear,
  averagePool,
  maxPool,
  adaptive,
  batchNorm,
  layerNorm,
  instanceNorm,
  groupNorm,
  interpolate,
  attention,
  prelu,
} from "./layers.ts";

/** The same operator with the same inputs. */
function same(opType: string, opset = 13): ExportRule {
  return (call) => {
    call.writer.need(opset, opType);
    call.give(opType, call.inputs);
  };
}

/** Operands in the dtype they are promoted to. */
function binary(opType: string): ExportRule {
  return (call) => call.give(opType, [call.input(0, call.result.dtype), call.input(1, call.result.dtype)]);
}

/** Comparisons promote to the wider operand. */
function comparison(opType: string, negated = false): ExportRule {
  return (call) => {
    const dtype = typeof call.node.args[0] === "number" ? call.type(1).dtype : call.type(0).dtype;
    const inputs = [call.input(0, dtype), call.input(1, dtype)];
    if (negated) call.give("Not", [call.emit(opType, inputs)]);
    else call.give(opType, inputs);
  };
}

function axesReduction(opType: string): ExportRule {
  return (call) => {
    call.writer.need(opType === "ReduceSum" ? 13 : 18, opType);
    const dims = call.list("dim");
    call.give(opType, [call.input(0, call.result.dtype === "bool" ? undefined : call.result.dtype), call.ints(dims)], {
      keepdims: { int: Number(call.flag("keepdim")) },
      noop_with_empty_axes: { int: 1 },
    });
  };
}

function clip(low: (call: ExportCall) => number | null, high: (call: ExportCall) => number | null): ExportRule {
  return (call) => {
    const limit = (value: number | null): string => (value === null ? "" : call.scalar(value, call.result.dtype));
    call.give("Clip", [call.input(0), limit(low(call)), limit(high(call))]);
  };
}

const limit =
  (name: string) =>
  (call: ExportCall): number | null =>
    call.attrs[name] as number | null;

// softplus: ln(1 + e^(beta x)) / beta
function softplus(call: ExportCall): void {
  const beta = call.number("beta");
  if (beta === 1) call.give("Softplus", [call.input(0)]);
  else
    call.give("Div", [
      call.emit("Softplus", [call.emit("Mul", [call.input(0), call.scalar(beta)])]),
      call.scalar(beta),
    ]);
}

function slice(call: ExportCall): void {
  const whole = call.type(0).shape[call.number("dim")]!;
  const end = call.number("end") === whole ? Number.MAX_SAFE_INTEGER : call.number("end");
  call.give("Slice", [
    call.input(0),
    call.ints([call.number("start")]),
    call.ints([end]),
    call.ints([call.number("dim")]),
    call.ints([call.number("step")]),
  ]);
}

function flip(call: ExportCall): void {
  const dims = call.list("dims");
  const all = (value: number): string => call.ints(dims.map(() => value));
  call.give("Slice", [call.input(0), all(-1), all(-Number.MAX_SAFE_INTEGER), call.ints(dims), all(-1)]);
}

const padModes: Readonly<Record<PadMode, string>> = {
  constant: "constant",
  reflect: "reflect",
  replicate: "edge",
  circular: "wrap",
};

function pad(call: ExportCall): void {
  const { shape, dtype } = call.type(0);
  const mode = call.attrs["mode"] as PadMode;
  if (mode === "circular") call.writer.need(19, "circular padding");
  const padding = call.list("padding");
  const side = (which: number): number[] => shape.map((_, axis) => padding[2 * (shape.length - 1 - axis) + which] ?? 0);
  call.give("Pad", [call.input(0), call.ints([...side(0), ...side(1)]), call.scalar(call.number("value"), dtype)], {
    mode: { string: padModes[mode] },
  });
}

/** Sizes of expand: -1 keeps an axis, which ONNX says as 1. */
function expand(call: ExportCall): void {
  call.give("Expand", [call.input(0), call.ints(call.list("shape").map((size) => (size === -1 ? 1 : size)))]);
}

// gelu: x Phi(x), or its tanh form
function gelu(call: ExportCall): void {
  call.writer.need(20, "Gelu");
  call.give("Gelu", [call.input(0)], { approximate: { string: call.attrs["approximate"] as string } });
}

function silu(call: ExportCall): void {
  call.give("Mul", [call.input(0), call.emit("Sigmoid", [call.input(0)])]);
}

function arg(opType: string): ExportRule {
  return (call) => {
    const dims = call.list("dim");
    const keepdims = { int: Number(call.flag("keepdim")) };
    if (dims.length === 1) call.give(opType, [call.input(0)], { axis: { int: dims[0]! }, keepdims });
    else call.fail("only one axis can be searched", { dims });
  };
}

function topk(call: ExportCall): void {
  call.give("TopK", [call.input(0), call.ints([call.number("k")])], {
    axis: { int: call.number("dim") },
    largest: { int: Number(call.flag("largest")) },
  });
}

function cast(call: ExportCall): void {
  call.give("Cast", [call.input(0)], { to: { int: codeOf("Cast", call.attrs["dtype"] as DType) } });
}

function division(call: ExportCall): void {
  const dtype = isFloat(call.result.dtype) ? call.result.dtype : "float32";
  call.give("Div", [call.input(0, dtype), call.input(1, dtype)]);
}

const dim =
  (opType: string): ExportRule =>
  (call) =>
    call.give(opType, call.inputs, { axis: { int: call.number("dim") } });
const triangle =
  (upper: number): ExportRule =>
  (call) => {
    call.writer.need(14, "Trilu");
    call.give(
      "Trilu",
      [call.input(0), call.writer.constant(full([], call.number("diagonal"), { dtype: "int64" }), "k")],
      { upper: { int: upper } },
    );
  };

export const floatExports: ExportRules = {
  abs: same("Abs"),
  acos: same("Acos"),
  acosh: same("Acosh"),
  asin: same("Asin"),
  asinh: same("Asinh"),
  atan: same("Atan"),
  atanh: same("Atanh"),
  ceil: same("Ceil"),
  cos: same("Cos"),
  cosh: same("Cosh"),
  erf: same("Erf"),
  exp: same("Exp"),
  floor: same("Floor"),
  log: same("Log"),
  neg: same("Neg"),
  reciprocal: same("Reciprocal"),
  relu: same("Relu"),
  round: same("Round"),
  sigmoid: same("Sigmoid"),
  sign: same("Sign"),
  sin: same("Sin"),
  sinh: same("Sinh"),
  softsign: same("Softsign"),
  sqrt: same("Sqrt"),
  tan: same("Tan"),
  tanh: same("Tanh"),
  hardswish: same("HardSwish", 14),
  mish: same("Mish", 18),
  isnan: same("IsNaN"),
  isinf: same("IsInf"),
  logicalNot: same("Not"),
  logicalAnd: same("And"),
  logicalOr: same("Or"),
  logicalXor: same("Xor"),
  matmul: same("MatMul"),
  integerMatmul: same("MatMulInteger"),
  dynamicQuantizeLinear: (call) => call.give("DynamicQuantizeLinear", call.inputs),
  bitwiseAnd: same("BitwiseAnd", 18),
  bitwiseOr: same("BitwiseOr", 18),
  bitwiseXor: same("BitwiseXor", 18),
  add: binary("Add"),
  sub: binary("Sub"),
  mul: binary("Mul"),
  div: division,
  pow: binary("Pow"),
  maximum: binary("Max"),
  minimum: binary("Min"),
  remainder: (call) => {
    if (isFloat(call.result.dtype)) call.fail("ONNX has no remainder of floats with the sign of the divisor");
    call.give("Mod", [call.input(0, call.result.dtype), call.input(1, call.result.dtype)]);
  },
  equal: comparison("Equal"),
  notEqual: comparison("Equal", true),
  less: comparison("Less"),
  lessEqual: comparison("LessOrEqual"),
  greater: comparison("Greater"),
  greaterEqual: comparison("GreaterOrEqual"),
  where: (call) =>
    call.give("Where", [call.input(0, "bool"), call.input(1, call.result.dtype), call.input(2, call.result.dtype)]),
  cast,
  clamp: clip(limit("min"), limit("max")),
  hardtanh: clip(limit("minVal"), limit("maxVal")),
  relu6: clip(
    () => 0,
    () => 6,
  ),
  hardsigmoid: (call) =>
    call.give("HardSigmoid", [call.input(0)], { alpha: { float: Math.fround(1 / 6) }, beta: { float: 0.5 } }),
  leakyRelu: (call) => call.give("LeakyRelu", [call.input(0)], { alpha: { float: call.number("negativeSlope") } }),
  elu: (call) => call.give("Elu", [call.input(0)], { alpha: { float: call.number("alpha") } }),
  celu: (call) => call.give("Celu", [call.input(0)], { alpha: { float: call.number("alpha") } }),
  selu: same("Selu"),
  threshold: (call) => {
    const x = call.input(0);
    const isBelow = call.emit("LessOrEqual", [x, call.scalar(call.number("threshold"))]);
    call.give("Where", [isBelow, call.scalar(call.number("value")), x]);
  },
  rsqrt: (call) => call.give("Reciprocal", [call.emit("Sqrt", [call.input(0)])]),
  expm1: (call) => call.give("Sub", [call.emit("Exp", [call.input(0)]), call.scalar(1)]),
  log1p: (call) => call.give("Log", [call.emit("Add", [call.input(0), call.scalar(1)])]),
  log2: (call) => call.give("Div", [call.emit("Log", [call.input(0)]), call.scalar(Math.LN2)]),
  logSigmoid: (call) => call.give("Neg", [call.emit("Softplus", [call.emit("Neg", [call.input(0)])])]),
  silu,
  gelu,
  prelu,
  softmax: dim("Softmax"),
  logSoftmax: dim("LogSoftmax"),
  cat: dim("Concat"),
  sum: axesReduction("ReduceSum"),
  mean: axesReduction("ReduceMean"),
  amax: axesReduction("ReduceMax"),
  amin: axesReduction("ReduceMin"),
  prod: axesReduction("ReduceProd"),
  logsumexp: axesReduction("ReduceLogSumExp"),
  argmax: arg("ArgMax"),
  argmin: arg("ArgMin"),
  topk,
  conv1d: convolution,
  conv2d: convolution,
  conv3d: convolution,
  convTranspose1d: convTranspose,
  convTranspose2d: convTranspose,
  convTranspose3d: convTranspose,
  linear,
  batchNorm,
  layerNorm,
  groupNorm,
  instanceNorm,
  softplus,
  avgPool1d: averagePool,
  avgPool2d: averagePool,
  avgPool3d: averagePool,
  maxPool1d: maxPool,
  maxPool2d: maxPool,
  maxPool3d: maxPool,
  adaptiveAvgPool1d: adaptive("GlobalAveragePool", "AveragePool"),
  adaptiveAvgPool2d: adaptive("GlobalAveragePool", "AveragePool"),
  adaptiveAvgPool3d: adaptive("GlobalAveragePool", "AveragePool"),
  adaptiveMaxPool1d: adaptive("GlobalMaxPool", "MaxPool"),
  adaptiveMaxPool2d: adaptive("GlobalMaxPool", "MaxPool"),
  adaptiveMaxPool3d: adaptive("GlobalMaxPool", "MaxPool"),
  reshape: (call) => call.give("Reshape", [call.input(0), call.ints(call.list("shape"))]),
  permute: (call) => call.give("Transpose", [call.input(0)], { perm: { ints: call.list("dims") } }),
  expand,
  slice,
  flip,
  pad,
  interpolate,
  split: (call) =>
    call.give("Split", [call.input(0), call.ints(call.list("sizes"))], { axis: { int: call.number("dim") } }),
  gather: (call) => call.give("GatherElements", call.inputs, { axis: { int: call.number("dim") } }),
  scatter: (call) => call.give("ScatterElements", call.inputs, { axis: { int: call.number("dim") } }),
  scatterAdd: (call) => {
    call.writer.need(16, "sums while scattering");
    call.give("ScatterElements", call.inputs, { axis: { int: call.number("dim") }, reduction: { string: "add" } });
  },
  embedding: (call) => call.give("Gather", [call.input(0), call.input(1)], { axis: { int: 0 } }),
  cumsum: (call) =>
    call.give("CumSum", [
      call.input(0),
      call.writer.constant(full([], call.number("dim"), { dtype: "int64" }), "axis"),
    ]),
  tril: triangle(0),
  triu: triangle(1),
  scaledDotProductAttention: attention,
  dropout: (call) =>
    call.flag("training") ? call.fail("dropout must be in eval mode") : call.give("Identity", [call.input(0)]),
};
