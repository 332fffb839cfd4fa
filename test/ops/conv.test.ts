/** Convolutions: kernels against the plain loops on random shapes, options, and what is refused. */

import { describe, expect, it } from "vitest";
import { ArgumentError, DtypeError, ShapeError } from "../../src/errors.ts";
import { conv1d, conv2d, conv3d } from "../../src/ops/conv.ts";
import { convTranspose1d, convTranspose2d, convTranspose3d } from "../../src/ops/conv-transpose.ts";
import { cast } from "../../src/ops/unary.ts";
import { ones, randn, tensor, zeros } from "../../src/tensor/create.ts";
import { grad } from "../../src/autograd/backward.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** float32 kernels against loops in double: a few roundings of sums of some hundred terms. */
const KERNEL_BUDGET = 2e-6;

function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual(expected.shape);
  const largest = Math.max(1, ...Array.from(expected.data as Float64Array, Math.abs));
  expected.data.forEach((v, i) => expect(Math.abs(actual.data[i]! - v)).toBeLessThan(KERNEL_BUDGET * largest));
}

const convolutions = { 1: conv1d, 2: conv2d, 3: conv3d };
const transposed = { 1: convTranspose1d, 2: convTranspose2d, 3: convTranspose3d };

interface Problem {
  readonly rank: 1 | 2 | 3;
  readonly groups: number;
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly options: { stride: number[]; padding: number[]; dilation: number[]; groups: number };
}

/** A random convolution (or transposed one) whose output is not empty. */
function draw(generator: Generator, isTransposed: boolean): Problem {
  const rank = (1 + generator.integer(3)) as 1 | 2 | 3;
  const groups = 1 + generator.integer(3);
  const [inputs, outputs] = [groups * (1 + generator.integer(4)), groups * (1 + generator.integer(4))];
  const each = (low: number, count: number): number[] =>
    Array.from({ length: rank }, () => low + generator.integer(count));
  const kernel = each(1, 3);
  const options = { stride: each(1, 2), padding: each(0, 2), dilation: each(1, 2), groups };
  const size = each(6, 4);
  const weightShape = isTransposed ? [inputs, outputs / groups, ...kernel] : [outputs, inputs / groups, ...kernel];
  return {
    rank,
    groups,
    x: randn([2, inputs, ...size], { generator }),
    weight: randn(weightShape, { generator }),
    bias: randn([outputs], { generator }),
    options,
  };
}

function gradientsOf(y: Tensor, inputs: readonly Tensor[]): Tensor[] {
  return grad(y, inputs, { gradient: ones(y.shape, { dtype: y.dtype }) }).map((one) => one!);
}

describe.each([
  ["convolution", false],
  ["transposed convolution", true],
] as const)("%s", (_, isTransposed) => {
  it.each(Array.from({ length: 25 }, (__, seed) => seed))("float32 kernels agree with the loops, seed %i", (seed) => {
    const { rank, x, weight, bias, options } = draw(new Generator(seed), isTransposed);
    const run = (isTransposed ? transposed : convolutions)[rank];
    const single = [x, weight, bias].map((t) => t.requireGrad());
    const double = [x, weight, bias].map((t) => cast(t.detach(), "float64").requireGrad());
    const y = run(single[0]!, single[1]!, single[2], options);
    const exact = run(double[0]!, double[1]!, double[2], options);
    expectClose(y, exact);
    const expected = gradientsOf(exact, double);
    gradientsOf(y, single).forEach((one, i) => expectClose(one, expected[i]!));
  });
});

describe("options", () => {
  it("pads the end once more where same padding is odd", () => {
    const x = tensor([[[1, 2, 3]]]);
    const weight = tensor([[[10, 1]]]);
    expect(conv1d(x, weight, null, { padding: "same" }).tolist()).toEqual([[[12, 23, 30]]]);
  });

  it("takes an empty batch", () => {
    expect(conv2d(zeros([0, 2, 4, 4]), zeros([3, 2, 3, 3])).shape).toEqual([0, 3, 2, 2]);
  });

  it("takes one sample without a batch axis", () => {
    expect(conv2d(zeros([2, 4, 4]), zeros([3, 2, 3, 3])).shape).toEqual([3, 2, 2]);
  });
});

describe("refusals", () => {
  const x = zeros([1, 4, 5, 5]);
  const weight = zeros([6, 4, 3, 3]);

  it("names the shapes when channels do not fit", () => {
    expect(() => conv2d(x, zeros([6, 3, 3, 3]))).toThrow(ShapeError);
    expect(() => conv2d(x, zeros([6, 3, 3, 3]))).toThrow("[1, 4, 5, 5]");
    expect(() => conv2d(x, weight, null, { groups: 3 })).toThrow(ShapeError);
    expect(() => conv2d(x, zeros([5, 2, 3, 3]), null, { groups: 2 })).toThrow("multiple of groups");
  });

  it("a kernel larger than the input", () => {
    expect(() => conv2d(zeros([1, 4, 2, 2]), weight)).toThrow("must fit into the padded input");
  });

  it("options of the wrong length or value", () => {
    expect(() => conv2d(x, weight, null, { stride: [1, 1, 1] })).toThrow(ArgumentError);
    expect(() => conv2d(x, weight, null, { stride: 0 })).toThrow(ArgumentError);
    expect(() => conv2d(x, weight, null, { padding: -1 })).toThrow(ArgumentError);
    expect(() => conv2d(x, weight, null, { stride: 2, padding: "same" })).toThrow("stride 1");
    expect(() => convTranspose2d(x, zeros([4, 2, 3, 3]), null, { outputPadding: 1 })).toThrow("outputPadding");
  });

  it("mixed dtypes, integers and a bias of the wrong size", () => {
    expect(() => conv2d(cast(x, "float64"), weight)).toThrow(DtypeError);
    expect(() => conv2d(cast(x, "int32"), cast(weight, "int32"))).toThrow(DtypeError);
    expect(() => conv2d(x, weight, zeros([5]))).toThrow("bias");
  });
});
