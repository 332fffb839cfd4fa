/** Quantized operators against the float ones on dequantized tensors: never more than half a step, and a tie, away. */

import { describe, expect, it } from "vitest";
import { DtypeError } from "../../../src/errors.ts";
import * as ops from "../../../src/ops/index.ts";
import {
  quantizedAdd,
  quantizedAddScalar,
  quantizedMul,
  quantizedMulScalar,
} from "../../../src/ops/quantized/arithmetic.ts";
import { quantizedConv2d, quantizedConvAdd2d } from "../../../src/ops/quantized/conv.ts";
import { convDynamic, linearDynamic, linearDynamicFp16 } from "../../../src/ops/quantized/dynamic.ts";
import { quantizedCat, quantizedMatmul } from "../../../src/ops/quantized/joins.ts";
import { quantizedLinearLeakyRelu, quantizedLinearTanh } from "../../../src/ops/quantized/linear-activation.ts";
import { quantizedLinear } from "../../../src/ops/quantized/linear.ts";
import type { QEngine } from "../../../src/ops/quantized/engines.ts";
import { randn } from "../../../src/tensor/create.ts";
import { rint } from "../../../src/tensor/rounding.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

const generator = new Generator(11);
const random = (...shape: number[]): Tensor => randn(shape, { generator });
const activation = (...shape: number[]): Tensor => ops.quantizePerTensor(random(...shape), 0.03, 120, "quint8");
const weight = (...shape: number[]): Tensor => ops.quantizePerTensor(random(...shape), 0.02, 0, "qint8");
const OUT = { scale: 0.05, zeroPoint: 110 };

/** Every integer is the float result's, or its neighbour; saturation included. */
function near(actual: Tensor, float: Tensor): void {
  const { scale, zeroPoint } = actual.qparams as { scale: number; zeroPoint: number };
  expect(actual.shape).toEqual(float.shape);
  actual.data.forEach((q, i) => {
    const exact = Math.min(Math.max(float.data[i]! / scale + zeroPoint, 0), 255);
    expect(Math.abs(q - exact)).toBeLessThanOrEqual(0.501);
  });
}

const { dequantize: d } = ops;
const engines: readonly QEngine[] = ["fbgemm", "x86", "qnnpack", "onednn"];

describe.each(engines)("engine %s", (engine) => {
  it("linear, with and without ReLU", () => {
    const [x, w, b] = [activation(5, 7), weight(3, 7), random(3)];
    near(quantizedLinear(x, w, b, { ...OUT, engine }), ops.linear(d(x), d(w), b));
    near(quantizedLinear(x, w, b, { ...OUT, engine, relu: true }), ops.relu(ops.linear(d(x), d(w), b)));
  });

  it("grouped, strided, dilated convolution", () => {
    const [x, w, b] = [activation(2, 4, 9, 8), weight(6, 2, 3, 3), random(6)];
    const options = { stride: [2, 1], padding: 2, dilation: [1, 2], groups: 2 };
    near(quantizedConv2d(x, w, b, { ...OUT, ...options, engine }), ops.conv2d(d(x), d(w), b, options));
  });

  it("dynamic linear", () => {
    const [x, w, b] = [random(4, 6), weight(3, 6), random(3)];
    const got = linearDynamic(x, w, b, { engine });
    ops.linear(x, d(w), b).data.forEach((v, i) => expect(Math.abs(v - got.data[i]!)).toBeLessThan(0.2));
  });
});

describe("fusions", () => {
  it("convolution and sum", () => {
    const [x, w, b] = [activation(1, 3, 5, 5), weight(4, 3, 3, 3), random(4)];
    const other = activation(1, 4, 5, 5);
    const options = { ...OUT, padding: 1 };
    const sum = ops.add(ops.conv2d(d(x), d(w), b, { padding: 1 }), d(other));
    near(quantizedConvAdd2d(x, w, b, other, options), sum);
    near(quantizedConvAdd2d(x, w, b, other, { ...options, relu: true }), ops.relu(sum));
  });

  it("linear and an activation", () => {
    const [x, w, b] = [activation(4, 5), weight(3, 5), random(3)];
    const y = ops.linear(d(x), d(w), b);
    near(quantizedLinearLeakyRelu(x, w, b, { ...OUT, negativeSlope: 0.1 }), ops.leakyRelu(y, { negativeSlope: 0.1 }));
    near(quantizedLinearTanh(x, w, b, { scale: 2 / 256, zeroPoint: 128 }), ops.tanh(y));
  });

  it("dynamic convolution and 16-bit weights", () => {
    const [x, w, b] = [random(1, 2, 6, 6), weight(3, 2, 3, 3), random(3)];
    const got = convDynamic(2, x, w, b);
    ops.conv2d(x, d(w), b).data.forEach((v, i) => expect(Math.abs(v - got.data[i]!)).toBeLessThan(0.3));
    const [y, plain] = [random(2, 4), random(3, 4)];
    const half = ops.cast(ops.cast(plain, "float16"), "float32");
    expect([...linearDynamicFp16(y, half, null, { relu: true }).data]).toEqual([
      ...ops.relu(ops.linear(y, half, null)).data,
    ]);
  });
});

describe("arithmetic", () => {
  it.each([
    [
      [2, 3, 4],
      [2, 3, 4],
    ],
    [
      [2, 3, 4],
      [1, 3, 1],
    ],
    [[40, 9], [9]],
    [[1], [5, 67]],
  ])("broadcasts %j and %j", (left, right) => {
    const [x, y] = [activation(...left), activation(...right)];
    near(quantizedAdd(x, y, OUT), ops.add(d(x), d(y)));
    near(quantizedAdd(x, y, { ...OUT, relu: true }), ops.relu(ops.add(d(x), d(y))));
    near(quantizedMul(x, y, OUT), ops.mul(d(x), d(y)));
  });

  it("with numbers moves the parameters", () => {
    const x = activation(3, 5);
    for (const c of [-7, -0.4, 0.3, 2.5, 9]) near(quantizedAddScalar(x, c), ops.add(d(x), rint(c / 0.03) * 0.03));
    const doubled = quantizedMulScalar(x, 2);
    expect([...doubled.data]).toEqual([...x.data]);
    expect(doubled.qparams).toMatchObject({ scale: 0.06 });
    const mirrored = quantizedMulScalar(x, -2);
    mirrored.data.forEach((q, i) => expect(q).toBe(255 - x.data[i]!));
  });

  it("joins and multiplies", () => {
    const [x, y] = [activation(2, 3), ops.quantizePerTensor(random(2, 4), 0.1, 7, "quint8")];
    near(quantizedCat([x, y], { dim: 1, ...OUT }), ops.cat([d(x), d(y)], 1));
    const z = activation(3, 5);
    near(quantizedMatmul(x, z, OUT), ops.matmul(d(x), d(z)));
  });
});

describe("mistakes", () => {
  it("mixed dtypes and float tensors", () => {
    const x = activation(2, 3);
    expect(() => quantizedAdd(x, weight(2, 3), OUT)).toThrow(DtypeError);
    expect(() => quantizedAdd(x, random(2, 3), OUT)).toThrow(DtypeError);
    expect(() => quantizedLinear(x, random(2, 3), null, OUT)).toThrow(DtypeError);
    expect(() => quantizedLinear(x, weight(2, 4), null, OUT)).toThrow(/3.*4|4.*3/s);
  });

  it("parameters outside the dtype, engines that do not exist", () => {
    const [x, w] = [activation(2, 3), weight(2, 3)];
    expect(() => quantizedAdd(x, x, { scale: 0.1, zeroPoint: 300 })).toThrow(/300/);
    expect(() => quantizedAdd(x, x, { scale: -1, zeroPoint: 0 })).toThrow(/scale/);
    expect(() => quantizedLinear(x, w, null, { ...OUT, engine: "cuda" as never })).toThrow(/fbgemm/);
  });
});
