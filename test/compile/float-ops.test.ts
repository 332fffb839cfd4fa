import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { capture } from "../../src/graph/capture.ts";
import { Module } from "../../src/nn/module.ts";
import {
  adaptiveAvgPool2d,
  add,
  avgPool2d,
  conv2d,
  hardswish,
  hardtanh,
  linear,
  maxPool2d,
  mean,
  mul,
  relu,
  relu6,
  sigmoid,
  silu,
  slice,
  softmax,
  sub,
  tanh,
} from "../../src/ops/index.ts";
import "../../src/ops/methods.ts";
import { quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(9);
const w = randn([6, 5, 3, 3]).data.map((v) => v / 7);
const weight = randn([6, 5, 3, 3]).assign(w);
const bias = randn([6]);
const dense = randn([4, 6]);

/** Largest error, relative to the largest value, that float kernels may make in these small networks. */
const FLOAT_BUDGET = 2e-6;

/** Compiles without fallback; floats agree within the budget, integers exactly. Returns the kernels used. */
function kernelsOf(fn: (x: Tensor) => Tensor, shape = [2, 5, 7, 6]): string[] {
  class Fn extends Module {
    forward(x: Tensor): Tensor {
      return fn(x);
    }
  }
  const graphModule = capture(new Fn(), [randn(shape)]);
  const executable = compile(graphModule);
  for (const batch of [shape[0]!, 1]) {
    const x = randn([batch, ...shape.slice(1)]);
    const [expected, given] = [graphModule.run(x), executable.runOne(x)];
    expect([given.shape, given.dtype]).toEqual([expected.shape, expected.dtype]);
    if (expected.isQuantized) expect(given.data).toEqual(expected.data);
    const scale = Math.max(1, ...expected.data.map(Math.abs));
    const error = Math.max(0, ...given.data.map((v, i) => Math.abs(v - expected.data[i]!)));
    expect(error / scale).toBeLessThan(FLOAT_BUDGET);
  }
  const kernels = executable.explain([randn(shape)]).steps.map((step) => step.kernel);
  executable.dispose();
  return kernels;
}

test("an activation behind a convolution or sum is part of it", () => {
  const kernels = kernelsOf((x) => {
    const y = relu(conv2d(x, weight, bias, { padding: 1 }));
    const z = relu6(conv2d(pad5(y), weight, null, { padding: 1 }));
    return relu(add(y, z));
  });
  expect(kernels.filter((kernel) => /clamp/.test(kernel))).toHaveLength(0);
});

function pad5(y: Tensor): Tensor {
  return slice(y, 1, 0, 5);
}

test("3x3 convolutions take Winograd unless it is forbidden", () => {
  const square = randn([8, 8, 3, 3]).assign(randn([8, 8, 3, 3]).data.map((v) => v / 8));
  const kernels = kernelsOf((x) => relu(conv2d(conv2d(x, square, null, { padding: 1 }), square, null)), [2, 8, 9, 7]);
  expect(kernels.filter((kernel) => /winograd/.test(kernel))).toHaveLength(2);
});

test("elementwise operators, with and without borders around them", () => {
  kernelsOf((x) => conv2d(mul(sigmoid(x), tanh(x)), weight, bias, { padding: 1 }));
  kernelsOf((x) => hardtanh(silu(hardswish(x)), { minVal: -0.2, maxVal: 0.7 }));
});

test("pools of floats", () => {
  kernelsOf((x) => maxPool2d(x, 3, { stride: 2, padding: 1 }));
  kernelsOf((x) =>
    avgPool2d(conv2d(x, weight, bias, { padding: 1 }), 2, { padding: 1, countIncludePad: false, ceilMode: true }),
  );
  kernelsOf((x) => softmax(linear(adaptiveAvgPool2d(conv2d(x, weight, bias), 1).flatten(1), dense, null), 1));
  kernelsOf((x) => mean(conv2d(x, weight, bias), [2, 3]));
});

test.each(["quint8", "qint8"] as const)("pools of %s are exact", (dtype) => {
  const q = (x: Tensor): Tensor => quantizePerTensor(x, 0.02, dtype === "qint8" ? -9 : 131, dtype);
  kernelsOf((x) => maxPool2d(q(x), 3, { stride: 2, padding: 1, dilation: 1 }));
  kernelsOf((x) => avgPool2d(q(x), 3, { stride: 2, padding: 1, ceilMode: true }));
  kernelsOf((x) => adaptiveAvgPool2d(q(x), [3, 2]));
  kernelsOf((x) => adaptiveAvgPool2d(q(x), 1).flatten(1));
  kernelsOf((x) => mean(q(x), [2, 3]));
});

test("differences, with a clamp taken over", () => {
  expect(kernelsOf((x) => sub(sigmoid(x), x))).toContain("f32 sub");
  expect(kernelsOf((x) => relu(sub(x, tanh(x))))).toEqual(["input flat", "f32 tanh", "f32 sub", "output"]);
});
