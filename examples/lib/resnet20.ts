/**
 * What both graph-mode examples of the real ResNet-20 share: the model and its images, calibration at engine speed,
 * evaluation of the compiled graph, and the check that it computes what the interpreter does.
 */

import path from "node:path";
import type { Tensor } from "fewbit";
import { compile, lower } from "fewbit/compile";
import { takeRows } from "fewbit/data";
import { Engine } from "fewbit/engine";
import type { GraphModule } from "fewbit/graph";
import { ResNet20 } from "../models/resnet20-plain.ts";
import { dataFolder, readImages, readTensors } from "./cifar.ts";
import { evaluate, sqnr } from "./evaluate.ts";
import type { Evaluation } from "./evaluate.ts";
import { Progress } from "./progress.ts";

const CALIBRATION_IMAGES = 1000;
const BATCH = 50;
/** Images that the interpreter, which is slow, runs too. */
const COMPARED_IMAGES = 5;

const folder = dataFolder();
export const train = readImages(folder, "train");
export const test = readImages(folder, "test");

export type Images = typeof train;

export function rows(tensor: Tensor, from: number, count: number): Tensor {
  return takeRows(
    tensor,
    Array.from({ length: count }, (_, i) => from + i),
  );
}

/** `count` images and their labels. */
export function part({ images, labels }: Images, from: number, count: number): Images {
  return { images: rows(images, from, count), labels: rows(labels, from, count) };
}

export function pretrained(): ResNet20 {
  const model = new ResNet20();
  model.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
  return model.eval();
}

/** Ranges follow the last bits of float sums; this build's are the same on every machine, and so are the results. */
const reproducible = new Engine({ build: "simd" });

/** Shows a prepared graph the first 1000 training images, compiled: its observers gather the same as interpreted. */
export function calibrate(name: string, prepared: GraphModule): void {
  const progress = new Progress(`calibrating ${name}`, CALIBRATION_IMAGES);
  const executable = compile(prepared, { engine: reproducible });
  for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) {
    executable.run(rows(train.images, at, BATCH));
    progress.update(at + BATCH);
  }
  executable.dispose();
}

/** Evaluates a graph compiled. */
export function evaluateCompiled(name: string, graph: GraphModule, { images, labels }: Images): Evaluation {
  const executable = compile(graph);
  executable.run(rows(images, 0, BATCH)); // plans are made on first use
  const result = evaluate(name, (x) => executable.runOne(x), images, labels, BATCH);
  executable.dispose();
  return result;
}

/**
 * Ends the program when a logit of the compiled graph is not, bit for bit, the interpreter's for the same integer
 * operators. Returns how many logits there were.
 */
export function assertCompiledEqualsInterpreted(name: string, graph: GraphModule): number {
  const images = rows(test.images, 0, COMPARED_IMAGES);
  const executable = compile(graph);
  const compiled = executable.runOne(images);
  executable.dispose();
  const interpreted = lower(graph).run(images);
  const differing = compiled.data.filter((logit: number, i: number) => logit !== interpreted.data[i]).length;
  if (differing > 0) throw new Error(`${name}: ${differing} of ${compiled.numel} logits are not the interpreter's`);
  return compiled.numel;
}

/** One row of a table of results: top-1, SQNR against the float logits, speed. */
export function resultRow(
  name: string,
  { accuracy, logits, imagesPerSecond }: Evaluation,
  float: Evaluation,
): string[] {
  const quality = logits === float.logits ? "" : sqnr(float.logits, logits).toFixed(2);
  return [name, `${(100 * accuracy).toFixed(2)} %`, quality, imagesPerSecond.toFixed(0)];
}
