/** Every case, from the shape lists of real networks. */

import { readFileSync } from "node:fs";
import { isNarrow } from "./candidates/list.ts";
import { integerProducts } from "./kernels/int8.ts";
import type { BenchCase, ConvSizes, Precision } from "./lib/case.ts";
import { convName, convOperations } from "./lib/case.ts";

const ALL = ["fewbit", "fewbit-simd", "fewbit-2t", "ort-web", "ort-web-2t", "ort-node", "ort-node-avx2", "tfjs"];
const ONE_THREAD = ALL.filter((name) => !name.endsWith("-2t") && !isNarrow(name));
/** The layer most bars are about. */
const C64: ConvSizes = { inChannels: 64, outChannels: 64, size: 56, kernel: 3, stride: 1, groups: 1 };

const precisions: readonly Precision[] = ["f32", "int8"];

function layers(file: string): ConvSizes[] {
  const { layers } = JSON.parse(readFileSync(new URL(`shapes/${file}.json`, import.meta.url), "utf8")) as {
    layers: (ConvSizes & { count: number })[];
  };
  return layers;
}

function gemm(rows: number, precision: Precision): BenchCase {
  const size = 1024;
  return {
    name: rows === 1 ? `GEMV 1024 ${precision}` : `GEMM 1024³ ${precision}`,
    group: "products",
    work: { kind: "gemm", rows, depth: size, columns: size },
    precision,
    amount: 2 * rows * size * size,
    unit: "GOP/s",
    candidates: ALL,
  };
}

function conv(group: string, sizes: ConvSizes, precision: Precision, candidates: readonly string[]): BenchCase {
  const name = `conv ${convName(sizes)} ${precision}`;
  return {
    name,
    group,
    work: { kind: "conv", sizes },
    precision,
    amount: convOperations(sizes),
    unit: "GOP/s",
    candidates,
  };
}

function network(batch: number, precision: Precision): BenchCase {
  return {
    name: `network batch ${batch} ${precision}`,
    group: "network",
    work: { kind: "network", batch },
    precision,
    amount: batch,
    unit: "images/s",
    candidates: precision === "int8" ? [...ALL, "ort-node-f32", "ort-node-f32-avx2"] : ALL,
  };
}

const TRAINING_BATCH = 32;

function training(precision: Precision): BenchCase {
  return {
    name: precision === "f32" ? "training step batch 32" : "QAT step batch 32",
    group: "training",
    work: { kind: "train", batch: TRAINING_BATCH },
    precision,
    amount: TRAINING_BATCH,
    unit: "images/s",
    candidates:
      precision === "f32"
        ? ["fewbit", "fewbit-2t", "fewbit-eager", "tfjs", "peak-f32"]
        : ["fewbit", "fewbit-plain", "fewbit-eager", "peak-f32"],
  };
}

const CALIBRATION_BATCH = 50;

/** Twice the operations of the forward product: one gradient for the input, one for the weights. */
const gradients: BenchCase = {
  name: `conv gradients ${convName(C64)}`,
  group: "training",
  work: { kind: "convGradients", sizes: C64 },
  precision: "f32",
  amount: 2 * convOperations(C64),
  unit: "GOP/s",
  candidates: ["fewbit", "fewbit-simd", "fewbit-2t", "peak-f32"],
};

const calibration: BenchCase = {
  name: "calibration batch 50, histogram observers",
  group: "training",
  work: { kind: "calibrate", batch: CALIBRATION_BATCH },
  precision: "f32",
  amount: CALIBRATION_BATCH,
  unit: "images/s",
  candidates: ["fewbit", "fewbit-plain"],
};

/** Kernels the bars name, operands in memory. */
const BAR_KERNELS = [
  "conv 3x3 16->16 32²",
  "conv 3x3 32->32 16²",
  "conv 3x3 64->64 56²",
  "conv 1x1 16->64 56²",
  "conv 1x1 64->64 28²",
  "conv 1x1 64->256 28²",
  "depthwise 32 56² s1 rows",
  "depthwise 256 28² s1 rows",
  "gemm 1024 x 1024 x 1024",
];

function kernels(): BenchCase[] {
  return integerProducts
    .filter(({ name }) => BAR_KERNELS.includes(name))
    .map(({ name, amount }) => ({
      name: `kernel ${name}`,
      group: "kernels",
      work: { kind: "kernel" },
      precision: "int8",
      amount,
      unit: "GOP/s",
      candidates: ["fewbit", "fewbit-simd", "peak-int8"],
    }));
}

/** Layers of one list that no earlier case has. */
function listed(group: string, file: string, taken: Set<string>): BenchCase[] {
  return precisions.flatMap((precision) =>
    layers(file)
      .map((sizes) => conv(group, sizes, precision, ONE_THREAD))
      .filter(({ name }) => !taken.has(name) && taken.add(name)),
  );
}

function allCases(): BenchCase[] {
  const first = [
    ...precisions.flatMap((precision) => [1, 50].map((batch) => network(batch, precision))),
    ...precisions.flatMap((precision) => [1024, 1].map((rows) => gemm(rows, precision))),
    ...precisions.map((precision) => conv("products", C64, precision, ALL)),
  ];
  const taken = new Set(first.map(({ name }) => name));
  const own = [...precisions.map(training), gradients, calibration, ...kernels()];
  return [...first, ...own, ...listed("ResNet-50", "resnet50", taken), ...listed("MobileNetV2", "mobilenet-v2", taken)];
}

export const cases: readonly BenchCase[] = allCases();
