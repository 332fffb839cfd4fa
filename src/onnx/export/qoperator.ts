/**
 * QOperator form: dequantize → operator → quantize becomes one operator of ONNX or onnxruntime that takes integers.
 *
 *     conv (clamp)     QLinearConv              add, mul     QLinearAdd, QLinearMul (com.microsoft)
 *     linear (clamp)   QGemm (com.microsoft)    cat          QLinearConcat
 *     matmul           QLinearMatMul            averages     QLinearGlobalAveragePool, QLinearAveragePool
 *     sigmoid, leaky relu    QLinearSigmoid, QLinearLeakyRelu
 *     reshape, permute, slice, maximum pools, pad with zeros      the same operator, on the integers
 *
 * A clamp goes when the integers reach no further than its limits. What has no such form stays between its quantize
 * and dequantize, which is legal beside the others.
 */

import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node, ValueType } from "../../graph/graph.ts";
import { Builder, removeDead } from "../../graph/rewrite.ts";
import type { Pass } from "../../graph/rewrite.ts";
import { full } from "../../tensor/create.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { PlainAttribute } from "../attributes.ts";
import { nodeTarget } from "../deferred.ts";

const QUANTIZE = "decomposedQuantizePerTensor";
const DEQUANTIZE = /^decomposedDequantizePer(Tensor|Channel)$/;
const MICROSOFT = "com.microsoft";

/** Integers and their parameters, each a value or a number of the node that dequantizes them. */
interface Operand {
  readonly integers: Value;
  readonly scale: Argument;
  readonly zeroPoint: Argument;
  readonly dtype: DType;
}

interface Site {
  readonly graph: Graph;
  readonly build: Builder;
  /** The operator. */
  readonly node: Node;
  /** The quantize behind it; null where its result stays float. */
  readonly quantize: Node | null;
  readonly before: Node;
}

function operandOf(arg: Argument | undefined): Operand | null {
  if (!(arg instanceof Value) || !DEQUANTIZE.test(arg.node.target)) return null;
  const [integers, scale, zeroPoint] = arg.node.args;
  const dtype = arg.node.attrs["dtype"] as DType;
  return integers instanceof Value ? { integers, scale: scale!, zeroPoint: zeroPoint ?? 0, dtype } : null;
}

const isByte = (operand: Operand | null): operand is Operand =>
  operand !== null && dtypeInfo[operand.dtype].bits === 8 && dtypeInfo[operand.dtype].kind !== "float";

function parameter({ build }: Site, arg: Argument, dtype: DType): Argument {
  return typeof arg === "number"
    ? build.constant(full([], arg, { dtype }), dtype === "float32" ? "scale" : "zero_point")
    : arg;
}

/** A zero point in the dtype of its integers: stored ones are int64. */
function zeroOf(site: Site, { zeroPoint, dtype }: Operand): Argument {
  const stored = site.graph.tensorOf(zeroPoint);
  if (!stored) return parameter(site, zeroPoint, dtype);
  const zeros = full(stored.shape, 0, { dtype });
  zeros.data.set(Array.from(stored.data, Number));
  return site.build.constant(zeros, "zero_point");
}

function triple(site: Site, operand: Operand): Argument[] {
  return [operand.integers, parameter(site, operand.scale, "float32"), zeroOf(site, operand)];
}

function outputParameters(site: Site): Argument[] {
  const [, scale, zeroPoint] = site.quantize!.args;
  return [parameter(site, scale!, "float32"), parameter(site, zeroPoint ?? 0, site.quantize!.attrs["dtype"] as DType)];
}

type Attributes = Readonly<Record<string, PlainAttribute>>;

function foreign(site: Site, domain: string, opType: string, args: readonly Argument[], attributes: Attributes): Value {
  const { graph, node, quantize, before } = site;
  const attrs = { domain, opType, opset: 10, attributes, outputs: [true], captures: [] };
  const types: ValueType[] = [(quantize ?? node).output.type];
  const target = nodeTarget(domain, opType);
  const { source } = node;
  return graph.insert({ kind: "operator", target, args, attrs, types, source }, before).output;
}

/** A bias in int32, absent (null), or of another form (undefined). */
function biasOf(graph: Graph, arg: Argument | undefined): Value | null | undefined {
  if (arg === null || arg === undefined) return null;
  const operand = operandOf(arg);
  return operand?.dtype === "int32" && graph.tensorOf(operand.integers) ? operand.integers : undefined;
}

function convolution(site: Site): Value | null {
  const { node, graph, quantize } = site;
  const [x, w, b] = node.args;
  const [input, weight, bias] = [operandOf(x), operandOf(w), biasOf(graph, b)];
  if (!quantize || !isByte(input) || !isByte(weight) || bias === undefined) return null;
  const { stride, padding, dilation, groups } = node.attrs as Record<string, readonly number[]> & { groups: number };
  const attributes: Attributes = {
    strides: { ints: [...stride!] },
    pads: { ints: [...padding!, ...padding!] },
    dilations: { ints: [...dilation!] },
    group: { int: groups },
  };
  const args = [...triple(site, input), ...triple(site, weight), ...outputParameters(site), ...(bias ? [bias] : [])];
  return foreign(site, "", "QLinearConv", args, attributes);
}

function linear(site: Site): Value | null {
  const { node, graph, quantize } = site;
  const [x, w, b] = node.args;
  const [input, weight, bias] = [operandOf(x), operandOf(w), biasOf(graph, b)];
  if (!isByte(input) || !isByte(weight) || bias === undefined || node.output.type?.shape.length !== 2) return null;
  const args = [...triple(site, input), ...triple(site, weight), bias, ...(quantize ? outputParameters(site) : [])];
  return foreign(site, MICROSOFT, "QGemm", args, { transB: { int: 1 } });
}

function pair(domain: string, opType: string) {
  return (site: Site): Value | null => {
    const [a, b] = site.node.args.map((arg) => operandOf(arg));
    if (!site.quantize || !isByte(a ?? null) || !isByte(b ?? null)) return null;
    return foreign(site, domain, opType, [...triple(site, a!), ...triple(site, b!), ...outputParameters(site)], {});
  };
}

function single(opType: string, attributes: (node: Node) => Attributes | null) {
  return (site: Site): Value | null => {
    const input = operandOf(site.node.args[0]);
    const given = attributes(site.node);
    if (!site.quantize || !isByte(input) || !given) return null;
    return foreign(site, MICROSOFT, opType, [...triple(site, input), ...outputParameters(site)], given);
  };
}

function concat(site: Site): Value | null {
  const parts = site.node.args.map((arg) => operandOf(arg));
  if (!site.quantize || !parts.every(isByte)) return null;
  const args = [...outputParameters(site), ...parts.flatMap((part) => triple(site, part))];
  return foreign(site, MICROSOFT, "QLinearConcat", args, { axis: { int: site.node.attrs["dim"] as number } });
}

function averagePool({ attrs }: Node): Attributes | null {
  const { kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride } = attrs as Record<string, unknown>;
  if (divisorOverride !== null) return null;
  const pads = padding as readonly number[];
  return {
    kernel_shape: { ints: [...(kernelSize as readonly number[])] },
    strides: { ints: [...(stride as readonly number[])] },
    pads: { ints: [...pads, ...pads] },
    ceil_mode: { int: Number(ceilMode === true) },
    count_include_pad: { int: Number(countIncludePad === true) },
  };
}

const isGlobal = ({ attrs }: Node): boolean => (attrs["outputSize"] as readonly number[]).every((size) => size === 1);
const globalPool = single("QLinearGlobalAveragePool", (node) =>
  isGlobal(node) ? { channels_last: { int: 0 } } : null,
);

/** The same operator on the integers, between equal parameters. */
function moving(site: Site): Value | null {
  const { node, quantize, graph, before } = site;
  const input = operandOf(node.args[0]);
  if (!quantize || !isByte(input)) return null;
  const [, scale, zeroPoint] = quantize.args;
  if (input.scale !== scale || input.zeroPoint !== (zeroPoint ?? 0) || input.dtype !== quantize.attrs["dtype"])
    return null;
  const inserted = (attrs: Node["attrs"]): Value => {
    const spec = { kind: "operator", target: node.target, args: [input.integers], attrs, source: node.source } as const;
    return graph.insert({ ...spec, types: [quantize.output.type] }, before).output;
  };
  if (node.target !== "pad") return inserted(node.attrs);
  const isZero = node.attrs["mode"] === "constant" && node.attrs["value"] === 0;
  return isZero && typeof input.zeroPoint === "number" ? inserted({ ...node.attrs, value: input.zeroPoint }) : null;
}

const rules: Readonly<Record<string, (site: Site) => Value | null>> = {
  conv1d: convolution,
  conv2d: convolution,
  conv3d: convolution,
  linear,
  matmul: pair("", "QLinearMatMul"),
  add: pair(MICROSOFT, "QLinearAdd"),
  mul: pair(MICROSOFT, "QLinearMul"),
  cat: concat,
  adaptiveAvgPool1d: globalPool,
  adaptiveAvgPool2d: globalPool,
  avgPool2d: single("QLinearAveragePool", averagePool),
  sigmoid: single("QLinearSigmoid", () => ({})),
  leakyRelu: single("QLinearLeakyRelu", ({ attrs }) => ({ alpha: { float: attrs["negativeSlope"] as number } })),
  reshape: moving,
  permute: moving,
  slice: moving,
  pad: moving,
  maxPool2d: moving,
};

/** Lower and upper limit of a clamp; null for other operators. */
function limitsOf({ target, attrs }: Node): readonly [low: number, high: number] | null {
  if (target === "relu") return [0, Infinity];
  if (target === "relu6") return [0, 6];
  if (target === "hardtanh") return [attrs["minVal"] as number, attrs["maxVal"] as number];
  if (target === "clamp")
    return [(attrs["min"] as number | null) ?? -Infinity, (attrs["max"] as number | null) ?? Infinity];
  return null;
}

/** Whether the integers stand for no number beyond the limits, by more than the half step that is rounded anyway. */
function saturates({ args, attrs }: Node, [low, high]: readonly [number, number]): boolean {
  const [, scale, zeroPoint] = args as [Argument, number, number];
  const { min, max } = dtypeInfo[attrs["dtype"] as DType];
  const half = scale / 2;
  return (min - zeroPoint) * scale >= low - half && (max - zeroPoint) * scale <= high + half;
}

/** The operator whose result is quantized, behind a clamp that the integers do. */
function operatorBehind(graph: Graph, quantize: Node): Node | null {
  const [x, scale, zeroPoint] = quantize.args;
  if (!(x instanceof Value) || typeof scale !== "number" || typeof zeroPoint !== "number") return null;
  const limits = limitsOf(x.node);
  if (!limits || Object.hasOwn(rules, x.node.target)) return x.node;
  const [inner] = x.node.args;
  const single = inner instanceof Value && graph.useCount(x) === 1 && graph.useCount(inner) === 1;
  return single && saturates(quantize, limits) ? inner.node : null;
}

export const qoperators: Pass = {
  name: "qoperators",
  run(graph) {
    for (const quantize of [...graph.nodes]) {
      if (quantize.target !== QUANTIZE) continue;
      const node = operatorBehind(graph, quantize);
      const rule = node?.kind === "operator" ? rules[node.target] : undefined;
      if (!node || !rule) continue;
      const result = rule({ graph, build: new Builder(graph, quantize), node, quantize, before: quantize });
      if (result) graph.replaceUses(quantize.output, result);
    }
    for (const node of [...graph.nodes]) {
      const readers = node.target === "linear" ? node.users : [];
      if (node.target !== "linear" || readers.some(({ target }) => target === QUANTIZE)) continue;
      const result = linear({ graph, build: new Builder(graph, node), node, quantize: null, before: node });
      if (result) graph.replaceUses(node.output, result);
    }
    removeDead(graph);
  },
};
