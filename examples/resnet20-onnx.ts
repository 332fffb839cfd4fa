/**
 * A real ResNet-20 from an ONNX file, quantized with 1000 images: how right it stays, and whether onnxruntime and the
 * engine compute the same integers. onnxruntime turns pairs of quantize and dequantize into operators on integers from
 * its level "extended" on; below that it computes in float between the pairs and rounds some ties the other way, as
 * interpreting the graph does.
 *
 *   node --conditions=fewbit-source examples/resnet20-onnx.ts [data folder]
 */

import path from "node:path";
import type { Tensor } from "fewbit";
import { compile } from "fewbit/compile";
import { takeRows } from "fewbit/data";
import { exportOnnx, importOnnx } from "fewbit/onnx";
import { quantizeOnnx } from "fewbit/onnx/quantize";
import { dataFolder, readImages } from "./lib/cifar.ts";
import { evaluate, sqnr } from "./lib/evaluate.ts";
import { compareIntegers, withIntegers } from "./lib/integers.ts";
import type { OperatorDifference } from "./lib/integers.ts";
import { openSession } from "./lib/onnxruntime.ts";
import type { OptimizationLevel } from "./lib/onnxruntime.ts";
import { Progress } from "./lib/progress.ts";
import { printTable } from "./lib/table.ts";

const BATCH = 50;
const CALIBRATION_IMAGES = 1000;
const COMPARED_IMAGES = 50;

const folder = dataFolder();
const file = path.join(folder, "models/resnet20.onnx");
const train = readImages(folder, "train").images;
const test = readImages(folder, "test");
const rows = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

function* calibration(): Generator<Tensor> {
  for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) yield takeRows(train, rows(BATCH, at));
}

const progress = new Progress("calibrating", CALIBRATION_IMAGES);
const { graph, report } = await quantizeOnnx(file, calibration(), {
  target: "onnxruntime-cpu",
  onProgress: ({ samples }) => progress.update(samples),
});
const float = compile(importOnnx(file));
const int8 = compile(graph);
const [wanted, given] = [float, int8].map((executable, i) =>
  evaluate(i === 0 ? "float" : "int8", (x) => executable.runOne(x), test.images, test.labels, BATCH),
);
printTable(
  ["ResNet-20, 2000 images", "top-1", "SQNR dB", "bytes"],
  [
    ["float", `${(100 * wanted!.accuracy).toFixed(2)} %`, "", String(report.bytes.before)],
    [
      "int8",
      `${(100 * given!.accuracy).toFixed(2)} %`,
      sqnr(wanted!.logits, given!.logits).toFixed(2),
      String(report.bytes.after),
    ],
  ],
);

/** What each operator makes of the integers that onnxruntime gave it, in both ways of computing it. */
const { model, names } = withIntegers(graph);
const bytes = exportOnnx(model);
const x = takeRows(test.images, rows(COMPARED_IMAGES));
const table: string[][] = [];
for (const level of ["disabled", "basic", "extended", "all"] as OptimizationLevel[]) {
  const there = await (await openSession(bytes, level))(x);
  for (const lowered of [true, false]) {
    const found = compareIntegers(model, names, x, there, lowered);
    const sum = (of: (one: OperatorDifference) => number): number => found.reduce((total, one) => total + of(one), 0);
    table.push([
      `onnxruntime ${level}, ${lowered ? "engine" : "float between pairs"}`,
      String(sum(({ integers }) => integers)),
      String(sum(({ other }) => other)),
      String(Math.max(...found.map(({ farthest }) => farthest))),
      `${found.filter(({ other }) => other > 0).length} of ${found.length}`,
    ]);
  }
}
console.log();
printTable(["integers, operator by operator", "integers", "other", "farthest", "operators with others"], table);
