/** Products: the kernel against the plain loops, and what is refused. */

import { describe, expect, it } from "vitest";
import { DtypeError, ShapeError } from "../../src/errors.ts";
import { bilinear, linear, linearReference } from "../../src/ops/linear.ts";
import { bmm, matmul, matmulReference, mm } from "../../src/ops/matmul.ts";
import { randn, zeros } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Shape } from "../../src/tensor/shape.ts";

/** Relative to sqrt(k): how far float32 sums of k products of standard normals may be off. */
const KERNEL_BUDGET = 1e-6;

const pairs: [Shape, Shape][] = [
  [[1, 1], [1, 1]], [[7, 13], [13, 9]], [[1, 300], [300, 50]], [[33, 700], [700, 17]], [[3, 2, 5], [5, 4]],
  [[2, 1, 3, 4], [5, 4, 2]], [[3, 4], [2, 4, 5]], [[5], [5]], [[4], [2, 4, 3]], [[2, 3, 4], [4]], [[0, 3], [3, 2]], [[2, 0], [0, 3]],
]; // prettier-ignore

describe("matmul", () => {
  it.each(pairs)("%j x %j equals the plain loops", (a, b) => {
    const generator = new Generator(a.length + b.length);
    const [x, y] = [randn(a, { generator }), randn(b, { generator })];
    const product = matmul(x, y);
    const expected = matmulReference(x, y, product);
    const budget = KERNEL_BUDGET * Math.sqrt(a.at(-1)!);
    expected.data.forEach((v, i) =>
      expect(Math.abs(product.data[i]! - v)).toBeLessThanOrEqual(budget * Math.max(1, Math.abs(v))),
    );
  });

  it("refuses shapes that do not meet, naming them", () => {
    expect(() => matmul(zeros([2, 3]), zeros([4, 2]))).toThrow(ShapeError);
    expect(() => matmul(zeros([2, 3]), zeros([4, 2]))).toThrow("[2, 3]");
    expect(() => matmul(zeros([]), zeros([2]))).toThrow(ShapeError);
    expect(() => matmul(zeros([2, 2, 3]), zeros([3, 3, 2]))).toThrow(ShapeError);
    expect(() => bmm(zeros([2, 3]), zeros([3, 2]))).toThrow("three axes");
    expect(() => mm(zeros([1, 2, 3]), zeros([3, 2]))).toThrow("matrices");
  });

  it("refuses integers and mixed dtypes", () => {
    expect(() => matmul(zeros([2, 2], { dtype: "int64" }), zeros([2, 2], { dtype: "int64" }))).toThrow(DtypeError);
    expect(() => matmul(zeros([2, 2]), zeros([2, 2], { dtype: "float64" }))).toThrow(DtypeError);
  });
});

describe("linear", () => {
  it("equals the plain loops", () => {
    const generator = new Generator(1);
    const [x, w, b] = [randn([3, 5, 37], { generator }), randn([11, 37], { generator }), randn([11], { generator })];
    const y = linear(x, w, b);
    const expected = linearReference(x, w, b, y);
    expected.data.forEach((v, i) => expect(Math.abs(y.data[i]! - v)).toBeLessThan(1e-5));
  });

  it("refuses weights and biases that do not fit", () => {
    expect(() => linear(zeros([2, 3]), zeros([4, 2]))).toThrow("weight.shape[1]");
    expect(() => linear(zeros([2, 3]), zeros([4, 3]), zeros([3]))).toThrow("bias");
    expect(() => bilinear(zeros([2, 3]), zeros([2, 4]), zeros([5, 4, 3]))).toThrow(ShapeError);
  });
});
