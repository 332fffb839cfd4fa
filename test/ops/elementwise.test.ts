/** Elementwise operators where they are easily got wrong: promotion, literals, NaN, knots, small floats. Values are PyTorch's. */

import { describe, expect, it } from "vitest";
import "../../src/ops/methods.ts";
import { DtypeError, ShapeError } from "../../src/errors.ts";
import * as ops from "../../src/ops/index.ts";
import { fromArray, scalar, tensor } from "../../src/tensor/create.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const int = (...values: number[]): Tensor => tensor(values, { dtype: "int64" });

/** Gradient of the sum of f at the given points. */
function slopes(f: (x: Tensor) => Tensor, ...at: number[]): number[] {
  const x = tensor(at).requireGrad();
  f(x).sum().backward();
  return Array.from(x.grad!.data);
}

describe("promotion", () => {
  it.each<[string, Tensor, DType]>([
    ["int + int literal", int(1).add(2), "int64"],
    ["int * fraction", int(1).mul(0.5), "float32"],
    ["int / int", int(7).div(2), "float32"],
    ["bool * int literal", tensor([true]).mul(3), "int64"],
    ["float32 * float64 without axes", tensor([1]).mul(scalar(2, "float64")), "float32"],
    ["float32 * float64", tensor([1]).mul(tensor([2], { dtype: "float64" })), "float64"],
    ["int + float without axes", int(1).add(scalar(0.5)), "float32"],
    ["sum of ints", ops.sum(tensor([1, 2], { dtype: "int8" })), "int64"],
    ["sum of bools", tensor([true, true]).sum(), "int64"],
    ["comparison", tensor([1]).less(2), "bool"],
    ["cat of int and float", ops.cat([int(1), tensor([0.5])]), "float32"],
  ])("%s", (_, result, dtype) => expect(result.dtype).toBe(dtype));

  it("adds bools as truth values", () =>
    expect(
      tensor([true, false])
        .add(tensor([true, false]))
        .tolist(),
    ).toEqual([1, 0]));

  it("wraps integers around", () => {
    expect(tensor([200], { dtype: "uint8" }).add(100).tolist()).toEqual([44]);
    expect(tensor([-128], { dtype: "int8" }).neg().tolist()).toEqual([-128]);
  });

  it("rounds a literal to the tensor's dtype", () => {
    expect(tensor([0.1]).equal(0.1).tolist()).toEqual([1]);
    expect(tensor([0.1]).greater(0.1).tolist()).toEqual([0]);
  });

  it("rounds results in small floats", () => {
    const x = ops.cast(tensor([1, 2049, 70000]), "float16");
    expect(x.tolist()).toEqual([1, 2048, Infinity]);
    expect(x.add(1).tolist()).toEqual([2, 2048, Infinity]);
    expect(
      ops
        .cast(tensor([1.004]), "bfloat16")
        .mul(1.004)
        .tolist(),
    ).toEqual([1.015625]);
  });

  it("gives gradients in the dtype of the input", () => {
    const x = tensor([1, 2]).requireGrad();
    x.mul(tensor([3, 4], { dtype: "float64" }))
      .sum()
      .backward();
    expect(x.grad!.dtype).toBe("float32");
  });

  it("names what does not broadcast", () => {
    expect(() => tensor([1, 2]).add(tensor([1, 2, 3]))).toThrow(ShapeError);
    expect(() => ops.silu(int(1))).toThrow(DtypeError);
    expect(() => tensor([1]).bitwiseAnd(1)).toThrow(DtypeError);
  });
});

describe("NaN", () => {
  const nan = tensor([NaN, NaN, 1]);
  it.each<[string, Tensor]>([
    ["relu", ops.relu(nan)],
    ["relu6", ops.relu6(nan)],
    ["hardtanh", ops.hardtanh(nan)],
    ["clamp", nan.clamp(0, 1)],
    ["maximum", nan.maximum(0)],
    ["hardsigmoid", ops.hardsigmoid(nan)],
    ["leakyRelu", ops.leakyRelu(nan)],
  ])("goes through %s", (_, y) => expect(Number.isNaN(y.data[0]) && !Number.isNaN(y.data[2])).toBe(true));

  it("has PyTorch's gradients", () => {
    expect(slopes(ops.relu, NaN)).toEqual([1]);
    expect(slopes(ops.hardtanh, NaN)).toEqual([0]);
    expect(slopes((x) => x.clamp(0, 1), NaN)).toEqual([0]);
  });
});

describe("gradients at knots", () => {
  it.each<[string, (x: Tensor) => Tensor, number[], number[]]>([
    ["relu", ops.relu, [0], [0]],
    ["relu6", ops.relu6, [0, 6], [0, 0]],
    ["clamp", (x) => x.clamp(-1, 1), [-1, 1], [1, 1]],
    ["hardtanh", ops.hardtanh, [-1, 1], [0, 0]],
    ["hardswish", ops.hardswish, [-3, 3], [0, 1]],
    ["abs", ops.abs, [0], [0]],
    ["elu", (x) => ops.elu(x, { alpha: 0.5 }), [0], [0.5]],
    ["leakyRelu", (x) => ops.leakyRelu(x, { negativeSlope: 0.25 }), [0], [0.25]],
    ["pow 0 at 0", (x) => x.pow(0), [0], [0]],
  ])("%s", (_, f, at, expected) => expect(slopes(f, ...at)).toEqual(expected));

  it("shares ties", () => {
    expect(slopes((x) => x.maximum(x.detach()), 1)).toEqual([0.5]);
    expect(slopes((x) => x.amax(), 1, 3, 3)).toEqual([0, 0.5, 0.5]);
    expect(slopes((x) => x.max(0).values, 1, 3, 3)).toEqual([0, 1, 0]);
  });
});

describe("special cases", () => {
  it("casts as x86 does", () => {
    expect(tensor([1.9, -1.9, NaN, -0.4]).cast("int32").tolist()).toEqual([1, -1, -2147483648, 0]);
    expect(tensor([1.9, NaN, -0.4]).cast("bool").tolist()).toEqual([1, 1, 1]);
  });

  it("takes remainders with the divisor's sign", () => {
    expect(int(7, -7).remainder(3).tolist()).toEqual([1, 2]);
    expect(int(7, -7).remainder(-3).tolist()).toEqual([-2, -1]);
  });

  it("raises to powers as C does", () => {
    expect(ops.pow(1, tensor([NaN, Infinity])).tolist()).toEqual([1, 1]);
    expect(tensor([-Infinity]).pow(0.5).tolist()).toEqual([NaN]);
  });

  it("gives NaN for a lane that is all masked", () => {
    expect(
      ops
        .softmax(
          tensor([
            [-Infinity, -Infinity],
            [0, -Infinity],
          ]),
          1,
        )
        .tolist(),
    ).toEqual([
      [NaN, NaN],
      [1, 0],
    ]);
  });

  it("works with large 64-bit integers", () => {
    const big = fromArray([2 ** 40 + 6], [1], "int64");
    expect(big.bitwiseAnd(3).tolist()).toEqual([2]);
    expect(big.bitwiseOr(1).tolist()).toEqual([2 ** 40 + 7]);
  });
});
