/** Every case, from the shape lists of real networks. */

import { readFileSync } from "node:fs";
import type { BenchCase, ConvSizes, Precision } from "./lib/case.ts";
import { convName, convOperations } from "./lib/case.ts";

const ALL = ["fewbit", "fewbit-simd", "fewbit-2t", "ort-web", "ort-web-2t", "ort-node", "tfjs"];
const ONE_THREAD = ALL.filter((name) => !name.endsWith("-2t"));
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
    candidates: ALL,
  };
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
  return [...first, ...listed("ResNet-50", "resnet50", taken), ...listed("MobileNetV2", "mobilenet-v2", taken)];
}

export const cases: readonly BenchCase[] = allCases();
