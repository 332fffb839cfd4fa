/**
 * The export table: what every float operator becomes in ONNX.
 */

import { codeOf } from "../dtypes.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { PadMode } from "../../ops/pad.ts";
import { numel } from "../../tensor/shape.ts";
import { full } from "../../tensor/create.ts";
import type { ExportCall, ExportRule, ExportRules } from "./call.ts";

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

function convolution(call: ExportCall): void {
  const pads = call.list("padding");
  const attributes = {
    strides: { ints: call.list("stride") },
    pads: { ints: [...pads, ...pads] },
    dilations: { ints: call.list("dilation") },
    group: { int: call.number("groups") },
  };
  call.give("Conv", call.inputs.slice(0, call.has(2) ? 3 : 2), attributes);
}

function convTranspose(call: ExportCall): void {
  const pads = call.list("padding");
  call.give("ConvTranspose", call.inputs.slice(0, call.has(2) ? 3 : 2), {
    strides: { ints: call.list("stride") },
    pads: { ints: [...pads, ...pads] },
    dilations: { ints: call.list("dilation") },
    group: { int: call.number("groups") },
    output_padding: { ints: call.list("outputPadding") },
  });
}

function linear(call: ExportCall): void {
  if (call.type(0).shape.length === 2) {
    call.give("Gemm", call.inputs.slice(0, call.has(2) ? 3 : 2), { transB: { int: 1 } });
    return;
  }
  const weight = call.emit("Transpose", [call.input(1)], { perm: { ints: [1, 0] } });
  if (!call.has(2)) call.give("MatMul", [call.input(0), weight]);
  else call.give("Add", [call.emit("MatMul", [call.input(0), weight]), call.input(2)]);
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

function poolAttributes(call: ExportCall) {
  const pads = call.list("padding");
  return {
    kernel_shape: { ints: call.list("kernelSize") },
    strides: { ints: call.list("stride") },
    pads: { ints: [...pads, ...pads] },
    ceil_mode: { int: Number(call.flag("ceilMode")) },
  };
}

function averagePool(call: ExportCall): void {
  if (call.attrs["divisorOverride"] !== null) call.fail("ONNX has no divisorOverride");
  call.give("AveragePool", [call.input(0)], {
    ...poolAttributes(call),
    count_include_pad: { int: Number(call.flag("countIncludePad")) },
  });
}

function maxPool(call: ExportCall): void {
  call.give("MaxPool", [call.input(0)], { ...poolAttributes(call), dilations: { ints: call.list("dilation") } });
}

/** Global, or windows of equal size; others overlap unevenly, which ONNX cannot say. */
function adaptive(globalOp: string, opType: string): ExportRule {
  return (call) => {
    const size = call.list("outputSize");
    if (size.every((n) => n === 1)) {
      call.give(globalOp, [call.input(0)]);
      return;
    }
    const spatial = call.type(0).shape.slice(2);
    if (spatial.some((n, i) => n % size[i]! !== 0))
      call.fail("ONNX has no windows of uneven sizes", { spatial, outputSize: size });
    const kernel = spatial.map((n, i) => n / size[i]!);
    call.give(opType, [call.input(0)], { kernel_shape: { ints: kernel }, strides: { ints: kernel } });
  };
}

function batchNorm(call: ExportCall): void {
  if (call.flag("training")) call.fail("batch norm must be in eval mode", {});
  const channels = call.type(0).shape[1]!;
  const { dtype } = call.type(0);
  const filled = (i: number, value: number): string =>
    call.has(i) ? call.input(i) : call.writer.constant(full([channels], value, { dtype }), "filled");
  const inputs = [call.input(0), filled(1, 1), filled(2, 0), filled(3, 0), filled(4, 1)];
  call.writer.node("BatchNormalization", inputs, [call.writer.nameOf(call.node.outputs[0]!)], {
    epsilon: { float: call.number("eps") },
  });
}

function layerNorm(call: ExportCall): void {
  call.writer.need(17, "LayerNormalization");
  const shape = call.list("normalizedShape");
  const { dtype } = call.type(0);
  const weight = call.has(1) ? call.input(1) : call.writer.constant(full(shape, 1, { dtype }), "ones");
  call.give("LayerNormalization", [call.input(0), weight, ...(call.has(2) ? [call.input(2)] : [])], {
    axis: { int: -shape.length },
    epsilon: { float: call.number("eps") },
  });
}

function instanceNorm(call: ExportCall): void {
  const { dtype, shape } = call.type(0);
  const filled = (i: number, value: number): string =>
    call.has(i) ? call.input(i) : call.writer.constant(full([shape[1]!], value, { dtype }), "filled");
  call.give("InstanceNormalization", [call.input(0), filled(1, 1), filled(2, 0)], {
    epsilon: { float: call.number("eps") },
  });
}

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

function groupNorm(call: ExportCall): void {
  call.writer.need(21, "GroupNormalization");
  const { dtype, shape } = call.type(0);
  const filled = (i: number, value: number): string =>
    call.has(i) ? call.input(i) : call.writer.constant(full([shape[1]!], value, { dtype }), "filled");
  call.give("GroupNormalization", [call.input(0), filled(1, 1), filled(2, 0)], {
    num_groups: { int: call.number("numGroups") },
    epsilon: { float: call.number("eps") },
  });
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

function prelu(call: ExportCall): void {
  const [x, weight] = [call.type(0), call.type(1)];
  const shape = numel(weight.shape) === 1 ? [1] : [numel(weight.shape), ...x.shape.slice(2).map(() => 1)];
  call.give("PRelu", [call.input(0), call.emit("Reshape", [call.input(1), call.ints(shape)])]);
}

// gelu: x Phi(x), or its tanh form
function gelu(call: ExportCall): void {
  call.writer.need(20, "Gelu");
  call.give("Gelu", [call.input(0)], { approximate: { string: call.attrs["approximate"] as string } });
}

function silu(call: ExportCall): void {
  call.give("Mul", [call.input(0), call.emit("Sigmoid", [call.input(0)])]);
}

function interpolate(call: ExportCall): void {
  call.writer.need(18, "Resize along named axes");
  const size = call.list("size");
  const mode = call.attrs["mode"] as string;
  const nearest = mode === "nearest";
  if (mode === "nearest-exact") call.fail("ONNX has no nearest-exact");
  call.give("Resize", [call.input(0), "", "", call.ints(size)], {
    axes: { ints: size.map((_, i) => i + 2) },
    mode: { string: nearest ? "nearest" : mode === "bicubic" ? "cubic" : "linear" },
    coordinate_transformation_mode: {
      string: nearest ? "asymmetric" : call.flag("alignCorners") ? "align_corners" : "half_pixel",
    },
    nearest_mode: nearest ? { string: "floor" } : undefined,
  });
}

function attention(call: ExportCall): void {
  if (call.flag("isCausal")) call.fail("causal attention must be given as a mask");
  const rank = call.type(1).shape.length;
  const perm = Array.from({ length: rank }, (_, i) => (i === rank - 2 ? rank - 1 : i === rank - 1 ? rank - 2 : i));
  const scores = call.emit("MatMul", [
    call.emit("Mul", [call.input(0), call.scalar(call.number("scale"))]),
    call.emit("Transpose", [call.input(1)], { perm: { ints: perm } }),
  ]);
  if (call.has(3) && call.type(3).dtype === "bool") call.fail("a bool mask must be given as numbers to add");
  const masked = call.has(3) ? call.emit("Add", [scores, call.input(3)]) : scores;
  call.give("MatMul", [call.emit("Softmax", [masked], { axis: { int: -1 } }), call.input(2)]);
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
