/** Reductions, shapes, parts, joins, indexing, sorting: results and errors. Values are PyTorch's. */

import { describe, expect, it } from "vitest";
import "../../src/ops/methods.ts";
import { ArgumentError, DtypeError, ShapeError } from "../../src/errors.ts";
import * as ops from "../../src/ops/index.ts";
import { arange, fromArray, tensor, zeros } from "../../src/tensor/create.ts";
import { perChannel, perTensor } from "../../src/tensor/qparams.ts";
import type { Nested } from "../../src/tensor/tensor.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const x = tensor([
  [3, 1, 2],
  [5, 4, 6],
]);
const int = (values: Nested): Tensor => tensor(values, { dtype: "int64" });

describe.each<[string, () => Tensor, Nested]>([
  ["sum of nothing", () => zeros([0]).sum(), 0],
  ["mean of nothing", () => zeros([0]).mean(), NaN],
  ["mean over two axes", () => arange(8).cast("float32").reshape([2, 2, 2]).mean([0, 2]), [2.5, 4.5]],
  ["var", () => x.var(), 3.5],
  ["var of one", () => tensor([1]).var(), NaN],
  ["norm with infinite p", () => x.norm(Infinity, 1), [3, 6]],
  ["count of nonzeros", () => tensor([0, 2, -1]).norm(0), 2],
  ["logsumexp of large values", () => tensor([1000, 1000]).logsumexp(), Math.fround(1000 + Math.LN2)],
  ["prod with a zero", () => tensor([2, 0, 3]).prod(), 0],
  ["argmax of equals", () => tensor([1, 5, 5]).argmax(), 1],
  ["argmax with NaN", () => tensor([1, NaN, 5]).argmax(), 1],
  ["argmin along an axis", () => x.argmin(1), [1, 1]],
  ["all of nothing", () => zeros([0]).all(), 1],
  [
    "any",
    () =>
      tensor([
        [0, NaN],
        [0, 0],
      ]).any(1),
    [1, 0],
  ],
  [
    "cumprod",
    () => x.cumprod(1),
    [
      [3, 3, 6],
      [5, 20, 120],
    ],
  ],
  ["slice with negative bounds", () => x.slice(1, -2, -1), [[1], [4]]],
  ["slice beyond the end", () => x.slice(0, 1, 99), [[5, 4, 6]]],
  [
    "slice with a step",
    () => x.slice(1, 0, 3, 2),
    [
      [3, 2],
      [5, 6],
    ],
  ],
  ["empty slice", () => x.slice(0, 2, 1), []],
  ["select from the end", () => x.select(1, -1), [2, 6]],
  [
    "flip",
    () => x.flip([0, 1]),
    [
      [6, 4, 5],
      [2, 1, 3],
    ],
  ],
  [
    "roll",
    () => x.roll([1, -1], [0, 1]),
    [
      [4, 6, 5],
      [1, 2, 3],
    ],
  ],
  [
    "repeat with a new axis",
    () => tensor([1, 2]).repeat([2, 2]),
    [
      [1, 2, 1, 2],
      [1, 2, 1, 2],
    ],
  ],
  ["repeatInterleave", () => tensor([1, 2]).repeatInterleave(2, 0), [1, 1, 2, 2]],
  [
    "movedim",
    () => x.unsqueeze(0).movedim(0, 2).squeeze(2),
    [
      [3, 1, 2],
      [5, 4, 6],
    ],
  ],
  [
    "squeeze of an axis that is not 1",
    () => x.squeeze(0),
    [
      [3, 1, 2],
      [5, 4, 6],
    ],
  ],
  [
    "cat with an empty tensor",
    () => ops.cat([zeros([0]), x], 1),
    [
      [3, 1, 2],
      [5, 4, 6],
    ],
  ],
  [
    "stack along the last axis",
    () => ops.stack([tensor([1, 2]), tensor([3, 4])], -1),
    [
      [1, 3],
      [2, 4],
    ],
  ],
  [
    "pad and crop",
    () => ops.pad(x, [1, -1]),
    [
      [0, 3, 1],
      [0, 5, 4],
    ],
  ],
  [
    "reflect",
    () => ops.pad(x, [2, 1], { mode: "reflect" }),
    [
      [2, 1, 3, 1, 2, 1],
      [6, 4, 5, 4, 6, 4],
    ],
  ],
  [
    "circular",
    () => ops.pad(x, [1, 1], { mode: "circular" }),
    [
      [2, 3, 1, 2, 3],
      [6, 5, 4, 6, 5],
    ],
  ],
  ["gather", () => x.gather(1, int([[2], [0]])), [[2], [5]]],
  [
    "indexSelect",
    () => x.indexSelect(1, int([2, 2])),
    [
      [2, 2],
      [6, 6],
    ],
  ],
  [
    "scatter of a number",
    () => x.scatter(0, int([[1, 0, 1]]), 9),
    [
      [3, 9, 2],
      [9, 4, 9],
    ],
  ],
  ["scatterAdd to one place", () => tensor([0, 1]).scatterAdd(0, int([1, 1]), tensor([2, 3])), [0, 6]],
  ["take", () => x.take(int([[5], [0]])), [[6], [3]]],
  [
    "nonzero",
    () =>
      tensor([
        [0, 1],
        [2, 0],
      ]).nonzero(),
    [
      [0, 1],
      [1, 0],
    ],
  ],
  ["maskedSelect", () => x.maskedSelect(x.greater(3)), [5, 4, 6]],
  ["sort puts NaN last", () => tensor([2, NaN, 1]).sort().values, [1, 2, NaN]],
  ["descending sort puts NaN first", () => tensor([2, NaN, 1]).sort(0, { descending: true }).indices, [1, 0, 2]],
  ["sort keeps the order of equals", () => tensor([1, 0, 1, 0]).argsort(), [1, 3, 0, 2]],
  ["topk along the first axis", () => x.topk(1, 0).values, [[5, 4, 6]]],
  [
    "topk of the smallest",
    () => x.topk(2, 1, { largest: false }).indices,
    [
      [1, 2],
      [1, 0],
    ],
  ],
  ["topk of equals", () => tensor([1, 3, 3, NaN]).topk(3).indices, [3, 1, 2]],
  [
    "tril",
    () => x.tril(-1),
    [
      [0, 0, 0],
      [5, 0, 0],
    ],
  ],
  [
    "oneHot",
    () => ops.oneHot(int([0, 2]), 3),
    [
      [1, 0, 0],
      [0, 0, 1],
    ],
  ],
])("%s", (_, result, expected) => {
  it("is PyTorch's", () => expect(result().tolist()).toEqual(expected));
});

describe("errors", () => {
  it.each<[string, () => unknown, new (...args: never[]) => Error]>([
    ["mean of integers", () => int([1]).mean(), DtypeError],
    ["maximum of nothing", () => zeros([0]).max(), ShapeError],
    ["an axis that does not exist", () => x.sum(2), ShapeError],
    ["an axis named twice", () => x.sum([0, -2]), ShapeError],
    ["reshape to another size", () => x.reshape([4]), ShapeError],
    ["expand of an axis that is not 1", () => x.expand([4, 3]), ShapeError],
    ["permute without an axis", () => x.permute([0, 0]), ShapeError],
    ["narrow beyond the end", () => x.narrow(1, 2, 2), ShapeError],
    ["split that does not add up", () => x.split([1, 1], 1), ShapeError],
    ["a step of 0", () => x.slice(0, 0, 1, 0), ArgumentError],
    ["cat of different shapes", () => ops.cat([x, tensor([[1]])]), ShapeError],
    ["cat of nothing", () => ops.cat([]), ArgumentError],
    ["stack of different shapes", () => ops.stack([x, tensor([1])]), ShapeError],
    ["reflect by the whole axis", () => ops.pad(x, [3, 0], { mode: "reflect" }), ShapeError],
    ["an index out of range", () => x.gather(1, int([[3], [0]])), ArgumentError],
    ["a negative index", () => x.indexSelect(0, int([-1])), ArgumentError],
    ["indices that are floats", () => x.gather(1, tensor([[0]])), DtypeError],
    ["topk of more than there are", () => x.topk(4), ArgumentError],
  ])("%s", (_, call, kind) => expect(call).toThrow(kind));
});

describe("quantized tensors", () => {
  const q = new Tensor("quint8", [2, 3], Uint8Array.of(1, 2, 3, 4, 5, 6), perTensor(0.5, 2));
  const channels = new Tensor("qint8", [2, 3], Int8Array.of(1, 2, 3, 4, 5, 6), perChannel([1, 2, 3], [0, 1, 2], 1));

  it("keep their parameters when rearranged", () => {
    for (const y of [
      q.reshape([6]),
      q.permute([1, 0]),
      q.slice(1, 1),
      q.unsqueeze(0),
      q.flip(1),
      q.expand([2, 2, 3]),
    ]) {
      expect(y.qparams).toEqual(q.qparams);
    }
    expect(q.permute([1, 0]).tolist()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
  });

  it("move the channel axis along", () => {
    expect(channels.permute([1, 0]).qparams).toMatchObject({ axis: 0 });
    expect(channels.unsqueeze(0).qparams).toMatchObject({ axis: 2 });
    expect(channels.slice(1, 1, 3).qparams).toMatchObject({ scales: [2, 3], zeroPoints: [1, 2] });
    expect(() => channels.reshape([6])).toThrow(ShapeError);
  });

  it("are padded with the integer that stands for 0", () =>
    expect(ops.pad(q, [1, 0]).tolist()).toEqual([
      [2, 1, 2, 3],
      [2, 4, 5, 6],
    ]));

  it("are refused by float arithmetic, with a hint", () => expect(() => q.mul(2)).toThrow(/FloatFunctional/));
});

it("shares memory only in reshape", () => {
  const flat = fromArray([1, 2, 3, 4], [4]);
  flat.reshape([2, 2]).data[0] = 9;
  flat.unsqueeze(0).permute([1, 0]).data[1] = 7;
  expect(flat.tolist()).toEqual([9, 2, 3, 4]);
});
