/**
 * A real pretrained ResNet-20 quantized in eager mode: fuse, calibrate, convert, evaluate; then fine-tuned with
 * only layer3 and linear fake-quantized.
 *
 *   node --conditions=fewbit-source examples/resnet20-eager.ts [data folder] [fine-tuning steps]
 */

import path from "node:path";
import { backward, crossEntropy, manualSeed } from "fewbit";
import { compile } from "fewbit/compile";
import { DataLoader, TensorDataset, takeRows } from "fewbit/data";
import { SGD } from "fewbit/optim";
import {
  convert,
  fuseModules,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
} from "fewbit/quantization";
import { dataFolder, readImages, readTensors } from "./lib/cifar.ts";
import { evaluate, sqnr } from "./lib/evaluate.ts";
import type { Evaluation } from "./lib/evaluate.ts";
import { Progress } from "./lib/progress.ts";
import { printTable } from "./lib/table.ts";
import { ResNet20, fusionsOf } from "./models/resnet20.ts";

const CALIBRATION_IMAGES = 1000;
const BATCH = 50;
const FINE_TUNING_BATCH = 32;
const LEARNING_RATE = 1e-3;

const folder = dataFolder();
const steps = Number(process.argv[3] ?? 300);
const train = readImages(folder, "train");
const test = readImages(folder, "test");

manualSeed(0);
const float = new ResNet20();
float.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
float.eval();

const fused = fuseModules(float, fusionsOf());
const floatResult = evaluate("float", (x) => fused.forward(x), test.images, test.labels, BATCH);

/** Post-training quantization with a qconfig: observers see the calibration images, convert makes integers. */
function postTraining(backend: "x86" | "qnnpack"): Evaluation {
  const model = fused.clone();
  model.qconfig = getDefaultQConfig(backend);
  const prepared = prepare(model);
  const progress = new Progress(`calibrating ${backend}`, CALIBRATION_IMAGES);
  for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) {
    prepared.forward(
      takeRows(
        train.images,
        Array.from({ length: BATCH }, (_, i) => at + i),
      ),
    );
    progress.update(at + BATCH);
  }
  const executable = compile(convert(prepared), { exampleInputs: [takeRows(test.images, [0])], fallback: "reference" });
  const result = evaluate(`int8 ${backend}`, (x) => executable.runOne(x), test.images, test.labels, BATCH);
  executable.dispose();
  return result;
}

/** A few hundred steps with fake quantization in layer3 and linear only; the rest stays float and keeps training. */
function fineTune(): Evaluation {
  const model = fuseModulesQat(float.clone().train(), fusionsOf());
  model.layer3.qconfig = getDefaultQatQConfig("x86");
  model.linear.qconfig = getDefaultQatQConfig("x86");
  const qat = prepareQat(model.train());
  const optimizer = new SGD(qat.parameters(), { lr: LEARNING_RATE, momentum: 0.9 });
  const progress = new Progress("QAT of layer3 and linear", steps);
  const loader = new DataLoader(new TensorDataset(train.images, train.labels), {
    batchSize: FINE_TUNING_BATCH,
    shuffle: true,
  });
  for (let step = 0; step < steps;) {
    for (const [images, labels] of loader) {
      if (step >= steps) break;
      optimizer.zeroGrad();
      const loss = crossEntropy(qat.forward(images!), labels!);
      backward(loss);
      optimizer.step();
      progress.update(++step, `loss ${loss.item().toFixed(4)}`);
    }
  }
  return evaluate("fine-tuned", (x) => qat.eval().forward(x), test.images, test.labels, BATCH);
}

const results: [string, Evaluation][] = [
  ["float", floatResult],
  ["int8, x86 default", postTraining("x86")],
  ["int8, qnnpack default", postTraining("qnnpack")],
  [`QAT of layer3 and linear, ${steps} steps`, fineTune()],
];
printTable(
  ["ResNet-20", "top-1", "SQNR dB", "images/s"],
  results.map(([name, { accuracy, logits, imagesPerSecond }]) => [
    name,
    `${(100 * accuracy).toFixed(2)} %`,
    name === "float" ? "" : sqnr(floatResult.logits, logits).toFixed(2),
    imagesPerSecond.toFixed(0),
  ]),
);
