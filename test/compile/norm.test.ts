/** Normalizations, softmax along any axis, and reductions of floats. */

import { expect, test } from "vitest";
import { BatchNorm1d, BatchNorm2d, GroupNorm, InstanceNorm2d, LayerNorm, RMSNorm } from "../../src/nn/index.ts";
import type { Module } from "../../src/nn/module.ts";
import {
  amax, amin, conv2d, layerNorm, logSoftmax, mean, relu, softmax, sum,
} from "../../src/ops/index.ts"; // prettier-ignore
import "../../src/ops/methods.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { rand, randn } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { expectCompiledFn } from "./support.ts";

manualSeed(43);

/** Parameters and statistics that are not 1 and 0. */
function shaken<M extends Module<[Tensor], Tensor>>(module: M): M {
  for (const [, parameter] of module.namedParameters()) parameter.assign(randn(parameter.shape));
  for (const [name, buffer] of module.namedBuffers())
    if (buffer.dtype === "float32")
      buffer.assign(name.endsWith("var") ? rand(buffer.shape).add(0.1) : randn(buffer.shape));
  return module.eval();
}

const layers: readonly (readonly [string, Module<[Tensor], Tensor>, readonly number[]])[] = [
  ["LayerNorm", new LayerNorm(17), [3, 5, 17]],
  ["LayerNorm of one", new LayerNorm(1), [4, 1]],
  ["LayerNorm over two axes", new LayerNorm([5, 7]), [2, 5, 7]],
  ["LayerNorm without bias", new LayerNorm(8, { bias: false }), [3, 8]],
  ["LayerNorm without weights", new LayerNorm(8, { elementwiseAffine: false }), [3, 8]],
  ["LayerNorm of nothing", new LayerNorm(8), [0, 8]],
  ["RMSNorm", new RMSNorm(9), [2, 4, 9]],
  ["GroupNorm", new GroupNorm(3, 6), [2, 6, 5, 3]],
  ["InstanceNorm2d", new InstanceNorm2d(4, { affine: true }), [2, 4, 3, 5]],
  ["BatchNorm1d", new BatchNorm1d(6), [5, 6]],
  ["BatchNorm1d of lines", new BatchNorm1d(6), [5, 6, 3]],
  ["BatchNorm2d", new BatchNorm2d(6), [2, 6, 3, 5]],
];

test.each(layers)("%s", (_, module, shape) => {
  shaken(module);
  expectCompiledFn((x) => module.forward(x), [randn([...shape])]);
});

test("computed weights of a layer norm", () => {
  expectCompiledFn((x, w, b) => layerNorm(x, 7, { weight: w, bias: b }), [randn([3, 7]), randn([7]), randn([7])]);
});

test("a batch norm among images stays in their form, with its activation", () => {
  const norm = shaken(new BatchNorm2d(6));
  const weight = randn([4, 6, 3, 3]).mul(0.2);
  const kernels = expectCompiledFn(
    (x) => conv2d(relu(norm.forward(x)), weight, null, { padding: 1 }),
    [randn([2, 6, 7, 5])],
  );
  expect(kernels).toContain("f32 batchNorm");
  expect(kernels).not.toContain("f32 relu");
});

test.each([0, 1, 2, 3])("softmax along axis %i", (dim) => {
  expectCompiledFn((x) => softmax(x, dim), [randn([2, 3, 5, 7])]);
  expectCompiledFn((x) => logSoftmax(x, dim), [randn([2, 3, 5, 7])]);
});

test.each([[[3]], [[0]], [[1]], [[1, 2]], [[0, 2]], [[0, 3]], [[0, 1, 2, 3]], [[1, 3]]])(
  "reductions over %j",
  (dim) => {
    for (const keepdim of [true, false]) {
      const x = randn([2, 3, 5, 7]);
      expectCompiledFn((v) => sum(v, dim, { keepdim }), [x]);
      expectCompiledFn((v) => mean(v, dim, { keepdim }), [x]);
      expectCompiledFn((v) => amax(v, dim, { keepdim }), [x], 0);
      expectCompiledFn((v) => amin(v, dim, { keepdim }), [x], 0);
    }
  },
);

test("reductions of nothing and of one", () => {
  expectCompiledFn((v) => sum(v, [1]), [randn([3, 0])]);
  expectCompiledFn((v) => mean(v, [1]), [randn([3, 0])]);
  expectCompiledFn((v) => sum(v, [0, 1, 2]), [randn([1, 1, 1])]);
  expectCompiledFn((v) => amax(v, [0]), [randn([1, 4])], 0);
});
