import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import { capture } from "../../src/graph/capture.ts";
import { Module } from "../../src/nn/module.ts";
import "../../src/ops/methods.ts";
import { cumsum } from "../../src/ops/index.ts";
import { quantizedRelu, quantizedSigmoid } from "../../src/ops/quantized/activations.ts";
import { quantizedAdd, quantizedMul } from "../../src/ops/quantized/arithmetic.ts";
import { quantizedConv2d } from "../../src/ops/quantized/conv.ts";
import { quantizedLinear } from "../../src/ops/quantized/linear.ts";
import { dequantize, quantizePerChannel, quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { rand, randn, zeros } from "../../src/tensor/create.ts";
import type { QuantizedDType } from "../../src/tensor/dtype.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(11);

class Net extends Module {
  private readonly dtype: QuantizedDType;
  weight1: Tensor;
  bias1 = randn([16]);
  weight2: Tensor;
  weight3: Tensor;

  constructor(dtype: QuantizedDType) {
    super();
    this.dtype = dtype;
    const scales = rand([16], { dtype: "float64" }).mul(0.01).add(0.005);
    this.weight1 = quantizePerChannel(randn([16, 3, 3, 3]), scales, zeros([16], { dtype: "int64" }), 0, "qint8");
    this.weight2 = quantizePerTensor(randn([16, 4, 3, 3]), 0.02, 3, "qint8");
    this.weight3 = quantizePerTensor(randn([10, 16 * 9]), 0.03, 0, "qint8");
  }

  forward(x: Tensor): Tensor {
    const zeroPoint = this.dtype === "qint8" ? -5 : 120;
    const q = quantizePerTensor(x, 0.03, zeroPoint, this.dtype);
    const a = quantizedConv2d(q, this.weight1, this.bias1, {
      padding: 1,
      relu: true,
      scale: 0.05,
      zeroPoint: zeroPoint + 3,
    });
    const b = quantizedConv2d(a, this.weight2, null, { stride: 2, padding: 1, groups: 4, scale: 0.07, zeroPoint });
    const c = quantizedAdd(quantizedSigmoid(b), quantizedRelu(quantizedMul(b, b, { scale: 0.1, zeroPoint })), {
      scale: 0.04,
      zeroPoint,
      relu: true,
    });
    return dequantize(quantizedLinear(c.flatten(1), this.weight3, null, { scale: 0.2, zeroPoint }));
  }
}

describe.each(["quint8", "qint8"] as const)("%s", (dtype) => {
  const relaxed = hasRelaxedSimd() ? ([{ build: "relaxed", dot: "unusable" }] as const) : [];
  test.each([{}, { build: "simd" }, ...relaxed, { threads: 2 }] as const)(
    "compiled equals interpreted, engine %j",
    (options) => {
      const graphModule = capture(new Net(dtype), [randn([2, 3, 5, 6])]);
      const engine = new Engine(options);
      const executable = compile(graphModule, { engine, fallback: "reference" });
      for (const batch of [1, 2, 200]) {
        const x = randn([batch, 3, 5, 6]);
        const expected = graphModule.run(x);
        const given = executable.runOne(x);
        expect([given.dtype, given.shape, given.qparams]).toEqual([expected.dtype, expected.shape, expected.qparams]);
        expect(given.data).toEqual(expected.data);
      }
      const kernels = executable.explain([randn([2, 3, 5, 6])]).steps.filter((step) => step.precision === "int8");
      expect(kernels).toHaveLength(9);
      executable.dispose();
      engine.dispose();
    },
  );
});

test("without a kernel the operator and the way out are named", () => {
  class Sorts extends Module {
    forward(x: Tensor): Tensor {
      return cumsum(x, 0);
    }
  }
  const graphModule = capture(new Sorts(), [randn([2, 2])]);
  expect(() => compile(graphModule).run(randn([2, 2]))).toThrow(/operator = cumsum.*fallback: "reference"/s);
});

test("threads give the same bits for work that is shared", () => {
  class Wide extends Module {
    weight = quantizePerTensor(randn([64, 64, 3, 3]), 0.02, 0, "qint8");
    depthwise = quantizePerTensor(randn([64, 1, 3, 3]), 0.02, 0, "qint8");

    forward(x: Tensor): Tensor {
      const q = quantizedConv2d(quantizePerTensor(x, 0.02, 120, "quint8"), this.weight, null, {
        padding: 1,
        scale: 0.5,
        zeroPoint: 100,
      });
      return quantizedConv2d(q, this.depthwise, null, { padding: 1, groups: 64, scale: 0.7, zeroPoint: 90 });
    }
  }
  const x = randn([2, 64, 41, 40]);
  const graph = capture(new Wide(), [x]);
  const results = [1, 2, 3].map((threads) => {
    const engine = new Engine({ threads });
    const executable = compile(graph, { engine });
    const result = executable.runOne(x).data;
    executable.dispose();
    engine.dispose();
    return result;
  });
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});
