/**
 * A real pretrained ResNet-20 quantized in FX graph mode: nothing in the model knows of quantization. Traced, fused,
 * calibrated on 1000 images, converted to integer operators, compiled and evaluated.
 *
 *   node --conditions=fewbit-source examples/resnet20-fx.ts [data folder]
 */

import path from "node:path";
import type { Tensor } from "fewbit";
import { compile } from "fewbit/compile";
import { takeRows } from "fewbit/data";
import type { GraphModule } from "fewbit/graph";
import {
  convertFx,
  fuseFx,
  getDefaultQConfigMapping,
  getQnnpackBackendConfig,
  getX86BackendConfig,
  prepareFx,
} from "fewbit/quantization/fx";
import { dataFolder, readImages, readTensors } from "./lib/cifar.ts";
import { evaluate, sqnr } from "./lib/evaluate.ts";
import type { Evaluation } from "./lib/evaluate.ts";
import { Progress } from "./lib/progress.ts";
import { printTable } from "./lib/table.ts";
import { ResNet20 } from "./models/resnet20-plain.ts";

const CALIBRATION_IMAGES = 1000;
const BATCH = 50;
/** Images whose logits the interpreter and the compiled graph are compared on. */
const COMPARED = 4;

const folder = dataFolder();
const train = readImages(folder, "train");
const test = readImages(folder, "test");
const rows = (images: Tensor, from: number, count: number): Tensor =>
  takeRows(
    images,
    Array.from({ length: count }, (_, i) => from + i),
  );

const float = new ResNet20();
float.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
float.eval();
const example = [rows(test.images, 0, 2)];

/** The same graph run compiled; bit for bit what the interpreter gives. */
function run(name: string, model: GraphModule): Evaluation {
  const executable = compile(model, { fallback: "reference" });
  const some = rows(test.images, 0, COMPARED);
  const [compiled, interpreted] = [executable.runOne(some), model.run(some)];
  const differ = compiled.data.filter((v: number, i: number) => v !== interpreted.data[i]).length;
  console.log(`${name}: ${differ} of ${compiled.numel} logits differ between interpreter and compiled graph`);
  const result = evaluate(name, (x) => executable.runOne(x), test.images, test.labels, BATCH);
  executable.dispose();
  return result;
}

function quantized(backend: "x86" | "qnnpack"): Evaluation {
  const config = backend === "x86" ? getX86BackendConfig() : getQnnpackBackendConfig();
  const prepared = prepareFx(float, getDefaultQConfigMapping(backend), example, null, config);
  const progress = new Progress(`calibrating ${backend}`, CALIBRATION_IMAGES);
  const observing = compile(prepared, { fallback: "reference" });
  for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) {
    observing.runOne(rows(train.images, at, BATCH));
    progress.update(at + BATCH);
  }
  observing.dispose();
  return run(`int8 ${backend}`, convertFx(prepared));
}

const floatResult = evaluate(
  "float",
  (
    (executable) => (x: Tensor) =>
      executable.runOne(x)
  )(compile(fuseFx(float, example))),
  test.images,
  test.labels,
  BATCH,
);
const results: [string, Evaluation][] = [
  ["float", floatResult],
  ["int8, x86 default", quantized("x86")],
  ["int8, qnnpack default", quantized("qnnpack")],
];
printTable(
  ["ResNet-20, FX", "top-1", "SQNR dB", "images/s"],
  results.map(([name, { accuracy, logits, imagesPerSecond }]) => [
    name,
    `${(100 * accuracy).toFixed(2)} %`,
    name === "float" ? "" : sqnr(floatResult.logits, logits).toFixed(2),
    imagesPerSecond.toFixed(0),
  ]),
);
