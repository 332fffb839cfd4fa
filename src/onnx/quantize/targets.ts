/**
 * Targets: for each place a model may run, the integers that are fast and exact there, and the operators that run in
 * integers. A target is data; a new one is a row.
 *
 * Exact means that sums of products never saturate. x86 processors without VNNI add pairs of products of unsigned and
 * signed bytes in 16 bits, which overflow with full-range weights; 7-bit weights cannot.
 */

import { OnnxError } from "../../errors.ts";

export type TargetName = "wasm" | "onnxruntime-cpu" | "onnxruntime-avx2" | "onnxruntime-web" | "qnnpack" | "tensorrt";

/** Kinds of operators that a target may have in integers. */
export type OperatorKind =
  /** Convolution with a stored weight. */
  | "conv"
  | "convTranspose"
  /** Product with a stored matrix. */
  | "linear"
  /** Product of two computed matrices. */
  | "matmul"
  | "add"
  | "mul"
  /** Chooses or moves values: pools by maximum, reshapes, slices, pads. */
  | "move"
  /** Averages of values. */
  | "average"
  | "cat"
  /** Functions of one value with a range of their own: sigmoid, hardswish, leaky relu. */
  | "activation";

export interface Target {
  readonly name: string;
  /** In one sentence: where it runs, and why these integers. */
  readonly why: string;
  readonly activations: { readonly signed: boolean; readonly symmetric: boolean };
  /** `limit`: largest weight, for kernels that would saturate. */
  readonly weights: { readonly perChannel: boolean; readonly symmetric: boolean; readonly limit: number };
  /** Operators that run in integers there; others stay float. */
  readonly operators: readonly OperatorKind[];
  /** Of these, the ones that can give floats, where nothing behind them reads integers. */
  readonly floatResults: readonly OperatorKind[];
  /** Biases stored as int32 in units of the product's scale, instead of floats. */
  readonly integerBias: boolean;
  /** Operators it multiplies in integers with ranges taken at run time. */
  readonly dynamic: readonly OperatorKind[];
  /** Weights in groups are written as MatMulNBits. */
  readonly matMulNBits: boolean;
  /** Smallest scale it takes; 0: any. */
  readonly minScale: number;
}

const everything: readonly OperatorKind[] = [
  "conv", "linear", "matmul", "add", "mul", "move", "average", "cat", "activation",
]; // prettier-ignore

const onnxruntime = {
  activations: { signed: false, symmetric: false },
  weights: { perChannel: true, symmetric: true, limit: 127 },
  operators: everything,
  floatResults: ["linear", "matmul"],
  integerBias: true,
  dynamic: ["linear"],
  matMulNBits: true,
  minScale: 0,
} as const satisfies Partial<Target>;

export const targets: Readonly<Record<TargetName, Target>> = {
  wasm: {
    name: "wasm",
    why: "fewbit's own engine: exact 32-bit sums on every machine; matrices of activations are multiplied in float",
    activations: { signed: false, symmetric: false },
    weights: { perChannel: true, symmetric: true, limit: 127 },
    operators: ["conv", "linear", "add", "mul", "move", "average", "cat", "activation"],
    floatResults: ["conv", "linear"],
    integerBias: true,
    dynamic: ["linear"],
    matMulNBits: false,
    minScale: 0,
  },
  "onnxruntime-cpu": {
    ...onnxruntime,
    name: "onnxruntime-cpu",
    why: "onnxruntime on processors with VNNI or on ARM, where products of uint8 and int8 are summed exactly",
  },
  "onnxruntime-avx2": {
    ...onnxruntime,
    name: "onnxruntime-avx2",
    why: "onnxruntime on x86 processors without VNNI: weights in 7 bits, whose sums in 16 bits cannot saturate",
    weights: { perChannel: true, symmetric: true, limit: 63 },
  },
  "onnxruntime-web": {
    ...onnxruntime,
    name: "onnxruntime-web",
    why: "onnxruntime in the browser (WebAssembly), whose kernels read unsigned activations and sum exactly",
  },
  qnnpack: {
    ...onnxruntime,
    name: "qnnpack",
    why: "QNNPACK and XNNPACK on phones: no product of two activations, scales of at least 2^-12",
    operators: ["conv", "linear", "add", "mul", "move", "average", "cat", "activation"],
    floatResults: [],
    dynamic: ["linear"],
    matMulNBits: false,
    minScale: 2 ** -12,
  },
  tensorrt: {
    ...onnxruntime,
    name: "tensorrt",
    why: "TensorRT on NVIDIA cards: signed symmetric activations only, biases in float",
    activations: { signed: true, symmetric: true },
    operators: ["conv", "convTranspose", "linear", "matmul", "add", "move", "average"],
    floatResults: ["conv", "convTranspose", "linear", "matmul"],
    integerBias: false,
    dynamic: [],
    matMulNBits: false,
  },
};

/** The row of a target. @throws OnnxError for a name that has none. */
export function targetOf(target: TargetName | Target): Target {
  if (typeof target !== "string") return target;
  if (Object.hasOwn(targets, target)) return targets[target];
  throw new OnnxError("quantizeOnnx", { target }, `the target must be one of ${Object.keys(targets).join(", ")}`);
}
