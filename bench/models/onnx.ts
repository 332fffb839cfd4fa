/**
 * Models of one operator as ONNX files, the form that every candidate with an ONNX reader is given. Integer ones
 * exist in several forms with the same numbers, because readers differ in which they run faster: dequantize, operator,
 * quantize (QDQ; a product also as Gemm), and QLinearConv or QLinearMatMul. Inputs and outputs of integer models are
 * bytes, so nothing but the operator is timed.
 */

import { fromPlain } from "../../src/onnx/attributes.ts";
import type { PlainAttribute } from "../../src/onnx/attributes.ts";
import { createMessage, encodeMessage } from "../../src/onnx/schema.ts";
import type { NodeProto, TensorProto } from "../../src/onnx/schema.ts";
import { writeTensor } from "../../src/onnx/tensors.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { DType, TypedArray } from "../../src/tensor/dtype.ts";
import type { ConvSizes } from "../lib/case.ts";
import { convOutput } from "../lib/case.ts";
import { randomFloats, randomWeights } from "../lib/random.ts";

const OPSET = 17n;
const IR_VERSION = 8n;
const ELEMENT = { float32: 1, uint8: 2 } as const;
/** Seeds of weights and biases. */
const SEED = { weight: 2, bias: 3 };
/** Quantization of every integer model: input, and weights one scale a channel. */
export const INPUT = { scale: 0.02, zeroPoint: 113 };
const WEIGHT_SCALE = 0.004;
const OUTPUT_ZERO_POINT = 120;

export type IntegerForm = "qdq" | "qoperator" | "qdq-gemm";

/** Writes down nodes and tensors, and puts them in a file. */
class ModelBuilder {
  private readonly nodes: NodeProto[] = [];
  private readonly tensors: TensorProto[] = [];

  tensor(name: string, dtype: DType, shape: readonly number[], values: TypedArray): string {
    this.tensors.push(writeTensor(name, new Tensor(dtype, shape, values)));
    return name;
  }

  node(opType: string, inputs: string[], output: string, attributes: Record<string, PlainAttribute> = {}): string {
    const attribute = Object.entries(attributes).map(([name, value]) => fromPlain(name, value));
    this.nodes.push(createMessage("NodeProto", { opType, name: output, input: inputs, output: [output], attribute }));
    return output;
  }

  bytes(element: keyof typeof ELEMENT, input: readonly number[], output: readonly number[]): Uint8Array {
    const info = (name: string, shape: readonly number[]) => ({
      name,
      type: {
        tensorType: { elemType: ELEMENT[element], shape: { dim: shape.map((size) => ({ dimValue: BigInt(size) })) } },
      },
    });
    const model = createMessage("ModelProto", {
      irVersion: IR_VERSION,
      producerName: "fewbit bench",
      opsetImport: [{ domain: "", version: OPSET }],
      graph: {
        name: "bench",
        node: this.nodes,
        initializer: this.tensors,
        input: [info("x", input)],
        output: [info("y", output)],
      },
    });
    return encodeMessage("ModelProto", model);
  }
}

/** Scale of outputs that fill their range: inputs are about uniform, so a sum of `depth` products has this spread. */
function outputScale(depth: number): number {
  const spread = Math.sqrt(depth) * 74 * INPUT.scale * 73 * WEIGHT_SCALE;
  return Math.fround((3 * spread) / 128);
}

interface Product {
  readonly weightShape: readonly number[];
  /** Axis of the weight that is the output's channels, and how many products make one output. */
  readonly channelAxis: number;
  readonly depth: number;
  readonly op: "Conv" | "MatMul";
  readonly attributes: Record<string, PlainAttribute>;
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** [depth, columns] as [columns, depth]. */
function transposed(values: Int8Array, columns: number): Int8Array {
  const depth = values.length / columns;
  return values.map((_, i) => values[(i % depth) * columns + Math.floor(i / depth)]!);
}

function floatProduct(b: ModelBuilder, { weightShape, channelAxis, depth, op, attributes }: Product): void {
  const w = randomFloats(size(weightShape), SEED.weight).map((v) => v / Math.sqrt(depth));
  b.tensor("w", "float32", weightShape, w);
  if (op === "MatMul") b.node("MatMul", ["x", "w"], "y");
  else {
    const channels = weightShape[channelAxis]!;
    b.tensor("b", "float32", [channels], randomFloats(channels, SEED.bias));
    b.node("Conv", ["x", "w", "b"], "y", attributes);
  }
}

function integerProduct(b: ModelBuilder, product: Product, form: IntegerForm): void {
  const { weightShape, channelAxis, depth, op, attributes } = product;
  const channels = weightShape[channelAxis]!;
  const scales = Float32Array.from({ length: channels }, (_, i) => WEIGHT_SCALE * (1 + (i % 7) / 16));
  const y = outputScale(depth);
  b.tensor("x_scale", "float32", [], Float32Array.of(INPUT.scale));
  b.tensor("x_zero", "uint8", [], Uint8Array.of(INPUT.zeroPoint));
  const weights = randomWeights(size(weightShape), SEED.weight);
  if (form === "qdq-gemm") b.tensor("w", "int8", [...weightShape].reverse(), transposed(weights, channels));
  else b.tensor("w", "int8", weightShape, weights);
  b.tensor("w_scale", "float32", [channels], scales);
  b.tensor("w_zero", "int8", [channels], new Int8Array(channels));
  b.tensor("y_scale", "float32", [], Float32Array.of(y));
  b.tensor("y_zero", "uint8", [], Uint8Array.of(OUTPUT_ZERO_POINT));
  const bias = op === "Conv" ? ["b"] : [];
  if (op === "Conv") {
    const values = randomFloats(channels, SEED.bias).map((v) => v / INPUT.scale / WEIGHT_SCALE);
    b.tensor("b", "int32", [channels], Int32Array.from(values));
  }
  if (form === "qoperator") {
    const inputs = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", ...bias];
    b.node(`QLinear${op}`, inputs, "y", attributes);
    return;
  }
  const isGemm = form === "qdq-gemm";
  const axis = { axis: { int: isGemm ? 0 : channelAxis } };
  if (op === "Conv") {
    b.tensor(
      "b_scale",
      "float32",
      [channels],
      scales.map((s) => Math.fround(s * INPUT.scale)),
    );
    b.tensor("b_zero", "int32", [channels], new Int32Array(channels));
    b.node("DequantizeLinear", ["b", "b_scale", "b_zero"], "b_float", { axis: { int: 0 } });
  }
  b.node("DequantizeLinear", ["x", "x_scale", "x_zero"], "x_float");
  b.node("DequantizeLinear", ["w", "w_scale", "w_zero"], "w_float", axis);
  const inputs = ["x_float", "w_float", ...(op === "Conv" ? ["b_float"] : [])];
  b.node(isGemm ? "Gemm" : op, inputs, "y_float", isGemm ? { transB: { int: 1 } } : attributes);
  b.node("QuantizeLinear", ["y_float", "y_scale", "y_zero"], "y");
}

/** What a single-operator model takes and gives. */
export interface Signature {
  readonly input: readonly number[];
  readonly output: readonly number[];
}

export function gemmSignature(rows: number, depth: number, columns: number): Signature {
  return { input: [rows, depth], output: [rows, columns] };
}

export function convSignature(sizes: ConvSizes): Signature {
  const out = convOutput(sizes);
  return { input: [1, sizes.inChannels, sizes.size, sizes.size], output: [1, sizes.outChannels, out, out] };
}

function gemmProduct(depth: number, columns: number): Product {
  return { weightShape: [depth, columns], channelAxis: 1, depth, op: "MatMul", attributes: {} };
}

function convProduct({ inChannels, outChannels, kernel, stride, groups }: ConvSizes): Product {
  const pad = (kernel - 1) / 2;
  return {
    weightShape: [outChannels, inChannels / groups, kernel, kernel],
    channelAxis: 0,
    depth: (inChannels / groups) * kernel ** 2,
    op: "Conv",
    attributes: {
      kernel_shape: { ints: [kernel, kernel] },
      strides: { ints: [stride, stride] },
      pads: { ints: [pad, pad, pad, pad] },
      group: { int: groups },
    },
  };
}

function build(product: Product, { input, output }: Signature, form: "f32" | IntegerForm): Uint8Array {
  const builder = new ModelBuilder();
  if (form === "f32") floatProduct(builder, product);
  else integerProduct(builder, product, form);
  return builder.bytes(form === "f32" ? "float32" : "uint8", input, output);
}

/** x [rows, depth] times a constant [depth, columns]. */
export function gemmModel(rows: number, depth: number, columns: number, form: "f32" | IntegerForm): Uint8Array {
  return build(gemmProduct(depth, columns), gemmSignature(rows, depth, columns), form);
}

/** A convolution with bias, padded so that stride 1 keeps the size. */
export function convModel(sizes: ConvSizes, form: "f32" | IntegerForm): Uint8Array {
  return build(convProduct(sizes), convSignature(sizes), form);
}

/** The float weights of a single-operator model, for candidates that do not read ONNX. */
export function floatWeights(length: number, depth: number): Float32Array {
  return randomFloats(length, SEED.weight).map((v) => v / Math.sqrt(depth));
}

export function floatBias(channels: number): Float32Array {
  return randomFloats(channels, SEED.bias);
}
