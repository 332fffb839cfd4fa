/** Every operator on quantized tensors as a file: read back, its integers are within a step of the operator's own. */

import { expect, test } from "vitest";
import { capture, interpret } from "../../../src/graph/index.ts";
import { Module } from "../../../src/nn/module.ts";
import { exportOnnx, importOnnx } from "../../../src/onnx/index.ts";
import { floatForms } from "../../../src/onnx/export/float-forms.ts";
import {
  avgPool1d,
  avgPool2d,
  avgPool3d,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  maxPool2d,
  mean,
  interpolate,
  permute,
  split,
  add as floatAdd,
} from "../../../src/ops/index.ts";
import * as q from "../../../src/ops/quantized/activations.ts";
import {
  quantizedAdd,
  quantizedAddScalar,
  quantizedMul,
  quantizedMulScalar,
} from "../../../src/ops/quantized/arithmetic.ts";
import {
  quantizedConv1d,
  quantizedConv2d,
  quantizedConv3d,
  quantizedConvAdd2d,
} from "../../../src/ops/quantized/conv.ts";
import { quantizedConvTranspose2d } from "../../../src/ops/quantized/conv-transpose.ts";
import { convDynamic, linearDynamic } from "../../../src/ops/quantized/dynamic.ts";
import { quantizedEmbedding } from "../../../src/ops/quantized/embedding.ts";
import { quantizedCat, quantizedMatmul, quantizedSoftmax } from "../../../src/ops/quantized/joins.ts";
import { quantizedLinear } from "../../../src/ops/quantized/linear.ts";
import { quantizedLinearLeakyRelu, quantizedLinearTanh } from "../../../src/ops/quantized/linear-activation.ts";
import { quantizedBatchNorm, quantizedInstanceNorm, quantizedLayerNorm } from "../../../src/ops/quantized/norms.ts";
import { quantizedPrelu } from "../../../src/ops/quantized/prelu.ts";
import { dequantize, quantizePerChannel, quantizePerTensor } from "../../../src/ops/quantize/native.ts";
import { quantizeDequantizeDynamic } from "../../../src/ops/quantize/dynamic-pair.ts";
import { fromArray, ones, rand, randn, zeros } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

const generator = new Generator(11);
const OUT = { scale: 0.05, zeroPoint: 120 };
const STEP = OUT.scale;

const bytes = (x: Tensor): Tensor => quantizePerTensor(x, 0.03, 100, "quint8");
const image = randn([2, 4, 6, 6], { generator });
const volume = randn([1, 2, 4, 4, 4], { generator });
const line = randn([2, 4, 9], { generator });
const rows = randn([3, 8], { generator });

/** A weight with a scale an output channel. */
function weight(shape: readonly number[]): Tensor {
  const scales = rand([shape[0]!], { generator });
  scales.data.forEach((v, i) => (scales.data[i] = 0.005 + v / 100));
  return quantizePerChannel(randn(shape, { generator }), scales, zeros([shape[0]!], { dtype: "int64" }), 0, "qint8");
}

const plainWeight = (shape: readonly number[]): Tensor =>
  quantizePerTensor(randn(shape, { generator }), 0.01, 0, "qint8");
const bias = randn([4], { generator });

interface Case {
  readonly x: Tensor;
  readonly forward: (x: Tensor) => Tensor;
  /** The size of a step of the result, where it is not that of OUT. */
  readonly step?: number;
}

const w2 = weight([4, 4, 3, 3]);
const w1 = weight([4, 4, 3]);
const w3 = weight([4, 2, 3, 3, 3]);
const wl = weight([4, 8]);
const wt = plainWeight([4, 4, 3, 3]);
const slope = quantizePerTensor(fromArray([0.1, 0.2, -0.3, 0.4], [4]), 0.01, 30, "quint8");
const table = quantizePerChannel(
  randn([5, 8], { generator }),
  fromArray([0.02, 0.01, 0.03, 0.02, 0.01], [5]),
  fromArray([100.5, 120.25, 90.75, 128, 110.1], [5]),
  0,
  "quint8",
);
const norm = { runningMean: randn([4], { generator }), runningVar: ones([4]), weight: bias, bias };

const on = (x: Tensor, f: (q: Tensor) => Tensor, step?: number): Case => ({
  x,
  forward: (v) => dequantize(f(bytes(v))),
  ...(step !== undefined && { step }),
});

const cases: Readonly<Record<string, Case>> = {
  "quantizedConv 2d": on(image, (x) => quantizedConv2d(x, w2, bias, { ...OUT, padding: 1, stride: 2, relu: true })),
  "quantizedConv 1d": on(line, (x) => quantizedConv1d(x, w1, bias, { ...OUT, padding: 1 })),
  "quantizedConv 3d": on(volume, (x) => quantizedConv3d(x, w3, null, { ...OUT })),
  quantizedConvAdd: on(image, (x) =>
    quantizedConvAdd2d(x, w2, bias, x, { ...OUT, padding: 1, relu: true, engine: "onednn" }),
  ),
  quantizedConvTranspose: on(image, (x) => quantizedConvTranspose2d(x, wt, bias, { ...OUT, stride: 2 })),
  quantizedLinear: on(rows, (x) => quantizedLinear(x, wl, bias, OUT)),
  "quantizedLinear relu": on(rows, (x) => quantizedLinear(x, wl, bias, { ...OUT, relu: true })),
  "quantizedLinearActivation tanh": on(rows, (x) => quantizedLinearTanh(x, wl, bias, OUT)),
  "quantizedLinearActivation leakyRelu": on(rows, (x) => quantizedLinearLeakyRelu(x, wl, bias, OUT)),
  linearDynamic: { x: rows, forward: (x) => linearDynamic(x, wl, bias, { reduceRange: false }), step: 0.02 },
  convDynamic: {
    x: image,
    forward: (x) => convDynamic(2, x, w2, bias, { padding: 1, reduceRange: false }),
    step: 0.02,
  },
  quantizeDequantizeDynamic: {
    x: rows,
    forward: (x) => floatAdd(quantizeDequantizeDynamic(x, "quint8", false), 0),
    step: 1e-6,
  },
  quantizedAdd: on(image, (x) => quantizedAdd(x, x, { ...OUT, relu: true })),
  quantizedMul: on(image, (x) => quantizedMul(x, x, OUT)),
  quantizedAddScalar: on(image, (x) => quantizedAddScalar(x, 0.5), 0.03),
  quantizedMulScalar: on(image, (x) => quantizedMulScalar(x, -2, { relu: true }), 0.06),
  quantizedMatmul: on(rows, (x) => quantizedMatmul(x, permute(x, [1, 0]), OUT)),
  quantizedCat: on(image, (x) => quantizedCat([x, x], { dim: 1, ...OUT })),
  quantizedSoftmax: on(rows, (x) => quantizedSoftmax(x, { dim: 1, scale: 1 / 256, zeroPoint: 0 }), 1 / 256),
  quantizedRelu: on(image, (x) => q.quantizedRelu(x), 0.03),
  quantizedClamp: on(image, (x) => q.quantizedClamp(x, { min: -0.5, max: 0.7 }), 0.03),
  quantizedLeakyRelu: on(image, (x) => q.quantizedLeakyRelu(x, { negativeSlope: 0.1, ...OUT })),
  quantizedElu: on(image, (x) => q.quantizedElu(x, { ...OUT, alpha: 1.5 })),
  "quantizedElu as celu": on(image, (x) => q.quantizedCelu(x, { ...OUT, alpha: 1.5 })),
  quantizedHardswish: on(image, (x) => q.quantizedHardswish(x, OUT)),
  quantizedHardsigmoid: on(image, (x) => q.quantizedHardsigmoid(x), 1 / 256),
  quantizedSigmoid: on(image, (x) => q.quantizedSigmoid(x), 1 / 256),
  quantizedTanh: on(image, (x) => q.quantizedTanh(x), 2 / 256),
  quantizedThreshold: on(image, (x) => q.quantizedThreshold(x, 0.2, 0.5), 0.03),
  quantizedPrelu: on(image, (x) => quantizedPrelu(x, slope, OUT)),
  quantizedMean: on(image, (x) => mean(x, [2, 3]), 0.03),
  quantizedAvgPool1d: on(line, (x) => avgPool1d(x, 3), 0.03),
  quantizedAvgPool2d: on(image, (x) => avgPool2d(x, 3), 0.03),
  quantizedAvgPool3d: on(volume, (x) => avgPool3d(x, 2), 0.03),
  quantizedAdaptiveAvgPool1d: on(line, (x) => adaptiveAvgPool1d(x, 1), 0.03),
  quantizedAdaptiveAvgPool2d: on(image, (x) => adaptiveAvgPool2d(x, 1), 0.03),
  quantizedAdaptiveAvgPool3d: on(volume, (x) => adaptiveAvgPool3d(x, 1), 0.03),
  quantizedInterpolate: on(image, (x) => interpolate(x, { scaleFactor: 2, mode: "nearest" }), 0.03),
  quantizedBatchNorm: on(image, (x) => quantizedBatchNorm(x, norm, OUT)),
  quantizedLayerNorm: on(image, (x) => quantizedLayerNorm(x, [6], OUT)),
  quantizedGroupNorm: on(image, (x) => quantizedInstanceNorm(x, { ...OUT, weight: bias, bias })),
  quantizedEmbedding: {
    x: fromArray([0, 4, 2, 2], [2, 2], "int64"),
    forward: (x) => quantizedEmbedding(table, x),
    step: 1e-5,
  },
  "maxPool2d, which keeps its name": on(image, (x) => maxPool2d(x, 2), 0.03),
  "split, of several results": on(image, (x) => quantizedAdd(...(split(x, 2, 1) as [Tensor, Tensor]), OUT)),
};

class Calling extends Module<[Tensor], Tensor> {
  private readonly call: (x: Tensor) => Tensor;
  constructor(call: (x: Tensor) => Tensor) {
    super();
    this.call = call;
  }
  override forward(x: Tensor): Tensor {
    return this.call(x);
  }
}

test.each(Object.entries(cases))("%s", (_, { x, forward, step = STEP }) => {
  const module = capture(new Calling(forward), [x]);
  const [expected] = interpret(module.graph, [x]);
  const [read] = interpret(importOnnx(exportOnnx(module)).graph, [x]);
  expect(read!.shape).toEqual(expected!.shape);
  const far = Array.from(expected!.data, (v, i) => Math.abs(v - read!.data[i]!));
  expect(Math.max(...far)).toBeLessThan(step * 1.001);
  expect(far.filter((d) => d > step / 2).length / far.length).toBeLessThan(0.05);
});

test("every form has a case", () => {
  const pairs = ["quantizePerTensor", "quantizePerChannel", "dequantize"];
  const known = new Set([...Object.keys(cases).map((name) => name.split(" ")[0]), ...pairs]);
  expect(Object.keys(floatForms).filter((name) => !known.has(name))).toEqual(["quantizedEmbeddingBag"]);
});
