import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { capture } from "../../src/graph/capture.ts";
import { Module } from "../../src/nn/module.ts";
import { quantizedSoftmax } from "../../src/ops/quantized/joins.ts";
import { quantizedLayerNorm } from "../../src/ops/quantized/norms.ts";
import { dequantize, quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import type { QuantizedDType } from "../../src/tensor/dtype.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(6);

class Rows extends Module {
  private readonly dtype: QuantizedDType;
  weight = randn([3, 50]);
  bias = randn([3, 50]);

  constructor(dtype: QuantizedDType) {
    super();
    this.dtype = dtype;
  }

  forward(x: Tensor): Tensor {
    const zeroPoint = this.dtype === "qint8" ? -5 : 120;
    const q = quantizePerTensor(x, 0.03, zeroPoint, this.dtype);
    const a = quantizedLayerNorm(q, [3, 50], { weight: this.weight, bias: this.bias, scale: 0.05, zeroPoint });
    const b = quantizedLayerNorm(a, [50], { scale: 0.04, zeroPoint: zeroPoint + 1 });
    return dequantize(quantizedSoftmax(b, { dim: -1, scale: 1 / 256, zeroPoint: this.dtype === "qint8" ? -128 : 0 }));
  }
}

test.each(["quint8", "qint8"] as const)("compiled equals interpreted, %s", (dtype) => {
  for (const build of ["simd", undefined] as const) {
    const engine = new Engine({ build });
    const graph = capture(new Rows(dtype), [randn([2, 3, 50])]);
    const executable = compile(graph, { engine });
    for (const batch of [1, 4]) {
      const x = randn([batch, 3, 50]);
      expect(executable.runOne(x).data).toEqual(graph.run(x).data);
    }
    executable.dispose();
    engine.dispose();
  }
});
