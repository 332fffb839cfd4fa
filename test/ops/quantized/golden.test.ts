/**
 * Quantized operators other than linear layers and convolutions against PyTorch's vectors: integers and parameters
 * equal, every one. Embeddings give floats, which must be equal too.
 */

import { describe, expect, it } from "vitest";
import { loadGolden } from "../../golden/load.ts";
import type { GoldenCase } from "../../golden/load.ts";
import { hardsigmoid, hardtanh, relu, relu6 } from "../../../src/ops/activation-linear.ts";
import { sigmoid } from "../../../src/ops/activation-smooth.ts";
import { adaptiveAvgPool2d, adaptiveAvgPool3d, avgPool1d, avgPool2d, avgPool3d } from "../../../src/ops/avg-pool.ts";
import { clamp } from "../../../src/ops/clamp.ts";
import { interpolate } from "../../../src/ops/interpolate.ts";
import { maxPool1d, maxPool2d } from "../../../src/ops/max-pool.ts";
import * as act from "../../../src/ops/quantized/activations.ts";
import * as arithmetic from "../../../src/ops/quantized/arithmetic.ts";
import { quantizedEmbedding, quantizedEmbeddingBag } from "../../../src/ops/quantized/embedding.ts";
import { quantizedCat, quantizedMatmul, quantizedSoftmax } from "../../../src/ops/quantized/joins.ts";
import * as norms from "../../../src/ops/quantized/norms.ts";
import { quantizedPrelu } from "../../../src/ops/quantized/prelu.ts";
import { mean } from "../../../src/ops/reduce.ts";
import { tanh } from "../../../src/ops/unary.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

type Inputs = Readonly<Record<string, Tensor>>;
// Attributes are whatever the file says; each operator checks its own.
type Attributes = Readonly<Record<string, never>>;
type Run = (inputs: Inputs, attrs: Attributes) => Tensor;

const unary =
  (f: (x: Tensor, options: never) => Tensor): Run =>
  ({ x }, attrs) =>
    f(x!, attrs as never);
const binary =
  (f: (x: Tensor, other: Tensor, options: never) => Tensor, relu = false): Run =>
  ({ x, other }, attrs) =>
    f(x!, other!, { ...attrs, relu } as never);
const withScalar =
  (f: (x: Tensor, scalar: number, options: never) => Tensor, relu = false): Run =>
  ({ x }, attrs) =>
    f(x!, attrs["scalar"]!, { relu } as never);
const batchNorm =
  (relu: boolean): Run =>
  (inputs, attrs) =>
    norms.quantizedBatchNorm(inputs["x"]!, inputs as never, { ...(attrs as object), relu } as never);
const norm =
  (f: (x: Tensor, attrs: never) => Tensor): Run =>
  ({ x, weight, bias }, attrs) =>
    f(x!, { ...(attrs as object), weight, bias } as never);

const runs: Readonly<Record<string, Run>> = {
  add: binary(arithmetic.quantizedAdd),
  addRelu: binary(arithmetic.quantizedAdd, true),
  mul: binary(arithmetic.quantizedMul),
  mulRelu: binary(arithmetic.quantizedMul, true),
  addScalar: withScalar(arithmetic.quantizedAddScalar),
  addScalarRelu: withScalar(arithmetic.quantizedAddScalar, true),
  mulScalar: withScalar(arithmetic.quantizedMulScalar),
  mulScalarRelu: withScalar(arithmetic.quantizedMulScalar, true),
  cat: ({ tensors }, attrs) => quantizedCat(tensors as unknown as Tensor[], attrs as never),
  catRelu: ({ tensors }, attrs) =>
    quantizedCat(tensors as unknown as Tensor[], { ...(attrs as object), relu: true } as never),
  matmul: binary(quantizedMatmul),
  maxPool1d: ({ x }, attrs) => maxPool1d(x!, attrs["kernelSize"]!, attrs),
  maxPool2d: ({ x }, attrs) => maxPool2d(x!, attrs["kernelSize"]!, attrs),
  avgPool1d: ({ x }, attrs) => avgPool1d(x!, attrs["kernelSize"]!, attrs),
  avgPool2d: ({ x }, attrs) => avgPool2d(x!, attrs["kernelSize"]!, attrs),
  avgPool3d: ({ x }, attrs) => avgPool3d(x!, attrs["kernelSize"]!, attrs),
  adaptiveAvgPool2d: ({ x }, attrs) => adaptiveAvgPool2d(x!, attrs["outputSize"]!),
  adaptiveAvgPool3d: ({ x }, attrs) => adaptiveAvgPool3d(x!, attrs["outputSize"]!),
  mean: ({ x }, attrs) => mean(x!, attrs["dim"], attrs),
  interpolate: unary(interpolate),
  batchNorm2d: batchNorm(false),
  batchNorm2dRelu: batchNorm(true),
  batchNorm3d: batchNorm(false),
  batchNorm3dRelu: batchNorm(true),
  layerNorm: norm((x, attrs) => norms.quantizedLayerNorm(x, attrs["normalizedShape"], attrs)),
  groupNorm: norm((x, attrs) => norms.quantizedGroupNorm(x, attrs["numGroups"], attrs)),
  instanceNorm: norm(norms.quantizedInstanceNorm),
  relu: ({ x }) => relu(x!),
  relu6: ({ x }) => relu6(x!),
  clamp: ({ x }, attrs) => clamp(x!, attrs["min"], attrs["max"]),
  hardtanh: unary(hardtanh),
  leakyRelu: unary(act.quantizedLeakyRelu),
  elu: unary(act.quantizedElu),
  celu: unary(act.quantizedCelu),
  hardswish: unary(act.quantizedHardswish),
  hardsigmoid: ({ x }) => hardsigmoid(x!),
  sigmoid: ({ x }) => sigmoid(x!),
  "sigmoid with qparams": unary(act.quantizedSigmoid),
  tanh: ({ x }) => tanh(x!),
  softmax: unary(quantizedSoftmax),
  prelu: ({ x, weight }, attrs) => quantizedPrelu(x!, weight!, attrs as never),
  embedding: ({ weight, indices }) => quantizedEmbedding(weight!, indices!),
  embeddingBag: ({ weight, indices, ...rest }, attrs) =>
    quantizedEmbeddingBag(weight!, indices!, { ...rest, ...(attrs as object) }),
};

describe("quantized-ops", () => {
  const { cases } = loadGolden("quantized-ops");
  it.each(cases.map((one): [string, GoldenCase] => [one.name, one]))("%s", (_, { op, inputs, attrs, expected }) => {
    const actual = runs[op.replace("quantized.", "")]!(inputs as unknown as Inputs, attrs as unknown as Attributes);
    const output = expected["output"] as Tensor;
    expect(actual.dtype).toBe(output.dtype);
    expect(actual.shape).toEqual(output.shape);
    expect(actual.qparams).toEqual(output.qparams);
    expect([...actual.data]).toEqual([...output.data]);
  });
});
