/** Pools: positions of maxima, quantized input, and what is refused. */

import { describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors.ts";
import { adaptiveAvgPool2d, avgPool2d } from "../../src/ops/avg-pool.ts";
import {
  adaptiveMaxPool1dWithIndices,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
} from "../../src/ops/max-pool.ts";
import { fromArray, tensor, zeros } from "../../src/tensor/create.ts";
import { perTensor } from "../../src/tensor/qparams.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

describe("positions of maxima", () => {
  it("count inside the plane, ignoring padding", () => {
    const x = tensor([[[3, 1, 4, 1, 5, 9]]]);
    const [values, indices] = maxPool1dWithIndices(x, 3, { stride: 2, padding: 1 });
    expect(values.tolist()).toEqual([[[3, 4, 9]]]);
    expect(indices.tolist()).toEqual([[[0, 2, 5]]]);
    expect(indices.dtype).toBe("int64");
  });

  it("are the first of equal values, and NaN wins", () => {
    const x = fromArray([1, 1, 1, 1, 2, NaN, 3, 0], [1, 2, 2, 2]);
    const [values, indices] = maxPool2dWithIndices(x, 2);
    expect(values.tolist()).toEqual([[[[1]], [[NaN]]]]);
    expect(indices.tolist()).toEqual([[[[0]], [[1]]]]);
  });

  it("exist for adaptive pools too", () => {
    const [values, indices] = adaptiveMaxPool1dWithIndices(tensor([[[1, 5, 2, 0]]]), 2);
    expect(values.tolist()).toEqual([[[5, 2]]]);
    expect(indices.tolist()).toEqual([[[1, 2]]]);
  });
});

it("max pooling keeps quantized tensors quantized", () => {
  const x = new Tensor("quint8", [1, 1, 2, 2], Uint8Array.of(3, 200, 7, 9), perTensor(0.5, 10));
  const y = maxPool2d(x, 2);
  expect(y.dtype).toBe("quint8");
  expect(y.qparams).toEqual(perTensor(0.5, 10));
  expect(y.tolist()).toEqual([[[[200]]]]);
});

describe("refusals", () => {
  const x = zeros([1, 2, 4, 4]);

  it("windows that do not fit, with the numbers", () => {
    expect(() => maxPool2d(x, 5)).toThrow(ShapeError);
    expect(() => maxPool2d(x, 5)).toThrow("[1, 2, 4, 4]");
    expect(() => avgPool2d(zeros([4, 4]), 2)).toThrow(ShapeError);
    expect(() => adaptiveAvgPool2d(zeros([1, 2, 0, 4]), 2)).toThrow(ShapeError);
  });

  it("options outside their values", () => {
    expect(() => maxPool2d(x, 2, { padding: 2 })).toThrow("half of the kernel");
    expect(() => avgPool2d(x, 0)).toThrow(ArgumentError);
    expect(() => avgPool2d(x, 2, { divisorOverride: 0 })).toThrow(ArgumentError);
    expect(() => adaptiveAvgPool2d(x, [0, 2])).toThrow(ArgumentError);
  });
});
