/** A model quantized in eager mode taken elsewhere as ONNX: docs/onnx.md shows this file and what it prints. */

import { manualSeed, randn } from "fewbit";
import type { Tensor } from "fewbit";
import { compile } from "fewbit/compile";
import { capture } from "fewbit/graph";
import { Conv2d, Linear, Module, ReLU } from "fewbit/nn";
import { exportOnnx, importOnnx } from "fewbit/onnx";
import { DeQuantStub, QuantStub, convert, fuseModules, getDefaultQConfig, prepare } from "fewbit/quantization";
import { computeSqnr } from "fewbit/quantization/suite";

class Net extends Module<[Tensor], Tensor> {
  quant = new QuantStub();
  conv = new Conv2d(3, 8, 3, { padding: 1 });
  relu = new ReLU();
  fc = new Linear(8 * 16 * 16, 4);
  dequant = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const y = this.relu.forward(this.conv.forward(this.quant.forward(x)));
    return this.dequant.forward(this.fc.forward(y.flatten(1)));
  }
}

manualSeed(1);
const images = randn([32, 3, 16, 16]);

// 1. Quantize, in whatever way: eager, FX and PyTorch 2 Export all give graphs that export.
const model = fuseModules(new Net().eval(), [["conv", "relu"]]);
model.qconfig = getDefaultQConfig("x86");
const prepared = prepare(model);
prepared.forward(images);
const quantized = capture(convert(prepared), [images]);

// 2. As pairs of QuantizeLinear and DequantizeLinear: what the file computes here is what the model computes.
const file = exportOnnx(quantized, { outputNames: ["scores"], metadata: { author: "you" } });
const executable = compile(importOnnx(file));
const y = executable.runOne(images);
console.log(`the same numbers: ${y.data.every((v, i) => v === quantized.run(images).data[i])}`);
executable.dispose();

// 3. With biases as integers, which onnxruntime makes of them anyway: the same numbers here and there.
for (const options of [{ integerBias: true }, { format: "qoperator" }] as const) {
  const { graph } = importOnnx(exportOnnx(quantized, options));
  const operators = graph.nodes.filter(({ kind }) => kind === "operator").length;
  const there = compile(importOnnx(exportOnnx(quantized, options)));
  console.log(`${operators} operators, SQNR above 35 dB: ${computeSqnr(y, there.runOne(images)) > 35}`);
  there.dispose();
}
