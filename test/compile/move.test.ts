import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { capture } from "../../src/graph/capture.ts";
import { Module } from "../../src/nn/module.ts";
import { cat } from "../../src/ops/cat.ts";
import { conv2d } from "../../src/ops/conv.ts";
import { pad } from "../../src/ops/pad.ts";
import { quantizedCat } from "../../src/ops/quantized/joins.ts";
import { quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { quantizedAddScalar, quantizedMulScalar } from "../../src/ops/quantized/arithmetic.ts";
import { permute } from "../../src/ops/shape.ts";
import { slice, split } from "../../src/ops/slicing.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(5);
const weight = randn([5, 3, 3, 3]);

/** Compiles `fn` without fallback and compares with the interpreter, bit for bit. */
function agrees(fn: (x: Tensor) => Tensor, shape: readonly number[], tolerance = 0): void {
  class Fn extends Module {
    forward(x: Tensor): Tensor {
      return fn(x);
    }
  }
  const graphModule = capture(new Fn(), [randn(shape)]);
  const executable = compile(graphModule);
  for (const batch of [shape[0]!, 3]) {
    const x = randn([batch, ...shape.slice(1)]);
    const [expected, given] = [graphModule.run(x), executable.runOne(x)];
    expect(given.shape).toEqual(expected.shape);
    const error = Math.max(0, ...given.data.map((v, i) => Math.abs(v - expected.data[i]!)));
    expect(error).toBeLessThanOrEqual(tolerance);
  }
  executable.dispose();
}

test("slices with a step, of every axis", () => {
  agrees((x) => slice(slice(x, 2, 0, 6, 2), 3, 1, 7, 3), [2, 3, 6, 7]);
  agrees((x) => slice(x, 1, 1, 3), [2, 4, 5, 5]);
  agrees((x) => slice(quantizePerTensor(x, 0.1, 7, "quint8"), 2, 1, 5, 2), [2, 4, 5, 5]);
});

test("padding of pixels and channels holds the zero point", () => {
  agrees((x) => pad(x, [1, 2, 0, 1, 2, 1]), [2, 3, 4, 5]);
  agrees((x) => pad(quantizePerTensor(x, 0.1, 7, "quint8"), [0, 0, 0, 0, 1, 1]), [2, 3, 4, 5]);
  agrees((x) => pad(quantizePerTensor(x, 0.1, -3, "qint8"), [1, 0, 0, 1]), [2, 3, 4, 5]);
});

test("cat of channels, floats and bytes of different scales, also with borders in the way", () => {
  agrees((x) => cat([x, conv2d(x, weight, null, { padding: 1 })], 1), [2, 3, 6, 5], 1e-5);
  agrees(
    (x) => {
      const [a, b] = [quantizePerTensor(x, 0.1, 7, "quint8"), quantizePerTensor(x, 0.03, 120, "quint8")];
      return quantizedCat([a, b, a], { dim: 1, scale: 0.07, zeroPoint: 100 });
    },
    [1, 3, 5, 7],
  );
});

test("permutes axes, of floats and bytes, heads of attention included", () => {
  agrees((x) => permute(x, [0, 2, 1, 3]), [2, 3, 4, 5]);
  agrees((x) => permute(x, [0, 3, 2, 1]), [2, 3, 4, 5]);
  agrees((x) => permute(quantizePerTensor(x, 0.1, 7, "quint8"), [0, 2, 1]), [2, 3, 4]);
  agrees((x) => permute(quantizePerTensor(x, 0.1, 7, "qint8"), [0, 2, 1, 3]), [2, 3, 4, 5]);
});

test("splits rows and joins along any axis", () => {
  agrees((x) => cat([...split(x, [1, 3, 2], 1)].reverse(), 1), [2, 6]);
  agrees((x) => cat([...split(x, [2, 1], 2)].reverse(), 2), [2, 4, 3]);
  const bytes = (x: Tensor): Tensor => quantizePerTensor(x, 0.1, 7, "quint8");
  agrees((x) => quantizedCat([...split(bytes(x), [2, 3], 1)], { dim: 1, scale: 0.2, zeroPoint: 3 }), [2, 5]);
  agrees((x) => quantizedCat([bytes(x), bytes(x)], { dim: 3, scale: 0.2, zeroPoint: 3 }), [2, 3, 4, 5]);
});

test("kernels read stored tensors like any other value", () => {
  const stored = quantizePerTensor(randn([1, 5]), 0.1, 7, "quint8");
  agrees(
    (x) => quantizedCat([quantizePerTensor(x, 0.1, 7, "quint8"), stored], { dim: 0, scale: 0.2, zeroPoint: 3 }),
    [3, 5],
  );
});

test("numbers added to bytes, or that multiply them, are tables", () => {
  const bytes = (x: Tensor): Tensor => quantizePerTensor(x, 0.1, 7, "quint8");
  agrees((x) => quantizedMulScalar(bytes(x), 0.5), [2, 70]);
  agrees((x) => quantizedMulScalar(bytes(x), -3), [2, 70]);
  agrees((x) => quantizedAddScalar(bytes(x), 0.4), [2, 70]);
  agrees((x) => quantizedAddScalar(bytes(x), 100), [2, 70]);
});
