import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { capture } from "../../src/graph/capture.ts";
import { Module } from "../../src/nn/module.ts";
import { quantizedConvTranspose1d, quantizedConvTranspose2d } from "../../src/ops/quantized/conv-transpose.ts";
import { dequantize, quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(5);

class Images extends Module {
  weight1 = quantizePerTensor(randn([6, 4, 3, 3]), 0.02, 0, "qint8");
  bias1 = randn([8]);
  weight2 = quantizePerTensor(randn([8, 5, 2, 3]), 0.03, 4, "qint8");

  forward(x: Tensor): Tensor {
    const q = quantizePerTensor(x, 0.03, 110, "quint8");
    const a = quantizedConvTranspose2d(q, this.weight1, this.bias1, {
      stride: 2, padding: 1, outputPadding: 1, groups: 2, scale: 0.06, zeroPoint: 100,
    }); // prettier-ignore
    return dequantize(
      quantizedConvTranspose2d(a, this.weight2, null, { stride: [1, 3], dilation: [2, 1], scale: 0.2, zeroPoint: 120 }),
    );
  }
}

class Signals extends Module {
  weight = quantizePerTensor(randn([3, 7, 4]), 0.02, 0, "qint8");

  forward(x: Tensor): Tensor {
    const q = quantizePerTensor(x, 0.03, -7, "qint8");
    return dequantize(
      quantizedConvTranspose1d(q, this.weight, null, { stride: 3, padding: 1, scale: 0.08, zeroPoint: 3 }),
    );
  }
}

test.each([{}, { build: "simd" }, { threads: 2 }] as const)("compiled equals interpreted, engine %j", (options) => {
  const engine = new Engine(options);
  for (const [model, shape] of [
    [new Images(), [6, 5, 4]],
    [new Signals(), [3, 11]],
  ] as const) {
    const graph = capture(model, [randn([2, ...shape])]);
    const executable = compile(graph, { engine });
    for (const batch of [1, 2, 9]) {
      const x = randn([batch, ...shape]);
      expect(executable.runOne(x).data).toEqual(graph.run(x).data);
    }
    executable.dispose();
  }
  engine.dispose();
});
