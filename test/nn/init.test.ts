/** Initial values: the distributions PyTorch documents, drawn from a seeded generator. */

import { beforeEach, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors.ts";
import { Conv2d, ConvTranspose2d, Embedding, init, Linear, LSTM, MultiheadAttention } from "../../src/nn/index.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Sample moments of some ten thousand draws are this close, relatively. */
const MOMENTS = 0.05;

function moments(tensor: Tensor): { mean: number; std: number; low: number; high: number } {
  const values = Array.from(tensor.data as Float32Array);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const std = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
  return { mean, std, low: Math.min(...values), high: Math.max(...values) };
}

function expectUniform(tensor: Tensor, bound: number): void {
  const { mean, std, low, high } = moments(tensor);
  expect(Math.abs(mean)).toBeLessThan(MOMENTS * bound);
  expect(Math.abs(std / (bound / Math.sqrt(3)) - 1)).toBeLessThan(MOMENTS);
  expect(low).toBeGreaterThanOrEqual(-bound);
  expect(high).toBeLessThanOrEqual(bound);
}

function expectNormal(tensor: Tensor, std: number): void {
  const found = moments(tensor);
  expect(Math.abs(found.mean)).toBeLessThan(MOMENTS * std);
  expect(Math.abs(found.std / std - 1)).toBeLessThan(MOMENTS);
}

beforeEach(() => void manualSeed(11));

describe("init functions", () => {
  const weight = (): Tensor => zeros([60, 20, 3, 3]); // fan in 180, fan out 540

  it("kaiming", () => {
    expectUniform(init.kaimingUniform(weight()), Math.sqrt(3) * Math.sqrt(2 / 180));
    expectUniform(init.kaimingUniform(weight(), { a: Math.sqrt(5) }), 1 / Math.sqrt(180));
    expectNormal(init.kaimingNormal(weight(), { mode: "fanOut", nonlinearity: "relu" }), Math.sqrt(2 / 540));
  });

  it("xavier", () => {
    expectUniform(init.xavierUniform(weight()), Math.sqrt(6 / 720));
    expectNormal(init.xavierNormal(weight(), 2), 2 * Math.sqrt(2 / 720));
  });

  it("normal, truncated normal, constants", () => {
    expectNormal(init.normal(weight(), 0, 0.3), 0.3);
    const { low, high } = moments(init.truncNormal(weight(), 0, 1, -0.5, 1));
    expect(low).toBeGreaterThanOrEqual(-0.5);
    expect(high).toBeLessThanOrEqual(1);
    expect(new Set(init.ones(weight()).data as Float32Array)).toEqual(new Set([1]));
  });

  it("gains", () => {
    expect(init.calculateGain("relu")).toBe(Math.SQRT2);
    expect(init.calculateGain("tanh")).toBe(5 / 3);
    expect(init.calculateGain("leakyRelu", 1)).toBe(1);
    expect(init.calculateGain("linear")).toBe(1);
  });

  it("refuse vectors, which have no fans, and impossible intervals", () => {
    expect(() => init.kaimingUniform(zeros([5]))).toThrow(ShapeError);
    expect(() => init.truncNormal(zeros([2]), 0, 1, 2, 1)).toThrow(ArgumentError);
  });
});

describe("default initial values of layers", () => {
  it("Linear and Conv2d: uniform by fan in", () => {
    const linear = new Linear(400, 100);
    expectUniform(linear.weight, 1 / 20);
    expectUniform(new Conv2d(32, 64, 3, { groups: 2 }).weight, 1 / 12);
    expect(Math.max(...linear.bias!.data)).toBeLessThanOrEqual(1 / 20);
  });

  it("ConvTranspose2d: fan in counts its second axis", () => {
    expectUniform(new ConvTranspose2d(64, 16, 3).weight, 1 / 12);
  });

  it("Embedding: normal, with a zero padding row", () => {
    const { weight } = new Embedding(100, 100, { paddingIdx: -1 });
    expect(new Set(weight.data.slice(9900))).toEqual(new Set([0]));
    expectNormal(weight, Math.sqrt(0.99));
  });

  it("LSTM: uniform by hidden size; attention: xavier and zero biases", () => {
    expectUniform(new LSTM(30, 64).layerWeights(0).weightHh, 1 / 8);
    const attention = new MultiheadAttention(64, 4);
    expectUniform(attention.inProjWeight!, Math.sqrt(6 / 256));
    expect(new Set(attention.inProjBias!.data)).toEqual(new Set([0]));
    expect(new Set(attention.outProj.bias!.data)).toEqual(new Set([0]));
  });

  it("repeat with the seed", () => {
    const draw = (): number[] => {
      manualSeed(3);
      return [...new Linear(3, 2).weight.data];
    };
    expect(draw()).toEqual(draw());
  });
});
