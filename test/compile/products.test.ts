/** Matrix products of float tensors: batches, broadcasting, vectors, permuted and stored operands; attention with its masks. */

import { describe, expect, test } from "vitest";
import {
  add, cat, linear, lessEqual, matmul, permute, relu, reshape, scaledDotProductAttention, softmax, transpose, unsqueeze,
} from "../../src/ops/index.ts"; // prettier-ignore
import "../../src/ops/methods.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectCompiledFn } from "./support.ts";

manualSeed(41);

const shapes = [
  [[5, 7], [7, 3]],
  [[1, 7], [7, 50]],
  [[2, 5, 7], [7, 9]],
  [[2, 3, 5, 7], [2, 3, 7, 4]],
  [[3, 5, 7], [2, 1, 7, 4]],
  [[2, 1, 5, 7], [3, 7, 4]],
  [[7], [7]],
  [[7], [3, 7, 2]],
  [[3, 5, 7], [7]],
  [[4, 1100], [1100, 10]],
  [[0, 5], [5, 2]],
  [[2, 5], [5, 0]],
  [[3, 0], [0, 2]],
  [[2, 3, 1, 1], [2, 3, 1, 1]],
] as const; // prettier-ignore

test.each(shapes)("%j times %j", (a, b) => {
  expectCompiledFn((x, y) => matmul(x, y), [randn([...a]), randn([...b])]);
  const stored = randn([...b]);
  expectCompiledFn((x) => relu(matmul(x, stored)), [randn([...a])]);
});

test("permuted operands are read where they lie", () => {
  const kernels = expectCompiledFn(
    (x, y) => {
      const [q, k] = [x, y].map((v) => permute(reshape(v, [2, 5, 3, 4]), [0, 2, 1, 3]));
      return matmul(softmax(matmul(q!, transpose(k!, -1, -2)), -1), k!);
    },
    [randn([2, 5, 12]), randn([2, 5, 12])],
  );
  expect(kernels.filter((kernel) => /permute|transpose|copy/.test(kernel))).toEqual([]);
});

test("permuted values that others read are made", () => {
  expectCompiledFn((x) => add(permute(x, [2, 0, 1]), 1), [randn([2, 3, 4])]);
  expectCompiledFn((x) => transpose(x, 1, 2), [randn([3, 9, 17])]);
  expectCompiledFn((x) => matmul(transpose(x, 0, 1), x), [randn([6, 5])]);
});

test("linear layers with stored and computed weights", () => {
  const [w, b] = [randn([6, 5]), randn([6])];
  for (const shape of [[5], [1, 5], [3, 5], [2, 3, 5], [0, 5]])
    expectCompiledFn((x) => linear(x, w, b), [randn(shape)]);
  expectCompiledFn((x, y, z) => linear(x, y, z), [randn([3, 5]), w, b]);
  expectCompiledFn((x, y) => relu(linear(permute(x, [1, 0, 2]), y)), [randn([4, 3, 5]), w]);
});

describe("attention", () => {
  const [q, k, v] = [randn([2, 3, 5, 8]), randn([2, 3, 7, 8]), randn([2, 3, 7, 6])];
  const call = (options: object, ...more: Tensor[]): string[] =>
    expectCompiledFn(
      (a, b, c, mask) => {
        return scaledDotProductAttention(a, b, c, mask ? { attnMask: mask, ...options } : options);
      },
      [q, k, v, ...more],
    );

  test("plain, scaled, causal", () => {
    expect(call({}).some((kernel) => kernel.startsWith("f32 attention"))).toBe(true);
    call({ scale: 0.3 });
    expectCompiledFn((a, b) => scaledDotProductAttention(a, b, b, { isCausal: true }), [q, randn([2, 3, 5, 8])]);
  });

  test("with masks of floats that broadcast", () => {
    for (const shape of [
      [5, 7],
      [2, 1, 1, 7],
      [1, 3, 5, 1],
      [2, 3, 5, 7],
    ])
      call({}, randn(shape));
  });

  test("rows that may see nothing are zero", () => {
    const mask = new Tensor(
      "float32",
      [5, 7],
      Float32Array.from({ length: 35 }, (_, i) => (i < 14 || i % 2 ? -Infinity : 0)),
    );
    call({}, mask);
    const seen = new Tensor(
      "bool",
      [5, 7],
      Uint8Array.from(mask.data, (m) => Number(m === 0)),
    );
    call({ attnMask: seen });
    expectCompiledFn(
      (a, b, c) => scaledDotProductAttention(a, b, c, { attnMask: lessEqual(b.sum(-1).unsqueeze(-2), 0) }),
      [q, k, v],
    );
  });

  test("of batches that broadcast, and of heads taken out of one tensor", () => {
    expectCompiledFn((a, b) => scaledDotProductAttention(a, b, b), [q, randn([3, 9, 8])]);
    const kernels = expectCompiledFn(
      (x) => {
        const [a, b, c] = [0, 1, 2].map((i) =>
          permute(reshape(x.slice(2, 12 * i, 12 * i + 12), [2, 5, 3, 4]), [0, 2, 1, 3]),
        );
        return reshape(permute(scaledDotProductAttention(a!, b!, c!), [0, 2, 1, 3]), [2, 5, 12]);
      },
      [randn([2, 5, 36])],
    );
    expect(kernels.filter((kernel) => kernel === "permute")).toHaveLength(1);
  });
});

test("joins and slices of sequences stay row-major", () => {
  const token = randn([1, 1, 6]);
  const kernels = expectCompiledFn((x) => cat([token.expand([2, 1, 6]), x], 1).slice(1, 0, 1), [randn([2, 4, 6])]);
  expect(kernels).not.toContain("transpose");
  expectCompiledFn((x) => unsqueeze(x.slice(0, 1, 5, 2), 0).flip([1, 2]), [randn([6, 3])]);
});
