/** Sums are exact however large they are: by one float32 product, by two, or in double precision. */

import { describe, expect, it } from "vitest";
import { linearSums } from "../../../src/ops/quantized/accumulate.ts";
import { allocate } from "../../../src/tensor/dtype.ts";
import { perTensor } from "../../../src/tensor/qparams.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";

function filled(
  dtype: "quint8" | "qint8",
  shape: readonly [number, number],
  zeroPoint: number,
  at: (i: number) => number,
): Tensor {
  const data = allocate(dtype, shape[0] * shape[1]);
  for (let i = 0; i < data.length; i++) data[i] = at(i);
  return new Tensor(dtype, shape, data, perTensor(1, zeroPoint));
}

describe("linearSums", () => {
  it.each([7, 500, 3000, 40_000])("of %i products", (k) => {
    const x = filled("quint8", [2, k], 3, (i) => 255 - (i % 5));
    const w = filled("qint8", [3, k], -1, (i) => (i % 7 === 0 ? -128 : 127 - (i % 11)));
    const sums = linearSums(x, w);
    for (let row = 0; row < 2; row++) {
      for (let channel = 0; channel < 3; channel++) {
        let expected = 0;
        for (let i = 0; i < k; i++) expected += (x.data[row * k + i]! - 3) * (w.data[channel * k + i]! + 1);
        expect(sums[row * 3 + channel]).toBe(expected);
      }
    }
  });
});
