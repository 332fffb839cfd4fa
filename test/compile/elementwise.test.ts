/** Float operators of one and two operands, broadcasting, and tables of functions between bytes. */

import { describe, expect, test } from "vitest";
import {
  abs, add, celu, clamp, conv2d, div, elu, erf, exp, floor, gelu, leakyRelu, log, logSigmoid, maximum, minimum, mish, mul, neg,
  pow, reciprocal, relu, round, rsqrt, selu, sigmoid, silu, softplus, softsign, sqrt, sub, tanh, threshold,
} from "../../src/ops/index.ts"; // prettier-ignore
import "../../src/ops/methods.ts";
import { dequantize, quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { rand, randn } from "../../src/tensor/create.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectCompiledFn } from "./support.ts";

manualSeed(31);
const x = randn([2, 3, 5, 7]);
const scale = new Tensor("float32", [], Float32Array.of(0.75));

const functions: Readonly<Record<string, (v: Tensor) => Tensor>> = {
  gelu: (v) => gelu(v),
  geluTanh: (v) => gelu(v, { approximate: "tanh" }),
  erf, exp, neg, abs, floor, round, reciprocal, softsign, silu, tanh, sigmoid, mish, logSigmoid,
  elu: (v) => elu(v, { alpha: 0.7 }),
  celu: (v) => celu(v, { alpha: 1.3 }),
  selu, softplus: (v) => softplus(v, { beta: 1.5, threshold: 4 }),
  leakyRelu: (v) => leakyRelu(v, { negativeSlope: 0.2 }),
  threshold: (v) => threshold(v, 0.3, -2),
  sqrt: (v) => sqrt(abs(v)),
  rsqrt: (v) => rsqrt(add(abs(v), 0.1)),
  log: (v) => log(add(abs(v), 0.1)),
  square: (v) => pow(v, 2),
  cube: (v) => pow(v, 3),
  power: (v) => pow(add(abs(v), 1), -0.5),
}; // prettier-ignore

test.each(Object.entries(functions))("%s", (_, f) => {
  expectCompiledFn(f, [x]);
  expectCompiledFn(f, [randn([1])]);
  expectCompiledFn(f, [randn([0, 3])]);
});

describe("broadcasting", () => {
  const pairs = { add, sub, mul, div: (a: Tensor, b: Tensor) => div(a, add(abs(b), 1)), maximum, minimum };
  const shapes = [
    [[7], [2, 3, 5, 7]],
    [[2, 3, 5, 7], [5, 1]],
    [[2, 1, 1, 7], [3, 5, 1]],
    [[2, 3, 1, 1], [2, 3, 5, 7]],
    [[1, 3, 1, 1], [2, 3, 5, 7]],
    [[4, 1], [1, 6]],
    [[], [2, 3]],
    [[1, 1, 1], [9]],
    [[2, 0, 3], [3]],
    [[2, 3], [2, 3]],
  ] as const; // prettier-ignore

  test.each(Object.entries(pairs))("%s", (_, f) => {
    for (const [a, b] of shapes) expectCompiledFn((u, v) => f(u, v), [randn([...a]), randn([...b])]);
  });

  test("numbers on either side, and stored tensors", () => {
    const stored = randn([3, 1, 1]);
    expectCompiledFn((v) => sub(1, mul(v, 0.5)), [x]);
    expectCompiledFn((v) => div(2, add(mul(v, v), 1)), [x]);
    expectCompiledFn((v) => relu(add(mul(v, scale), stored)), [x]);
    expectCompiledFn((v) => clamp(sub(stored, v), -0.5, 0.5), [x]);
  });

  test("of images stays in their form", () => {
    const weight = randn([4, 3, 3, 3]).mul(0.2);
    const gated = (v: Tensor): Tensor => {
      const y = conv2d(v, weight, null, { padding: 1 });
      return conv2d(mul(y, sigmoid(y.mean([2, 3], { keepdim: true }))), randn([2, 4, 1, 1]).mul(0.3), null);
    };
    const kernels = expectCompiledFn((v) => gated(v), [x]);
    expect(kernels).toContain("f32 mul");
    expect(kernels).not.toContain("transpose");
  });
});

describe("between bytes", () => {
  const bytes = (v: Tensor): Tensor => quantizePerTensor(v, 0.031, 117, "quint8");
  const chains: Readonly<Record<string, (v: Tensor) => Tensor>> = {
    ...functions,
    "x * sigmoid(x)": (v) => mul(v, sigmoid(v)),
    "gelu in parts": (v) => mul(mul(v, add(erf(div(v, Math.SQRT2)), 1)), 0.5),
    "a clamped sum": (v) => clamp(add(mul(v, scale), 1), -1, 2),
  };

  test.each(Object.entries(chains))("%s is a table, exact", (_, f) => {
    for (const [dtype, zeroPoint] of [
      ["quint8", 3],
      ["qint8", 127],
      ["qint8", -128],
    ] as const) {
      // prettier-ignore
      const kernels = expectCompiledFn(
        (v) => quantizePerTensor(f(dequantize(bytes(v))), 0.02, zeroPoint, dtype),
        [x],
      );
      expect(kernels.filter((kernel) => kernel.startsWith("f32"))).toEqual([]);
      expect(kernels.filter((kernel) => kernel === "table of 256")).toHaveLength(1);
    }
  });

  test("floats that are read as floats too are made", () => {
    const kernels = expectCompiledFn(
      (v) => {
        const y = gelu(dequantize(bytes(v)));
        return add(dequantize(quantizePerTensor(y, 0.02, 90, "quint8")), y);
      },
      [rand([3, 50])],
    );
    expect(kernels).toContain("f32 gelu");
    expect(kernels).toContain("table of 256");
  });
});
