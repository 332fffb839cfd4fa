/**
 * A real pretrained ResNet-20 quantized from its graph (PT2E): capture, prepare with a Quantizer, calibrate, convert,
 * compile. PyTorch's two standard quantizers first; then, one step at a time, what makes this library's own
 * recommendation: ranges of least squared error and corrected biases.
 *
 *   node --conditions=fewbit-source examples/resnet20-pt2e.ts [data folder]
 */

import path from "node:path";
import { noGrad } from "fewbit";
import { compile } from "fewbit/compile";
import { takeRows } from "fewbit/data";
import { capture } from "fewbit/graph";
import type { GraphModule } from "fewbit/graph";
import { MinMaxObserver } from "fewbit/quantization";
import {
  QuantizationSpec,
  X86Quantizer,
  XnnpackQuantizer,
  convertPt2e,
  correctBias,
  getDefaultX86QuantizationConfig,
  getRecommendedQuantizationConfig,
  getSymmetricQuantizationConfig,
  preparePt2e,
} from "fewbit/quantization/pt2e";
import type { Quantizer } from "fewbit/quantization/pt2e";
import { dataFolder, readImages, readTensors } from "./lib/cifar.ts";
import { evaluate, sqnr } from "./lib/evaluate.ts";
import { Progress } from "./lib/progress.ts";
import { printTable } from "./lib/table.ts";
import { ResNet20 } from "./models/resnet20-plain.ts";

const CALIBRATION_IMAGES = 1000;
const CORRECTION_IMAGES = 250;
const BATCH = 50;

const folder = dataFolder();
const train = readImages(folder, "train");
const test = readImages(folder, "test");
const rows = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

const model = new ResNet20();
model.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
model.eval();
const float = capture(model, [takeRows(train.images, rows(2))]);

/** Observers where the quantizer wants them, calibration, then quantize and dequantize nodes in their place. */
function quantize(name: string, quantizer: Quantizer): GraphModule {
  const prepared = preparePt2e(float, quantizer);
  const progress = new Progress(`calibrating ${name}`, CALIBRATION_IMAGES);
  for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) {
    noGrad(() => prepared.forward(takeRows(train.images, rows(BATCH, at))));
    progress.update(at + BATCH);
  }
  return convertPt2e(prepared);
}

const corrected = (converted: GraphModule): GraphModule =>
  correctBias(converted, float, [takeRows(train.images, rows(CORRECTION_IMAGES))]);

const x86 = getDefaultX86QuantizationConfig();
const best = getRecommendedQuantizationConfig();
const observedRange = new QuantizationSpec({
  dtype: "uint8",
  quantMin: 0,
  quantMax: 255,
  qscheme: "per_tensor_affine",
  observerOrFakeQuantCtr: MinMaxObserver,
});
const defaultX86 = quantize("x86", new X86Quantizer().setGlobal(x86));
const leastSquares = quantize("least squares", new X86Quantizer().setGlobal(best));

const variants: readonly (readonly [name: string, graph: GraphModule])[] = [
  [
    "XNNPACK, weights per tensor (PyTorch's)",
    quantize("XNNPACK per tensor", new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig())),
  ],
  [
    "XNNPACK, weights per channel (PyTorch's)",
    quantize(
      "XNNPACK per channel",
      new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig({ isPerChannel: true })),
    ),
  ],
  ["x86 (PyTorch's)", defaultX86],
  [
    "x86, whole observed range",
    quantize(
      "whole range",
      new X86Quantizer().setGlobal({ ...x86, inputActivation: observedRange, outputActivation: observedRange }),
    ),
  ],
  [
    "x86, weights of least squared error",
    quantize("weights", new X86Quantizer().setGlobal({ ...x86, weight: best.weight })),
  ],
  ["x86, all ranges of least squared error", leastSquares],
  ["x86, corrected biases", corrected(defaultX86)],
  ["recommended: least squares, corrected biases", corrected(leastSquares)],
];

const executables = [float, ...variants.map(([, graph]) => graph)].map((graph) =>
  compile(graph, { fallback: "reference" }),
);
const results = executables.map((executable, i) =>
  evaluate(variants[i - 1]?.[0] ?? "float", (x) => executable.runOne(x), test.images, test.labels, BATCH),
);
printTable(
  ["ResNet-20, 2000 images", "top-1", "SQNR dB", "images/s"],
  results.map(({ accuracy, logits, imagesPerSecond }, i) => [
    variants[i - 1]?.[0] ?? "float",
    `${(100 * accuracy).toFixed(2)} %`,
    i === 0 ? "" : sqnr(results[0]!.logits, logits).toFixed(2),
    imagesPerSecond.toFixed(0),
  ]),
);
executables.forEach((executable) => executable.dispose());
