/**
 * Sums of integer convolutions are exact also where float convolutions take Winograd transforms, which are not.
 */

import { describe, expect, it } from "vitest";
import { convSums, convTransposeSums } from "../../../src/ops/quantized/accumulate.ts";
import { perTensor } from "../../../src/tensor/qparams.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";

const CHANNELS = 16;
const SIZE = 12;
const attrs = { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };

/** Integers that look random and are the same in every run. */
function integers(dtype: "quint8" | "qint8", shape: readonly number[], zeroPoint: number): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  const low = dtype === "quint8" ? 0 : -128;
  const data = Float64Array.from({ length }, (_, i) => low + ((i * 7919 + 13 * (i % 97)) % 256));
  return new Tensor(
    dtype,
    shape,
    dtype === "quint8" ? Uint8Array.from(data) : Int8Array.from(data),
    perTensor(0.1, zeroPoint),
  );
}

describe("sums of integer products", () => {
  const x = integers("quint8", [2, CHANNELS, SIZE, SIZE], 37);
  const weight = integers("qint8", [CHANNELS, CHANNELS, 3, 3], 0);
  const shape = [2, CHANNELS, SIZE, SIZE];

  it.each([
    ["a convolution", convSums(x, weight, shape, attrs)],
    ["a transposed convolution", convTransposeSums(x, weight, shape, { ...attrs })],
  ])("are integers after %s", (_, sums) => {
    expect(Array.from(sums).filter((v) => !Number.isInteger(v))).toEqual([]);
  });
});
