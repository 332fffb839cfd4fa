/**
 * Quantized linear layers and convolutions against PyTorch's vectors, for each engine: integers equal, every one.
 */

import { describe, expect, it } from "vitest";
import { quantizedConv1d, quantizedConv2d, quantizedConv3d } from "../../../src/ops/quantized/conv.ts";
import {
  quantizedConvTranspose1d,
  quantizedConvTranspose2d,
  quantizedConvTranspose3d,
} from "../../../src/ops/quantized/conv-transpose.ts";
import { linearDynamic, linearDynamicFp16 } from "../../../src/ops/quantized/dynamic.ts";
import type { QEngine } from "../../../src/ops/quantized/engines.ts";
import { quantizedLinear } from "../../../src/ops/quantized/linear.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { loadGolden } from "../../golden/load.ts";
import type { GoldenCase } from "../../golden/load.ts";

type Run = (x: Tensor, weight: Tensor, bias: Tensor | null, options: never) => Tensor;

const operators: Readonly<Record<string, Run>> = {
  linear: quantizedLinear,
  conv1d: quantizedConv1d,
  conv2d: quantizedConv2d,
  conv3d: quantizedConv3d,
  convTranspose1d: quantizedConvTranspose1d,
  convTranspose2d: quantizedConvTranspose2d,
  convTranspose3d: quantizedConvTranspose3d,
  linearDynamic,
  linearDynamicFp16,
};

/** Dynamic results are floats; a fused and a plain multiply-add differ by this much, relative to the largest. */
const FLOAT_BUDGET = 2e-6;

function run({ op, inputs, attrs }: GoldenCase, engine: QEngine): Tensor {
  const plain = op.replace("quantized.", "");
  const relu = plain.includes("Relu");
  const f = operators[plain.replace("Relu", "")]!;
  const { x, weight, bias } = inputs as unknown as { x: Tensor; weight: Tensor; bias: Tensor | null };
  return f(x, weight, bias, { ...attrs, relu, engine } as never);
}

function expectEqual(actual: Tensor, expected: Tensor): void {
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.shape).toEqual(expected.shape);
  if (expected.isQuantized) {
    expect(actual.qparams).toEqual(expected.qparams);
    expect([...actual.data]).toEqual([...expected.data]);
    return;
  }
  const size = Array.from(expected.data).reduce((most, v) => Math.max(most, Math.abs(v)), 1);
  expected.data.forEach((v, i) => expect(Math.abs(actual.data[i]! - v)).toBeLessThanOrEqual(FLOAT_BUDGET * size));
}

for (const area of ["linear-conv", "x86", "onednn", "qnnpack"]) {
  const file = loadGolden(`quantized-${area}`);
  describe(`quantized-${area}`, () => {
    it.each(file.cases.map((one): [string, GoldenCase] => [one.name, one]))("%s", (_, one) => {
      expectEqual(run(one, file.header.engine as QEngine), one.expected["output"] as Tensor);
    });
  });
}
