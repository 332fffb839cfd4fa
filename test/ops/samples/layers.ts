/** Samples of the operators layers are made of: products, convolutions, pools, normalizations, embeddings. */

import { scaledDotProductAttention } from "../../../src/ops/attention.ts";
import * as ops from "../../../src/ops/index.ts";
import { planeGatherOp } from "../../../src/ops/max-pool.ts";
import { apply } from "../../../src/ops/op.ts";
import { manualSeed } from "../../../src/tensor/context.ts";
import { indices, list, normal, sample, uniform } from "./sample.ts";
import type { Sample, SampleTable } from "./sample.ts";

const bags = indices([5], 1, 0, 3, 1, 2);
const offsets = indices([2], 0, 2);

/** PyTorch has no second derivative of these either. */
function once(...given: Parameters<typeof sample>): Sample {
  return { ...sample(...given), firstOnly: "embedding bags have no second derivative" };
}

export const layerSamples: SampleTable = {
  matmul: [
    sample((a, b) => ops.matmul(a, b), normal([2, 3], 1), normal([3, 2], 2)),
    sample((a, b) => ops.matmul(a, b), normal([2, 1, 2, 3], 1), normal([2, 3, 2], 2)),
    sample((a, b) => ops.matmul(a, b), normal([3], 1), normal([3], 2)),
  ],
  linear: [
    sample((x, w, b) => ops.linear(x, w, b), normal([2, 3], 1), normal([2, 3], 2), normal([2], 3)),
    sample((x, w) => ops.linear(x, w), normal([2, 2, 3], 1), normal([2, 3], 2)),
  ],
  conv1d: [
    sample(
      (x, w, b) => ops.conv1d(x, w, b, { stride: 2, padding: 1 }),
      normal([1, 2, 5], 1),
      normal([2, 2, 3], 2),
      normal([2], 3),
    ),
  ],
  conv2d: [
    sample(
      (x, w, b) => ops.conv2d(x, w, b, { padding: 1, groups: 2 }),
      normal([1, 2, 3, 3], 1),
      normal([2, 1, 2, 2], 2),
      normal([2], 3),
    ),
    sample((x, w) => ops.conv2d(x, w, null, { padding: "same" }), normal([2, 3, 4], 1), normal([1, 2, 2, 3], 2)),
    sample(
      (x, w) => ops.conv2d(x, w, null, { dilation: 2, stride: [2, 1] }),
      normal([1, 1, 5, 4], 1),
      normal([2, 1, 2, 2], 2),
    ),
  ],
  conv3d: [sample((x, w) => ops.conv3d(x, w), normal([1, 1, 2, 3, 2], 1), normal([1, 1, 1, 2, 2], 2))],
  convTranspose1d: [
    sample(
      (x, w, b) => ops.convTranspose1d(x, w, b, { stride: 2 }),
      normal([1, 2, 3], 1),
      normal([2, 1, 2], 2),
      normal([1], 3),
    ),
  ],
  convTranspose2d: [
    sample(
      (x, w) => ops.convTranspose2d(x, w, null, { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
      normal([1, 2, 2, 2], 1),
      normal([2, 1, 3, 3], 2),
    ),
    sample(
      (x, w) => ops.convTranspose2d(x, w, null, { dilation: 2, outputPadding: 1 }),
      normal([1, 1, 2, 2], 1),
      normal([1, 2, 2, 2], 2),
    ),
  ],
  convTranspose3d: [
    sample((x, w) => ops.convTranspose3d(x, w), normal([1, 1, 2, 1, 2], 1), normal([1, 1, 1, 2, 2], 2)),
  ],
  convInputGrad: { gradientOf: "conv2d" },
  convWeightGrad: { gradientOf: "conv2d" },

  avgPool1d: [sample((x) => ops.avgPool1d(x, 2), normal([1, 2, 5]))],
  avgPool2d: [
    sample((x) => ops.avgPool2d(x, 2, { stride: 1, padding: 1 }), normal([1, 1, 3, 3])),
    sample(
      (x) => ops.avgPool2d(x, [2, 3], { padding: 1, countIncludePad: false, ceilMode: true }),
      normal([1, 1, 4, 4]),
    ),
  ],
  avgPool3d: [sample((x) => ops.avgPool3d(x, 2, { divisorOverride: 3 }), normal([1, 1, 2, 3, 2]))],
  adaptiveAvgPool1d: [sample((x) => ops.adaptiveAvgPool1d(x, 3), normal([1, 2, 5]))],
  adaptiveAvgPool2d: [sample((x) => ops.adaptiveAvgPool2d(x, [2, 3]), normal([1, 1, 5, 4]))],
  adaptiveAvgPool3d: [sample((x) => ops.adaptiveAvgPool3d(x, 2), normal([1, 1, 3, 2, 2]))],
  avgPool1dGrad: { gradientOf: "avgPool1d" },
  avgPool2dGrad: { gradientOf: "avgPool2d" },
  avgPool3dGrad: { gradientOf: "avgPool3d" },
  adaptiveAvgPool1dGrad: { gradientOf: "adaptiveAvgPool1d" },
  adaptiveAvgPool2dGrad: { gradientOf: "adaptiveAvgPool2d" },
  adaptiveAvgPool3dGrad: { gradientOf: "adaptiveAvgPool3d" },
  maxPool1d: [sample((x) => ops.maxPool1d(x, 2), normal([1, 2, 5]))],
  maxPool2d: [
    sample((x) => ops.maxPool2d(x, 3, { stride: 1, padding: 1 }), normal([1, 1, 4, 4])),
    sample((x) => ops.maxPool2d(x, 2, { stride: 2, dilation: 2, ceilMode: true }), normal([2, 5, 6])),
  ],
  maxPool3d: [sample((x) => ops.maxPool3d(x, 2), normal([1, 1, 2, 3, 2]))],
  adaptiveMaxPool1d: [sample((x) => ops.adaptiveMaxPool1d(x, 3), normal([1, 2, 5]))],
  adaptiveMaxPool2d: [sample((x) => ops.adaptiveMaxPool2d(x, 2), normal([1, 1, 3, 4]))],
  adaptiveMaxPool3d: [sample((x) => ops.adaptiveMaxPool3d(x, 2), normal([1, 1, 3, 2, 2]))],
  planeGather: [sample((x) => apply(planeGatherOp, [x, indices([1, 2, 2], 3, 0, 1, 1)], {}), normal([1, 2, 4]))],
  planeScatter: { gradientOf: "maxPool2d" },

  batchNorm: [
    sample(
      (x, w, b) => ops.batchNorm(x, { weight: w, bias: b, training: true }),
      normal([3, 2, 2], 1),
      list(1.5, 0.5),
      list(0.1, -0.3),
    ),
    sample(
      (x, w) => ops.batchNorm(x, { weight: w, runningMean: list(0.2, -0.1), runningVar: list(1.3, 0.6) }),
      normal([2, 2, 2], 1),
      list(1.5, 0.5),
    ),
  ],
  layerNorm: [
    sample(
      (x, w, b) => ops.layerNorm(x, [3], { weight: w, bias: b }),
      normal([2, 3], 1),
      normal([3], 2),
      normal([3], 3),
    ),
  ],
  groupNorm: [
    sample(
      (x, w, b) => ops.groupNorm(x, 2, { weight: w, bias: b }),
      normal([2, 4, 2], 1),
      normal([4], 2),
      normal([4], 3),
    ),
  ],
  instanceNorm: [
    sample((x) => ops.instanceNorm(x), normal([2, 2, 3])),
    sample(
      (x, w, b) => ops.instanceNorm(x, { weight: w, bias: b }),
      normal([2, 2, 2, 2], 1),
      normal([2], 2),
      normal([2], 3),
    ),
  ],
  normGrad: { gradientOf: "layerNorm" },

  dropout: [
    sample(
      (x) => {
        manualSeed(3);
        return ops.dropout(x, { p: 0.4 });
      },
      normal([6]),
    ),
    sample(
      (x) => {
        manualSeed(3);
        return ops.dropout2d(x, { p: 0.4 });
      },
      normal([2, 3, 2, 1]),
    ),
  ],
  embedding: [sample((w) => ops.embedding(indices([2, 2], 1, 0, 3, 1), w, { paddingIdx: 2 }), normal([4, 2]))],
  embeddingGrad: { gradientOf: "embedding" },
  embeddingBag: [
    once((w) => ops.embeddingBag(bags, w, { offsets, mode: "mean" }), normal([4, 2])),
    once((w) => ops.embeddingBag(bags, w, { offsets, mode: "max" }), normal([4, 2])),
    once(
      (w, s) => ops.embeddingBag(bags, w, { offsets, mode: "sum", perSampleWeights: s }),
      normal([4, 2], 1),
      uniform([5], 0.5, 2, 2),
    ),
  ],
  interpolate: [
    sample((x) => ops.interpolate(x, { scaleFactor: 2, mode: "nearest" }), normal([1, 1, 2, 2])),
    sample((x) => ops.interpolate(x, { size: [3, 5], mode: "bilinear" }), normal([1, 1, 2, 3])),
    sample((x) => ops.interpolate(x, { size: [4, 4], mode: "bicubic", alignCorners: true }), normal([1, 1, 3, 3])),
  ],
  interpolateGrad: { gradientOf: "interpolate" },
  scaledDotProductAttention: [
    sample(
      (q, k, v) => scaledDotProductAttention(q, k, v),
      normal([2, 2, 2], 1),
      normal([2, 3, 2], 2),
      normal([2, 3, 2], 3),
    ),
    sample(
      (q, k, v) => scaledDotProductAttention(q, k, v, { isCausal: true }),
      normal([3, 2], 1),
      normal([3, 2], 2),
      normal([3, 1], 3),
    ),
    sample(
      (q, k, v, attnMask) => scaledDotProductAttention(q, k, v, { attnMask, scale: 0.7 }),
      normal([2, 2, 2], 1), normal([2, 3, 2], 2), normal([2, 3, 1], 3), normal([2, 3], 4),
    ), // prettier-ignore
  ],
};
