/** Embeddings, resizing, dropout and attention: what golden vectors do not show. */

import { describe, expect, it } from "vitest";
import { ArgumentError, DtypeError, ShapeError } from "../../src/errors.ts";
import { scaledDotProductAttention } from "../../src/ops/attention.ts";
import { alphaDropout, dropout, dropout2d } from "../../src/ops/dropout.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { embeddingBag } from "../../src/ops/embedding-bag.ts";
import { interpolate } from "../../src/ops/interpolate.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { ones, randn, tensor, zeros } from "../../src/tensor/create.ts";

const table = tensor([[1, 2], [3, 4], [5, 6]]); // prettier-ignore
const at = (values: number[] | number[][]) => tensor(values, { dtype: "int64" });

describe("embedding", () => {
  it("refuses rows that do not exist, naming row, position and table", () => {
    expect(() => embedding(at([0, 3]), table)).toThrow(ArgumentError);
    expect(() => embedding(at([0, 3]), table)).toThrow("index = 3, position = 1, numEmbeddings = 3");
    expect(() => embedding(at([-1]), table)).toThrow(ArgumentError);
    expect(() => embedding(zeros([2]), table)).toThrow(DtypeError);
    expect(() => embedding(at([0]), table, { paddingIdx: 3 })).toThrow("paddingIdx");
  });
});

describe("embeddingBag", () => {
  it("leaves padding out and gives zeros for empty bags", () => {
    const options = { offsets: at([0, 2, 2]), mode: "mean", paddingIdx: 1 } as const;
    expect(embeddingBag(at([0, 1, 2]), table, options).tolist()).toEqual([[1, 2], [0, 0], [5, 6]]); // prettier-ignore
    expect(embeddingBag(at([1, 1]), table, { offsets: at([0]), mode: "max", paddingIdx: 1 }).tolist()).toEqual([
      [0, 0],
    ]);
  });

  it("refuses offsets that are not offsets, and weights of samples outside mode sum", () => {
    expect(() => embeddingBag(at([0, 1]), table, { offsets: at([1]) })).toThrow("start at 0");
    expect(() => embeddingBag(at([0, 1]), table, { offsets: at([0, 2, 1]) })).toThrow("never fall");
    expect(() => embeddingBag(at([0, 1]), table)).toThrow(ShapeError);
    expect(() => embeddingBag(at([[0, 1]]), table, { perSampleWeights: ones([1, 2]) })).toThrow("mode sum");
  });
});

describe("interpolate", () => {
  const x = zeros([1, 1, 2, 2]);

  it("refuses modes and options that do not belong together", () => {
    expect(() => interpolate(x, { size: 4, mode: "linear" })).toThrow(ArgumentError);
    expect(() => interpolate(x, { size: 4, mode: "nearest", alignCorners: true })).toThrow("alignCorners");
    expect(() => interpolate(x, {})).toThrow("exactly one");
    expect(() => interpolate(x, { size: 4, scaleFactor: 2 })).toThrow("exactly one");
    expect(() => interpolate(x, { size: [4, 4, 4] })).toThrow(ArgumentError);
    expect(() => interpolate(x, { scaleFactor: 0.1 })).toThrow("must not be empty");
  });
});

describe("dropout", () => {
  it("keeps its rate and its mean, and repeats with a seed", () => {
    const x = ones([20000]);
    const draw = () => {
      manualSeed(5);
      return dropout(x, { p: 0.3 });
    };
    const y = draw();
    const zerosSeen = Array.from(y.data as Float32Array).filter((v) => v === 0).length;
    expect(zerosSeen / x.numel).toBeGreaterThan(0.28);
    expect(zerosSeen / x.numel).toBeLessThan(0.32);
    expect(new Set(y.data as Float32Array)).toEqual(new Set([0, Math.fround(1 / 0.7)]));
    expect(draw().tolist()).toEqual(y.tolist());
  });

  it("zeroes whole channels in its channel form", () => {
    manualSeed(1);
    const y = dropout2d(ones([4, 8, 3, 3]));
    for (let c = 0; c < 32; c++) expect(new Set(y.data.slice(c * 9, c * 9 + 9)).size).toBe(1);
    expect(new Set(y.data as Float32Array).size).toBe(2);
  });

  it("is the identity outside training, and gives zeros for p = 1", () => {
    const x = tensor([1, NaN, 3]);
    expect(dropout(x, { training: false }).tolist()).toEqual(x.tolist());
    expect(dropout(x, { p: 1 }).tolist()).toEqual([0, 0, 0]);
    expect(() => dropout(x, { p: 1.5 })).toThrow(ArgumentError);
  });

  it("in its alpha form keeps mean and variance", () => {
    manualSeed(2);
    const y = Array.from(alphaDropout(randn([50000]), { p: 0.2 }).data as Float32Array);
    const mean = y.reduce((a, b) => a + b, 0) / y.length;
    const variance = y.reduce((a, b) => a + (b - mean) ** 2, 0) / y.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });
});

describe("attention", () => {
  it("gives zeros where nothing may be seen", () => {
    const [q, k, v] = [randn([2, 3]), randn([2, 3]), randn([2, 4])];
    const attnMask = tensor([[true, true], [false, false]]); // prettier-ignore
    expect(scaledDotProductAttention(q, k, v, { attnMask }).tolist()).toMatchObject({ 1: [0, 0, 0, 0] });
  });

  it("refuses shapes that do not meet and two masks", () => {
    expect(() => scaledDotProductAttention(zeros([2, 3]), zeros([2, 4]), zeros([2, 3]))).toThrow(ShapeError);
    const [q, mask] = [zeros([2, 3]), ones([2, 2])];
    expect(() => scaledDotProductAttention(q, q, q, { isCausal: true, attnMask: mask })).toThrow(ArgumentError);
    expect(() => scaledDotProductAttention(q, q, q, { attnMask: ones([2, 2], { dtype: "int64" }) })).toThrow(
      DtypeError,
    );
  });
});
