import { describe, expect, it } from "vitest";
import { quantizePerTensor } from "../../../src/ops/index.ts";
import {
  computeCosineSimilarity,
  computeNormalizedL2Error,
  computeSqnr,
} from "../../../src/quantization/suite/index.ts";
import { fromArray } from "../../../src/tensor/create.ts";

const x = fromArray([1, -2, 3, 0.5], [4]);
const y = fromArray([1.1, -2, 2.75, 0.5], [4]);

describe("metrics", () => {
  it("are PyTorch's numbers", () => {
    expect(computeSqnr(x, y)).toBeCloseTo(22.93477, 4);
    expect(computeNormalizedL2Error(x, y)).toBeCloseTo(0.07132825, 6);
    expect(computeCosineSimilarity(x, y)).toBeCloseTo(0.99835336, 6);
  });

  it("dequantize, and take lists", () => {
    const q = quantizePerTensor(x, 0.5, 0, "qint8");
    expect(computeSqnr(x, q)).toBe(Infinity);
    expect(computeNormalizedL2Error([x, x], [q, q])).toEqual([0, 0]);
  });

  it("refuse tensors of different sizes", () => {
    expect(() => computeSqnr(x, fromArray([1], [1]))).toThrow(/same shape/);
    expect(() => computeSqnr([x], [x, x])).toThrow(/same length/);
  });
});
