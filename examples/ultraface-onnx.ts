/**
 * A face detector from an ONNX file, quantized and compared with the float one: the same faces, the same boxes.
 * The pictures are drawn (lib/faces.ts): a photograph-trained detector finds them with scores near 1.
 *
 *   node --conditions=fewbit-source examples/ultraface-onnx.ts [data folder]
 */

import path from "node:path";
import type { Tensor } from "fewbit";
import { compile } from "fewbit/compile";
import { importOnnx } from "fewbit/onnx";
import { quantizeOnnx } from "fewbit/onnx/quantize";
import { detections, overlap } from "./lib/boxes.ts";
import { dataFolder } from "./lib/cifar.ts";
import { sqnr } from "./lib/evaluate.ts";
import { randomPicture } from "./lib/faces.ts";
import { printTable } from "./lib/table.ts";

const LEAST_SCORE = 0.7;
const CALIBRATION = 24;
const TESTED = 12;

const file = path.join(dataFolder(), "models/ultraface.onnx");
const pictures = Array.from({ length: CALIBRATION }, (_, i) => randomPicture(i + 1));
const { graph, report } = await quantizeOnnx(file, pictures);
const [float, int8] = [importOnnx(file), graph].map((model) => compile(model, { fallback: "reference" }));

const rows: string[][] = [];
for (let i = 0; i < TESTED; i++) {
  const picture = randomPicture(1000 + i);
  const [wanted, given] = [float, int8].map((model) => model!.run(picture) as [Tensor, Tensor]);
  const found = detections(...given!, LEAST_SCORE);
  for (const { box, score } of detections(...wanted!, LEAST_SCORE)) {
    const best = found.reduce((most, other) => Math.max(most, overlap(box, other.box)), 0);
    rows.push([String(i), score.toFixed(3), best.toFixed(3), ...wanted!.map((w, k) => db(w, given![k]!))]);
  }
}

function db(wanted: Tensor, given: Tensor): string {
  return sqnr(wanted.data as Float32Array, given.data as Float32Array).toFixed(1);
}

console.log(
  `${report.counts.int8} operators in int8, ${report.counts.float} in float; ${report.bytes.before} → ${report.bytes.after} bytes`,
);
printTable(["picture", "float score", "IoU of int8", "scores dB", "boxes dB"], rows);
