/**
 * A real pretrained ResNet-20 quantized from its graph (PT2E): capture, prepare with a Quantizer, calibrate, convert,
 * compile.
 *
 * First several ways to choose ranges and weights are compared on 1000 images kept out of calibration; the one whose
 * logits are nearest to float's is this library's recommendation. Then PyTorch's standard quantizers and the chosen
 * one are evaluated, once, on the 2000 test images.
 *
 *   node --conditions=fewbit-source examples/resnet20-pt2e.ts [data folder]
 */

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
import { sqnr } from "./lib/evaluate.ts";
import {
  assertCompiledEqualsInterpreted,
  calibrate,
  evaluateCompiled,
  part,
  pretrained,
  resultRow,
  rows,
  test,
  train,
} from "./lib/resnet20.ts";
import { printTable } from "./lib/table.ts";

const HELD_OUT_FROM = 1000;
const HELD_OUT_IMAGES = 1000;
const CORRECTION_IMAGES = 250;

const float = capture(pretrained(), [rows(train.images, 0, 2)]);
const heldOut = part(train, HELD_OUT_FROM, HELD_OUT_IMAGES);

/** Observers where the quantizer wants them, calibration, then quantize and dequantize nodes in their place. */
function quantize(name: string, quantizer: Quantizer): GraphModule {
  const prepared = preparePt2e(float, quantizer);
  calibrate(name, prepared);
  return convertPt2e(prepared);
}

const corrected = (converted: GraphModule): GraphModule =>
  correctBias(converted, float, [rows(train.images, 0, CORRECTION_IMAGES)]);

const x86 = getDefaultX86QuantizationConfig();
const best = getRecommendedQuantizationConfig();
const wholeRange = new QuantizationSpec({
  dtype: "uint8",
  quantMin: 0,
  quantMax: 255,
  qscheme: "per_tensor_affine",
  observerOrFakeQuantCtr: MinMaxObserver,
});
const histogram = x86.inputActivation;
/** Activation ranges and weights, from PyTorch's own to the recommended. */
const choices = [
  ["histogram (PyTorch's search)", histogram, "whole range", x86.weight],
  ["whole observed range", wholeRange, "whole range", x86.weight],
  ["least squares", best.inputActivation, "whole range", x86.weight],
  ["least squares", best.inputActivation, "least squares", best.weight],
] as const;

const floatHeldOut = evaluateCompiled("float", float, heldOut);
const tried: { name: string; graph: GraphModule; row: string[]; quality: number }[] = [];
for (const [rangeName, activation, weightName, weight] of choices) {
  const config = { ...x86, inputActivation: activation, outputActivation: activation, weight };
  const plain = quantize(`${rangeName}, ${weightName}`, new X86Quantizer().setGlobal(config));
  for (const [biasName, graph] of [
    ["as they are", plain],
    ["corrected", corrected(plain)],
  ] as const) {
    const name = [rangeName, weightName, biasName].join(" | ");
    const result = evaluateCompiled(name, graph, heldOut);
    const row = [rangeName, weightName, biasName, ...resultRow(name, result, floatHeldOut).slice(1, 3)];
    tried.push({ name, graph, row, quality: sqnr(floatHeldOut.logits, result.logits) });
  }
}
const chosen = tried.reduce((a, b) => (b.quality > a.quality ? b : a));
printTable(
  ["1000 held-out images: activations", "weights", "biases", "top-1", "SQNR dB"],
  tried.map(({ row }) => row),
);
console.log(`\nchosen by SQNR: ${chosen.name}\n`);

const perChannel = getSymmetricQuantizationConfig({ isPerChannel: true });
const final: readonly (readonly [name: string, graph: GraphModule])[] = [
  ["XNNPACK, PyTorch's", quantize("XNNPACK", new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig()))],
  ["XNNPACK, weights per channel", quantize("per channel", new XnnpackQuantizer().setGlobal(perChannel))],
  ["x86, PyTorch's", tried[0]!.graph],
  ["recommended: chosen above", chosen.graph],
];
const floatResult = evaluateCompiled("float", float, test);
const table = [resultRow("float", floatResult, floatResult)];
for (const [name, graph] of final) {
  const count = assertCompiledEqualsInterpreted(name, graph);
  console.log(`${name}: all ${count} logits compared are the interpreter's, bit for bit`);
  table.push(resultRow(name, evaluateCompiled(name, graph, test), floatResult));
}
printTable(["ResNet-20, PT2E, 2000 test images", "top-1", "SQNR dB", "images/s"], table);
