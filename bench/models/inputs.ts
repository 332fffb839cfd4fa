/** Images for the network: real ones where the samples are, else random. */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { normalize } from "../../examples/lib/cifar.ts";
import { readSafetensors } from "../../src/data/safetensors.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { randomFloats } from "../lib/random.ts";

/** Samples and the pretrained network, which are not shipped. */
export const DATA_FOLDER = path.join(import.meta.dirname, "../../../shared/data");
export const hasResNet20 = existsSync(path.join(DATA_FOLDER, "models/resnet20.safetensors"));

/** Classes of both networks. */
export const CLASSES = 10;
const DIGITS_SHAPE = [1, 8, 8];

/** How every candidate trains, and for how many steps their losses are compared. */
export const TRAINING = { optimizer: { lr: 1e-3, momentum: 0.9 }, comparedSteps: 3 };

export interface Images {
  readonly values: Float32Array;
  readonly shape: number[];
}

/** The first `count` images of a part of CIFAR-10, or random ones of the digits' size. */
export function networkImages(count: number, part: "train" | "test" = "test", from = 0): Images {
  if (!hasResNet20) {
    const shape = [count, ...DIGITS_SHAPE];
    return {
      values: randomFloats(
        shape.reduce((a, b) => a * b, 1),
        5 + from,
      ),
      shape,
    };
  }
  const { tensors } = readSafetensors(readFileSync(path.join(DATA_FOLDER, `cifar10-${part}2000.safetensors`)));
  const images = tensors.get("images")!;
  const size = images.numel / images.shape[0]!;
  const rows = images.data.subarray(from * size, (from + count) * size);
  const { data, shape } = normalize(new Tensor(images.dtype, [count, ...images.shape.slice(1)], rows));
  return { values: data as Float32Array, shape: [...shape] };
}

/** Labels 0..9, the same for every candidate. */
export function networkLabels(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 7 + 3) % CLASSES);
}
