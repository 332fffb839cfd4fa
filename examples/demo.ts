/**
 * The main job in a minute: trains a small ResNet on real handwritten digits, quantizes it in four ways and
 * compares accuracy, noise, size and speed.
 *
 *   npm run demo                        # also writes output/digits.onnx, to try the command line with
 *   npm run demo -- data/digits.onnx    # writes it there
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Tensor, backward, crossEntropy, manualSeed } from "fewbit";
import { compile } from "fewbit/compile";
import { DataLoader, TensorDataset, readSafetensors, takeRows, writeSafetensors } from "fewbit/data";
import { capture } from "fewbit/graph";
import type { Module } from "fewbit/nn";
import { exportOnnx } from "fewbit/onnx";
import { defaultEngine } from "fewbit/engine";
import { Adam, CosineAnnealingLR } from "fewbit/optim";
import {
  convert,
  fuseModules,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
  quantizeDynamic,
} from "fewbit/quantization";
import { evaluate, sqnr } from "./lib/evaluate.ts";
import type { Evaluation } from "./lib/evaluate.ts";
import { Progress } from "./lib/progress.ts";
import { printTable } from "./lib/table.ts";
import { DigitsNet, digitsFusions } from "./models/digits-net.ts";

const TRAIN_IMAGES = 1400;
const EPOCHS = 30;
const QAT_EPOCHS = 6;
const BATCH = 50;
const CALIBRATION_IMAGES = 500;

function readDigits(): { images: Tensor; labels: Tensor } {
  const { tensors } = readSafetensors(readFileSync(path.join(import.meta.dirname, "../data/digits.safetensors")));
  const pixels = tensors.get("images")!;
  const images = new Tensor(
    "float32",
    [pixels.shape[0]!, 1, 8, 8],
    Float32Array.from(pixels.data, (v) => v / 8 - 1),
  );
  return { images, labels: tensors.get("labels")! };
}

function rows(x: Tensor, from: number, to: number): Tensor {
  return takeRows(
    x,
    Array.from({ length: to - from }, (_, i) => from + i),
  );
}

function train(label: string, model: Module, data: TensorDataset, epochs: number, lr: number): void {
  const loader = new DataLoader(data, { batchSize: BATCH, shuffle: true });
  const optimizer = new Adam(model.parameters(), { lr });
  const schedule = new CosineAnnealingLR(optimizer, epochs * loader.length);
  const progress = new Progress(label, epochs * loader.length);
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const [images, labels] of loader) {
      optimizer.zeroGrad();
      const loss = crossEntropy(model.forward(images!), labels!);
      backward(loss);
      optimizer.step();
      schedule.step();
      progress.update(++step, `loss ${loss.item().toFixed(4)}`);
    }
  }
}

/** The float network as an ONNX file that takes any number of images. */
function writeOnnx(model: Module, file: string): void {
  const graph = capture(model, [rows(testImages, 0, BATCH)]);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, exportOnnx(graph, { outputNames: ["logits"] }));
  console.log(
    `\nThe float network as ONNX: ${file}. Try\n` +
      `  npx fewbit quantize ${file} --data data/digits.safetensors --scale 1/16 --mean 0.5 --std 0.5`,
  );
}

/** Bytes of the model as a safetensors file. */
function modelBytes(model: Module): number {
  return writeSafetensors(model.stateDict()).length;
}

manualSeed(0);
const digits = readDigits();
const trainData = new TensorDataset(rows(digits.images, 0, TRAIN_IMAGES), rows(digits.labels, 0, TRAIN_IMAGES));
const testImages = rows(digits.images, TRAIN_IMAGES, digits.images.shape[0]!);
const testLabels = rows(digits.labels, TRAIN_IMAGES, digits.labels.shape[0]!);

const float = new DigitsNet();
train("training", float, trainData, EPOCHS, 4e-3);
float.eval();

const fused = fuseModules(float, digitsFusions);

fused.qconfig = getDefaultQConfig("x86");
const prepared = prepare(fused);
for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) prepared.forward(rows(digits.images, at, at + BATCH));
const postTraining = convert(prepared);

const dynamic = quantizeDynamic(float);

const qatModel = fuseModulesQat(float.clone().train(), digitsFusions);
qatModel.qconfig = getDefaultQatQConfig("x86");
const qat = prepareQat(qatModel.train());
train("QAT", qat, trainData, QAT_EPOCHS, 5e-4);
const trained = convert(qat.eval());

/** Evaluates the compiled model, the way it would be deployed. */
function measure(name: string, model: Module): { name: string; bytes: number; result: Evaluation } {
  const executable = compile(model, { exampleInputs: [rows(testImages, 0, BATCH)], fallback: "reference" });
  executable.run(rows(testImages, 0, BATCH));
  const result = evaluate(`evaluating ${name}`, (batch) => executable.runOne(batch), testImages, testLabels, BATCH);
  executable.dispose();
  return { name, bytes: modelBytes(model), result };
}

const reference = measure("float", float);
const measured = [
  reference,
  measure("post-training static int8", postTraining),
  measure("dynamic int8 (linear only)", dynamic),
  measure("quantization-aware training", trained),
];

console.log(`\nDigits, ${testImages.shape[0]} test images:\n`);
printTable(
  ["model", "accuracy", "SQNR dB", "bytes", "images/s"],
  measured.map(({ name, bytes, result }) => [
    name,
    `${(100 * result.accuracy).toFixed(2)} %`,
    result === reference.result ? "" : sqnr(reference.result.logits, result.logits).toFixed(1),
    String(bytes),
    result.imagesPerSecond.toFixed(0),
  ]),
);
const { build, dot } = defaultEngine();
console.log(
  `\nEngine here: ${build} build, dot product ${dot}. Only where it is exact do 8 bits run faster than float.`,
);
console.log("SQNR compares logits with the float model's; QAT changed the weights, so its logits differ on purpose.");
writeOnnx(fused, process.argv[2] ?? "output/digits.onnx");
