/**
 * Convolutions, normalizations, pools and interpolation against PyTorch's vectors, forward and gradient.
 */

import { describe, it } from "vitest";
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
} from "../../src/ops/avg-pool.ts";
import type { OutputSize } from "../../src/ops/avg-pool.ts";
import { batchNorm } from "../../src/ops/batch-norm.ts";
import type { PerAxis } from "../../src/ops/conv-geometry.ts";
import { convTranspose1d, convTranspose2d, convTranspose3d } from "../../src/ops/conv-transpose.ts";
import { conv1d, conv2d, conv3d } from "../../src/ops/conv.ts";
import { instanceNorm } from "../../src/ops/instance-norm.ts";
import { interpolate } from "../../src/ops/interpolate.ts";
import {
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from "../../src/ops/max-pool.ts";
import { groupNorm, layerNorm } from "../../src/ops/norm.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { expectTensor, numberAt, table, tensorAt, tensorOr } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import type { Fields } from "./load.ts";
import { checkOperator } from "./operators.ts";
import type { Call } from "./operators.ts";

/** float32 sums in another order: relative to the largest result. */
const SUMS: Budget = { absolute: 1e-6, ofLargest: 2e-6 };

type Weighted = (x: Tensor, weight: Tensor, bias: Tensor | null, options: object) => Tensor;

function weighted(f: Weighted): Call {
  return (inputs, attrs) => f(tensorAt(inputs, "x"), tensorAt(inputs, "weight"), tensorOr(inputs, "bias", null), attrs);
}

function pool(f: (x: Tensor, kernelSize: PerAxis, options: object) => Tensor): Call {
  return (inputs, { kernelSize, ...options }) => {
    if (options["stride"] === null) delete (options as Record<string, unknown>)["stride"];
    return f(tensorAt(inputs, "x"), kernelSize as PerAxis, options);
  };
}

function adaptive(f: (x: Tensor, outputSize: OutputSize) => Tensor): Call {
  return (inputs, { outputSize }) => f(tensorAt(inputs, "x"), outputSize as OutputSize);
}

function affine(inputs: Fields, attrs: Fields): { weight: Tensor | null; bias: Tensor | null; eps: number } {
  return { weight: tensorOr(inputs, "weight", null), bias: tensorOr(inputs, "bias", null), eps: numberAt(attrs, "eps") };
}

const calls: Readonly<Record<string, Call>> = {
  conv1d: weighted(conv1d),
  conv2d: weighted(conv2d),
  conv3d: weighted(conv3d),
  convTranspose1d: weighted(convTranspose1d),
  convTranspose2d: weighted(convTranspose2d),
  convTranspose3d: weighted(convTranspose3d),
  maxPool1d: pool(maxPool1d),
  maxPool2d: pool(maxPool2d),
  maxPool3d: pool(maxPool3d),
  avgPool1d: pool(avgPool1d),
  avgPool2d: pool(avgPool2d),
  avgPool3d: pool(avgPool3d),
  adaptiveAvgPool1d: adaptive(adaptiveAvgPool1d),
  adaptiveAvgPool2d: adaptive(adaptiveAvgPool2d),
  adaptiveAvgPool3d: adaptive(adaptiveAvgPool3d),
  adaptiveMaxPool1d: adaptive(adaptiveMaxPool1d),
  adaptiveMaxPool2d: adaptive(adaptiveMaxPool2d),
  adaptiveMaxPool3d: adaptive(adaptiveMaxPool3d),
  interpolate: (inputs, attrs) => interpolate(tensorAt(inputs, "x"), attrs),
  layerNorm: (inputs, attrs) => layerNorm(tensorAt(inputs, "x"), attrs["normalizedShape"] as number[], affine(inputs, attrs)),
  groupNorm: (inputs, attrs) => groupNorm(tensorAt(inputs, "x"), numberAt(attrs, "numGroups"), affine(inputs, attrs)),
  instanceNorm: (inputs, attrs) => instanceNorm(tensorAt(inputs, "x"), affine(inputs, attrs)),
};

describe("float layers", () => {
  const { cases } = loadGolden("float-layers");
  it.each(table(cases.filter(({ op }) => op !== "batchNorm")))("%s", (_, one) => checkOperator(one, calls[one.op]!, SUMS));

  it.each(table(cases.filter(({ op }) => op === "batchNorm")))("%s", (_, one) => {
    const [runningMean, runningVar] = [tensorAt(one.inputs, "runningMean").copy(), tensorAt(one.inputs, "runningVar").copy()];
    const call: Call = (inputs, attrs) => batchNorm(tensorAt(inputs, "x"), { ...affine(inputs, attrs), ...attrs, runningMean, runningVar });
    checkOperator(one, call, SUMS);
    expectTensor(runningMean, tensorAt(one.expected, "runningMean"), SUMS, "runningMean");
    expectTensor(runningVar, tensorAt(one.expected, "runningVar"), SUMS, "runningVar");
  });
});
