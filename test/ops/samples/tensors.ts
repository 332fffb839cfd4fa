/** Samples of reductions, shape operators, parts, joins, indexing and sorting. */

import * as ops from "../../../src/ops/index.ts";
import { indices, list, normal, sample, uniform } from "./sample.ts";
import type { SampleTable } from "./sample.ts";

const index = indices([2, 2], 0, 2, 1, 1);

export const reductionSamples: SampleTable = {
  sum: [
    sample((x) => ops.sum(x), normal([2, 3])),
    sample((x) => ops.sum(x, [0, 2]), normal([2, 3, 2])),
    sample((x) => ops.sum(x, 1, { keepdim: true }), normal([2, 3, 2])),
  ],
  mean: [sample((x) => ops.mean(x), normal([2, 3])), sample((x) => ops.mean(x, [0, -1]), normal([2, 3, 2]))],
  var: [
    sample((x) => ops.variance(x), normal([5])),
    sample((x) => ops.variance(x, [0, 2], { correction: 0 }), normal([2, 3, 2])),
  ],
  std: [sample((x) => ops.std(x), normal([5])), sample((x) => ops.std(x, 0, { keepdim: true }), normal([4, 2]))],
  norm: [
    sample((x) => ops.norm(x), normal([5])),
    sample((x) => ops.norm(x, 1, 0), normal([3, 2])),
    sample((x) => ops.norm(x, 3, 1, { keepdim: true }), normal([2, 3])),
    sample((x) => ops.norm(x, Infinity, 1), normal([2, 3])),
    sample((x) => ops.norm(x, -Infinity), normal([4])),
    sample((x) => ops.norm(x, 0), normal([4])),
  ],
  logsumexp: [
    sample((x) => ops.logsumexp(x, 1), normal([2, 3])),
    sample((x) => ops.logsumexp(x, null, { keepdim: true }), normal([2, 3])),
  ],
  prod: [
    sample((x) => ops.prod(x), normal([4])),
    sample((x) => ops.prod(x, [0, 2]), normal([2, 3, 2])),
    sample((x) => ops.prod(x, 1), list(1.5, 0, -2, 0.5, 0, 0).reshape([2, 3])),
  ],
  cumsum: [sample((x) => ops.cumsum(x, 1), normal([2, 3, 2]))],
  cumprod: [sample((x) => ops.cumprod(x, 1), normal([2, 4])), sample((x) => ops.cumprod(x, 0), list(1.5, 0, -2, 0.5))],
  recurrence: { gradientOf: "cumprod" },
  amax: [sample((x) => ops.amax(x, [0, 2]), normal([2, 3, 2])), sample((x) => ops.max(x), normal([5]))],
  amin: [sample((x) => ops.amin(x, 1, { keepdim: true }), normal([2, 3])), sample((x) => ops.min(x), normal([5]))],
  max: [sample((x) => ops.max(x, 1).values, normal([2, 3, 2]))],
  min: [sample((x) => ops.min(x, -1, { keepdim: true }).values, normal([2, 3]))],
  sort: [
    sample((x) => ops.sort(x, 0).values, normal([4, 2])),
    sample((x) => ops.sort(x, -1, { descending: true }).values, normal([5])),
  ],
  topk: [
    sample((x) => ops.topk(x, 2, 0).values, normal([4, 3])),
    sample((x) => ops.topk(x, 2, -1, { largest: false }).values, normal([5])),
  ],
};

export const shapeSamples: SampleTable = {
  reshape: [sample((x) => ops.reshape(x, [3, -1]), normal([2, 3]))],
  permute: [sample((x) => ops.permute(x, [2, 0, 1]), normal([2, 3, 2]))],
  expand: [sample((x) => ops.expand(x, [2, -1, 3]), normal([2, 1]))],
  slice: [sample((x) => ops.slice(x, 1, 1, 6, 2), normal([2, 7])), sample((x) => ops.select(x, 0, -1), normal([3, 2]))],
  sliceBackward: { gradientOf: "slice" },
  split: [sample((x) => ops.split(x, [1, 3], 1), normal([2, 4])), sample((x) => ops.chunk(x, 2)[1]!, normal([5]))],
  flip: [sample((x) => ops.flip(x, [0, 2]), normal([2, 3, 2]))],
  cat: [sample((a, b) => ops.cat([a, b, a], 1), normal([2, 1], 1), normal([2, 3], 2))],
  pad: [
    sample((x) => ops.pad(x, [1, 2, -1, 0], { value: 3 }), normal([3, 2])),
    sample((x) => ops.pad(x, [2, 1, 1, 2], { mode: "reflect" }), normal([3, 4])),
    sample((x) => ops.pad(x, [2, 1, 1, 2], { mode: "replicate" }), normal([3, 2])),
    sample((x) => ops.pad(x, [2, 1, 1, 2], { mode: "circular" }), normal([3, 4])),
  ],
  padBackward: { gradientOf: "pad" },
  tril: [sample((x) => ops.tril(x, 1), normal([2, 3, 3]))],
  triu: [sample((x) => ops.triu(x), normal([3, 4]))],
  gather: [
    sample((x) => ops.gather(x, 1, index), normal([2, 3])),
    sample((x) => ops.indexSelect(x, 0, indices([3], 1, 0, 1)), normal([2, 3])),
  ],
  scatter: [sample((x, s) => ops.scatter(x, 1, indices([2, 2], 0, 2, 1, 0), s), normal([2, 3], 1), normal([2, 3], 2))],
  scatterAdd: [sample((x, s) => ops.scatterAdd(x, 1, index, s), normal([2, 3], 1), uniform([2, 2], -1, 1, 2))],
};
