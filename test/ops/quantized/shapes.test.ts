/** Operators that only move values take quantized tensors and keep their parameters. */

import { describe, expect, it } from "vitest";
import {
  cat,
  chunk,
  dequantize,
  expand,
  flatten,
  flip,
  indexSelect,
  maxPool2d,
  movedim,
  narrow,
  permute,
  pixelShuffle,
  quantizePerChannel,
  quantizePerTensor,
  repeat,
  reshape,
  select,
  slice,
  split,
  squeeze,
  stack,
  transpose,
  unsqueeze,
} from "../../../src/ops/index.ts";
import { fromArray, randn } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

const cases: Readonly<Record<string, (x: Tensor) => Tensor | readonly Tensor[]>> = {
  reshape: (x) => reshape(x, [4, -1]),
  flatten: (x) => flatten(x, 1),
  permute: (x) => permute(x, [0, 2, 3, 1]),
  transpose: (x) => transpose(x, 1, 3),
  movedim: (x) => movedim(x, 1, -1),
  squeeze: (x) => squeeze(unsqueeze(x, 0), 0),
  unsqueeze: (x) => unsqueeze(x, 1),
  expand: (x) => expand(unsqueeze(x, 0), [3, 2, 4, 2, 2]),
  slice: (x) => slice(x, 1, 1, 4, 2),
  narrow: (x) => narrow(x, 1, 1, 2),
  select: (x) => select(x, 0, 1),
  chunk: (x) => chunk(x, 2, 1),
  split: (x) => split(x, 3, 1),
  flip: (x) => flip(x, [1, 2]),
  repeat: (x) => repeat(x, [2, 1, 1, 1]),
  indexSelect: (x) => indexSelect(x, 1, fromArray([3, 0], [2], "int64")),
  stack: (x) => stack([x, x]),
  cat: (x) => cat([x, x], 1),
  maxPool2d: (x) => maxPool2d(x, 2),
  pixelShuffle: (x) => pixelShuffle(x, 2),
};

function listOf(result: Tensor | readonly Tensor[]): readonly Tensor[] {
  return "dtype" in result ? [result] : result;
}

const float = randn([2, 4, 2, 2], { generator: new Generator(3) });

describe.each(["quint8", "qint8"] as const)("on %s", (dtype) => {
  const x = quantizePerTensor(float, 0.05, dtype === "quint8" ? 100 : -3, dtype);
  it.each(Object.keys(cases))("%s keeps the parameters", (name) => {
    const [got, expected] = [cases[name]!(x), cases[name]!(dequantize(x))];
    listOf(got).forEach((one, i) => {
      expect(one.qparams).toEqual(x.qparams);
      const plain = listOf(expected)[i]!;
      expect(one.shape).toEqual(plain.shape);
      expect([...dequantize(one).data]).toEqual([...plain.data]);
    });
  });
});

describe("per channel", () => {
  const x = quantizePerChannel(
    float,
    fromArray([0.1, 0.2, 0.3, 0.4], [4], "float64"),
    fromArray([0, 0, 0, 0], [4], "int64"),
    1,
    "qint8",
  );

  it("the axis moves along, or the operator refuses", () => {
    for (const [name, run] of Object.entries(cases)) {
      let got: Tensor | readonly Tensor[];
      try {
        got = run(x);
      } catch {
        continue;
      }
      const expected = run(dequantize(x));
      const [ones, plain] = [listOf(got), listOf(expected)];
      ones.forEach((one, i) => expect([...dequantize(one).data], name).toEqual([...plain[i]!.data]));
    }
  });
});
