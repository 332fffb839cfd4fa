/**
 * Graphs that compute on quantized tensors (converted eager modules, lowered FX graphs) in the form that ONNX has:
 *
 *     quantizedConv(x, w, b, relu)   →   quantize(relu(conv(dequantize(x), dequantize(w), b)))
 *
 * Every quantized tensor becomes its plain integers between a quantize and a dequantize with the parameters of its type.
 * The pair of exported graphs rounds before it adds the zero point, the operators on quantized tensors after: results may
 * differ by one step where a value lies halfway between two.
 */

import { OnnxError } from "../../errors.ts";
import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { Builder, removeDead } from "../../graph/rewrite.ts";
import type { Callee, Pass } from "../../graph/rewrite.ts";
import type { Attrs } from "../../ops/op.ts";
import {
  decomposedDequantizePerChannelOp,
  decomposedDequantizePerTensorOp,
  decomposedQuantizePerChannelOp,
  decomposedQuantizePerTensorOp,
} from "../../ops/quantize/decomposed.ts";
import { integerDTypeOf } from "../../ops/quantize/native.ts";
import { fromArray } from "../../tensor/create.ts";
import { dtypeInfo, isQuantized } from "../../tensor/dtype.ts";
import type { QuantizedDType } from "../../tensor/dtype.ts";
import type { PerChannelQParams, QParams } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { floatAttrs, floatForms, rangeAttrs } from "./float-forms.ts";

/** Operators that quantize inside, though all they read and give is float. */
const DYNAMIC = new Set(["linearDynamic", "convDynamic", "quantizeDequantizeDynamic"]);

const isQuantizedType = (type: TensorType | null): type is TensorType & { readonly dtype: QuantizedDType } =>
  type !== null && isQuantized(type.dtype);

function fail(node: Node, rule: string): never {
  throw new OnnxError(`export of ${node.target}`, { node: node.outputs[0]?.name }, rule);
}

/** Parameters as the exported graphs' pair takes them: numbers, or stored tensors with one a slice of the axis. */
interface Parameters {
  readonly args: readonly [scale: Argument, zeroPoint: Argument];
  readonly attrs: Attrs;
  readonly pair: readonly [quantize: Callee, dequantize: Callee];
}

function parametersOf(build: Builder, dtype: QuantizedDType, qparams: QParams): Parameters {
  const attrs = rangeAttrs(integerDTypeOf(dtype), dtypeInfo[dtype]);
  if (qparams.kind === "perTensor") {
    const pair = [decomposedQuantizePerTensorOp, decomposedDequantizePerTensorOp] as const;
    return { args: [qparams.scale, qparams.zeroPoint], attrs: { ...attrs, axis: null }, pair };
  }
  const { kind, scales, zeroPoints, axis } = qparams;
  const count = [scales.length];
  const zeros = kind === "perChannelFloat" ? zeroPoints.map(() => 0) : [...zeroPoints];
  const args = [
    build.constant(fromArray([...scales], count), "scale"),
    build.constant(fromArray(zeros, count, "int64"), "zero_point"),
  ] as const;
  const pair = [decomposedQuantizePerChannelOp, decomposedDequantizePerChannelOp] as const;
  return { args, attrs: { ...attrs, axis }, pair };
}

function dequantized(build: Builder, integers: Value, { args, attrs, pair }: Parameters): Value {
  return build.call(pair[1], [integers, ...args], { ...attrs, outDType: "float32" });
}

/** Floating-point zero points, which ONNX has not, are taken off behind the dequantize: q s + (-z s). */
function lessZeroPoints(build: Builder, y: Value, { scales, zeroPoints, axis }: PerChannelQParams): Value {
  const shape = y.type!.shape.map((size, i) => (i === axis ? size : 1));
  const offsets = scales.map((scale, i) => -zeroPoints[i]! * scale);
  return build.call("add", [y, build.constant(fromArray(offsets, shape), "offset")]);
}

/** A stored quantized tensor: its integers, stored, behind a dequantize. */
function storedReal(build: Builder, name: string, { dtype, shape, data, qparams }: Tensor): Value {
  const parameters = parametersOf(build, dtype as QuantizedDType, qparams!);
  const integers = new Tensor(integerDTypeOf(dtype as QuantizedDType), shape, data);
  const y = dequantized(build, build.constant(integers, `${name}_integers`), parameters);
  return qparams!.kind === "perChannelFloat" ? lessZeroPoints(build, y, qparams!) : y;
}

/** A graph being spelled out: what stands for its quantized values so far. */
class Spelling {
  private readonly graph: Graph;
  private readonly real = new Map<Value, Value>();
  private readonly integers = new Map<Value, Value>();

  constructor(graph: Graph) {
    this.graph = graph;
  }

  /** An input that is quantized becomes one of plain integers. */
  input(node: Node, next: Node): void {
    const { output } = node;
    const { type } = output;
    if (!isQuantizedType(type)) return;
    const build = new Builder(this.graph, next);
    const parameters = parametersOf(build, type.dtype, type.qparams!);
    output.type = { dtype: integerDTypeOf(type.dtype), shape: type.shape };
    this.real.set(output, dequantized(build, output, parameters));
    this.integers.set(output, output);
  }

  private realOf(build: Builder, arg: Argument): Argument {
    if (!(arg instanceof Value)) return arg;
    const known = this.real.get(arg);
    if (known || !isQuantizedType(arg.type)) return known ?? arg;
    const stored = this.graph.tensorOf(arg);
    return stored
      ? storedReal(build, arg.name, stored)
      : fail(arg.node, "gives a quantized tensor, which ONNX has not");
  }

  operator(node: Node): void {
    const build = new Builder(this.graph, node);
    const args = node.args.map((arg) => this.realOf(build, arg));
    const form = floatForms[node.target];
    const attrs = floatAttrs(node);
    const results = form ? [form({ build, node, args, attrs })] : build.callMany(node.target, args, attrs);
    node.outputs.forEach((output, i) => this.result(build, output, results[i]!));
  }

  /** A computed value as the type of what it stands for says: through integers where that is quantized. */
  private result(build: Builder, output: Value, y: Value): void {
    const { type } = output;
    if (!isQuantizedType(type)) {
      this.graph.replaceUses(output, y);
      return;
    }
    const parameters = parametersOf(build, type.dtype, type.qparams!);
    const q = build.call(parameters.pair[0], [y, ...parameters.args], parameters.attrs);
    this.integers.set(output, q);
    this.real.set(output, dequantized(build, q, parameters));
  }

  /** Results that are still quantized are given as their integers. */
  outputs(): void {
    const { graph, integers } = this;
    graph.outputs = graph.outputs.map((value) => (value instanceof Value ? (integers.get(value) ?? value) : value));
  }
}

const needsSpelling = (node: Node): boolean =>
  node.kind === "operator" &&
  (DYNAMIC.has(node.target) || [...node.inputs, ...node.outputs].some(({ type }) => isQuantizedType(type)));

export const qdqForm: Pass = {
  name: "qdq-form",
  run(graph) {
    const quantized = [...graph.nodes];
    const first = quantized.find(({ kind }) => kind !== "input");
    if (!first) return;
    const operators = quantized.filter(needsSpelling);
    const spelling = new Spelling(graph);
    for (const node of quantized) if (node.kind === "input") spelling.input(node, first);
    for (const node of operators) spelling.operator(node);
    spelling.outputs();
    removeDead(graph);
  },
};
