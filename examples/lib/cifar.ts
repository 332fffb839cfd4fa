/**
 * The CIFAR-10 samples and the pretrained ResNet-20 the examples run on. Neither is shipped; a folder is given.
 */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { readSafetensors } from "fewbit/data";
import { Tensor } from "fewbit";

const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** The folder named on the command line, or ../shared/data. Ends the program with a sentence when it has no data. */
export function dataFolder(argument = process.argv[2]): string {
  const folder = argument ?? path.join(import.meta.dirname, "../../../shared/data");
  if (existsSync(path.join(folder, "models/resnet20.safetensors"))) return folder;
  console.error(
    `No data in ${folder}: this example needs cifar10-train2000.safetensors, cifar10-test2000.safetensors and ` +
      "models/resnet20.safetensors there. Give the folder as argument.",
  );
  process.exit(2);
}

export function readTensors(file: string): ReadonlyMap<string, Tensor> {
  return readSafetensors(readFileSync(file)).tensors;
}

/** Pixels 0..255, NHWC, to the network's input: ((x / 255) - mean) / std in float32, NCHW. */
export function normalize(images: Tensor): Tensor {
  const [n, height, width, channels] = images.shape as [number, number, number, number];
  const pixels = height * width;
  const out = new Float32Array(n * channels * pixels);
  const { data } = images;
  for (let image = 0; image < n; image++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) {
        const v = Math.fround(data[(image * pixels + p) * channels + c]! / 255);
        out[(image * channels + c) * pixels + p] = Math.fround(v - Math.fround(MEAN[c]!)) / Math.fround(STD[c]!);
      }
    }
  }
  return new Tensor("float32", [n, channels, height, width], out);
}

/** Images (normalised, NCHW) and labels of one of the two files. */
export function readImages(folder: string, part: "train" | "test"): { images: Tensor; labels: Tensor } {
  const tensors = readTensors(path.join(folder, `cifar10-${part}2000.safetensors`));
  return { images: normalize(tensors.get("images")!), labels: tensors.get("labels")! };
}
