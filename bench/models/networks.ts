/**
 * The whole network of the bench: the pretrained ResNet-20 where its file is, else the demo's digits network with
 * random weights (speed does not depend on them). The integer one is fewbit's own quantization, exported, so that all
 * candidates run the same integers.
 */

import { readFileSync } from "node:fs";
import path from "node:path";
import { ResNet20 } from "../../examples/models/resnet20-plain.ts";
import { ResNet20 as EagerResNet20, fusionsOf } from "../../examples/models/resnet20.ts";
import { DigitsNet, digitsFusions } from "../../examples/models/digits-net.ts";
import { compile } from "../../src/compile/index.ts";
import { readSafetensors } from "../../src/data/safetensors.ts";
import { capture } from "../../src/graph/capture.ts";
import type { GraphModule } from "../../src/graph/graph-module.ts";
import type { Module } from "../../src/nn/module.ts";
import { exportOnnx } from "../../src/onnx/export.ts";
import { HistogramObserver } from "../../src/quantization/observers/index.ts";
import {
  QuantizationSpec, XnnpackQuantizer, convertPt2e, getSymmetricQuantizationConfig, preparePt2e,
} from "../../src/quantization/pt2e/index.ts"; // prettier-ignore
import { manualSeed } from "../../src/tensor/context.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { DATA_FOLDER, hasResNet20, networkImages } from "./inputs.ts";

const CALIBRATION_BATCHES = 10;
const BATCH = 50;

export const networkName = hasResNet20 ? "ResNet-20" : "digits network";

/** Parameters and statistics by PyTorch's names. */
export function pretrained(): ReadonlyMap<string, Tensor> {
  return readSafetensors(readFileSync(path.join(DATA_FOLDER, "models/resnet20.safetensors"))).tensors;
}

/** The float network. */
export function floatNetwork(): Module<[Tensor], Tensor> {
  manualSeed(1);
  if (!hasResNet20) return new DigitsNet();
  const model = new ResNet20();
  model.loadStateDict(pretrained());
  return model;
}

/** The same with stubs, for eager quantization; and what is fused in it. */
export function eagerNetwork(): Module<[Tensor], Tensor> {
  manualSeed(1);
  if (!hasResNet20) return new DigitsNet();
  const model = new EagerResNet20();
  model.loadStateDict(pretrained());
  return model;
}

export const eagerFusions: string[][] = hasResNet20 ? fusionsOf() : digitsFusions;

export function imageTensor(count: number, part: "train" | "test" = "test", from = 0): Tensor {
  const { values, shape } = networkImages(count, part, from);
  return new Tensor("float32", shape, values);
}

/** The float network's graph, in evaluation mode. */
export function floatGraph(): GraphModule {
  return capture(floatNetwork().eval(), [imageTensor(2)]);
}

/** Activations of all 256 values of a byte, which is the form onnxruntime's integer kernels are fastest in. */
const activation = new QuantizationSpec({
  dtype: "uint8",
  quantMin: 0,
  quantMax: 255,
  qscheme: "per_tensor_affine",
  observerOrFakeQuantCtr: HistogramObserver,
});

/** With a histogram observer at every activation, and a scale for every output channel of the weights. */
export function preparedGraph(): GraphModule {
  const config = getSymmetricQuantizationConfig({ isPerChannel: true });
  const quantizer = new XnnpackQuantizer().setGlobal({
    ...config,
    inputActivation: activation,
    outputActivation: activation,
  });
  return preparePt2e(floatGraph(), quantizer);
}

/** Quantize and dequantize nodes around every operator, calibrated. */
export function quantizedGraph(): GraphModule {
  const prepared = preparedGraph();
  const calibration = compile(prepared);
  for (let i = 0; i < CALIBRATION_BATCHES; i++) calibration.run(imageTensor(BATCH, "train", i * BATCH));
  calibration.dispose();
  return convertPt2e(prepared);
}

/** The network as an ONNX file with an open batch size. Biases are integers in it, as onnxruntime makes them anyway. */
export function networkModel(precision: "f32" | "int8"): Uint8Array {
  return precision === "f32" ? exportOnnx(floatGraph()) : exportOnnx(quantizedGraph(), { integerBias: true });
}
