/**
 * Training compiled: a small ResNet learns real handwritten digits, first in float, then with fake quantization, and is
 * converted to 8 bits. Forward, loss, backward and update run as one plan in the engine's memory.
 *
 *   node examples/train-compiled.ts
 */

import { readFileSync } from "node:fs";
import path from "node:path";
import { Tensor, backward, crossEntropy, manualSeed } from "fewbit";
import { compile, compileTrainingStep } from "fewbit/compile";
import { DataLoader, TensorDataset, readSafetensors, takeRows } from "fewbit/data";
import type { Module } from "fewbit/nn";
import { CosineAnnealingLR, SGD } from "fewbit/optim";
import { convert, fuseModulesQat, getDefaultQatQConfig, prepareQat } from "fewbit/quantization";
import { evaluate } from "./lib/evaluate.ts";
import { Progress } from "./lib/progress.ts";
import { printTable } from "./lib/table.ts";
import { DigitsNet, digitsFusions } from "./models/digits-net.ts";

const TRAIN_IMAGES = 1400;
const BATCH = 50;
const EPOCHS = 20;
const QAT_EPOCHS = 5;
/** Eager steps timed for comparison, behind as many that warm up. */
const TIMED_STEPS = 10;

function readDigits(): { images: Tensor; labels: Tensor } {
  const { tensors } = readSafetensors(readFileSync(path.join(import.meta.dirname, "../data/digits.safetensors")));
  const pixels = tensors.get("images")!;
  const values = Float32Array.from(pixels.data, (v) => v / 8 - 1);
  return { images: new Tensor("float32", [pixels.shape[0]!, 1, 8, 8], values), labels: tensors.get("labels")! };
}

function rows(x: Tensor, from: number, to: number): Tensor {
  return takeRows(
    x,
    Array.from({ length: to - from }, (_, i) => from + i),
  );
}

function optimizerOf(model: Module, lr: number): SGD {
  return new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay: 1e-4, nesterov: true });
}

/** Images a second of plain eager steps, on a copy of the model. */
function eagerRate(model: Module, images: Tensor, labels: Tensor): number {
  const copy = model.clone();
  const optimizer = optimizerOf(copy, 1e-3);
  const steps = (): void => {
    for (let i = 0; i < TIMED_STEPS; i++) {
      optimizer.zeroGrad();
      backward(crossEntropy(copy.forward(images), labels));
      optimizer.step();
    }
  };
  steps();
  const started = performance.now();
  steps();
  return (TIMED_STEPS * images.shape[0]! * 1000) / (performance.now() - started);
}

interface Trained {
  readonly loss: number;
  readonly imagesPerSecond: number;
}

/** Trains in place. The schedule changes the optimizer's rate, which each compiled step reads. */
function train(label: string, model: Module, data: TensorDataset, epochs: number, lr: number): Trained {
  const loader = new DataLoader(data, { batchSize: BATCH, shuffle: true });
  const optimizer = optimizerOf(model, lr);
  const schedule = new CosineAnnealingLR(optimizer, epochs * loader.length);
  const step = compileTrainingStep(model, { loss: crossEntropy, optimizer });
  const progress = new Progress(label, epochs * loader.length);
  let done = 0;
  let loss = NaN;
  let started = NaN;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const [images, labels] of loader) {
      ({ loss } = step.run(images!, labels!));
      schedule.step();
      if (done === 0) started = performance.now();
      progress.update(++done, `loss ${loss.toFixed(4)}`);
    }
  }
  const imagesPerSecond = ((done - 1) * BATCH * 1000) / (performance.now() - started);
  step.dispose();
  return { loss, imagesPerSecond };
}

manualSeed(0);
const { images, labels } = readDigits();
const count = images.shape[0]!;
const trainData = new TensorDataset(rows(images, 0, TRAIN_IMAGES), rows(labels, 0, TRAIN_IMAGES));
const [testImages, testLabels] = [rows(images, TRAIN_IMAGES, count), rows(labels, TRAIN_IMAGES, count)];
const [firstImages, firstLabels] = [rows(images, 0, BATCH), rows(labels, 0, BATCH)];

/** Share of test images that the compiled model gets right. */
function accuracy(model: Module): number {
  const executable = compile(model, { exampleInputs: [firstImages] });
  const result = evaluate("evaluating", (batch) => executable.runOne(batch), testImages, testLabels, BATCH);
  executable.dispose();
  return result.accuracy;
}

const float = new DigitsNet().train();
const floatEager = eagerRate(float, firstImages, firstLabels);
const floatTrained = train("float", float, trainData, EPOCHS, 0.05);
const floatAccuracy = accuracy(float.eval());

const fused = fuseModulesQat(float.clone().train(), digitsFusions);
fused.qconfig = getDefaultQatQConfig("x86");
const qat = prepareQat(fused.train());
const qatEager = eagerRate(qat, firstImages, firstLabels);
const qatTrained = train("QAT", qat, trainData, QAT_EPOCHS, 0.005);
const qatAccuracy = accuracy(convert(qat.eval()));

const percent = (v: number): string => `${(100 * v).toFixed(2)} %`;
const rate = (v: number): string => v.toFixed(0);
console.log(`\nDigits, ${TRAIN_IMAGES} to train with, ${testImages.shape[0]} to test:\n`);
printTable(
  ["training", "last loss", "test accuracy", "images/s eager", "images/s compiled"],
  [
    [
      "float",
      floatTrained.loss.toFixed(4),
      percent(floatAccuracy),
      rate(floatEager),
      rate(floatTrained.imagesPerSecond),
    ],
    [
      "QAT, converted to int8",
      qatTrained.loss.toFixed(4),
      percent(qatAccuracy),
      rate(qatEager),
      rate(qatTrained.imagesPerSecond),
    ],
  ],
);
