/** Products of two computed tensors of bytes are the reference's bits, in every build. */

import { describe, expect, test } from "vitest";
import { dequantize, matmul, permute, reshape, transpose } from "../../src/ops/index.ts";
import "../../src/ops/methods.ts";
import { quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { quantizedMatmul } from "../../src/ops/quantized/joins.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { dtypeInfo } from "../../src/tensor/dtype.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { expectCompiledFn } from "./support.ts";

manualSeed(53);

const shapes = [
  [[5, 7], [7, 3]],
  [[1, 7], [7, 50]],
  [[2, 5, 7], [7, 9]],
  [[2, 3, 5, 16], [2, 3, 16, 8]],
  [[3, 5, 7], [2, 1, 7, 4]],
  [[7], [7]],
  [[7], [3, 7, 2]],
  [[3, 5, 7], [7]],
  [[13, 300], [300, 10]],
  [[0, 5], [5, 2]],
  [[2, 5], [5, 0]],
  [[1, 1], [1, 1]],
] as const; // prettier-ignore

describe.each(["quint8", "qint8"] as const)("%s", (dtype) => {
  const { min, max } = dtypeInfo[dtype];
  const middle = min + 128;

  test.each(shapes)("%j times %j", (a, b) => {
    for (const [za, zb, zy] of [
      [middle, middle + 3, middle],
      [min, max, max],
      [max, min, min],
      [middle, min, middle],
    ]) {
      // prettier-ignore
      const kernels = expectCompiledFn((x, y) => {
        const [left, right] = [quantizePerTensor(x, 0.02, za!, dtype), quantizePerTensor(y, 0.03, zb!, dtype)];
        return quantizedMatmul(left, right, { scale: 0.07, zeroPoint: zy! });
      }, [randn([...a]), randn([...b])]);
      expect(kernels).toContain("pack, qgemm, quantize");
    }
  });
});

test("heads are read where they lie", () => {
  const heads = (x: Tensor): Tensor =>
    permute(reshape(quantizePerTensor(x, 0.02, 120, "quint8"), [2, 5, 3, 4]), [0, 2, 1, 3]);
  const kernels = expectCompiledFn(
    (x, y) => quantizedMatmul(heads(x), transpose(heads(y), -1, -2), { scale: 0.05, zeroPoint: 128 }),
    [randn([2, 5, 12]), randn([2, 5, 12])],
  );
  expect(kernels).not.toContain("permute");
});

test("the exact sum is within a step of the sum of dequantized numbers", () => {
  const [a, b] = [
    quantizePerTensor(randn([9, 40]), 0.02, 120, "quint8"),
    quantizePerTensor(randn([40, 11]), 0.03, 7, "quint8"),
  ];
  const given = quantizedMatmul(a, b, { scale: 0.1, zeroPoint: 100 });
  const real = quantizePerTensor(matmul(dequantize(a), dequantize(b)), 0.1, 100, "quint8");
  const steps = [...given.data].map((q, i) => Math.abs(q - real.data[i]!));
  expect(Math.max(...steps)).toBeLessThanOrEqual(1);
  expect(steps.filter((step) => step > 0).length).toBeLessThanOrEqual(1);
});
