/**
 * Reductions, shape operators, products, lookups and attention against PyTorch's vectors, forward and gradient.
 */

import { describe, it } from "vitest";
import { scaledDotProductAttention } from "../../src/ops/attention.ts";
import { cat, stack } from "../../src/ops/cat.ts";
import { embeddingBag } from "../../src/ops/embedding-bag.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { gather } from "../../src/ops/gather.ts";
import { linear } from "../../src/ops/linear.ts";
import { matmul } from "../../src/ops/matmul.ts";
import { pad } from "../../src/ops/pad.ts";
import { argmax, max, min } from "../../src/ops/reduce-extremes.ts";
import { variance } from "../../src/ops/reduce-moments.ts";
import { mean, sum } from "../../src/ops/reduce.ts";
import type { Dims, ReduceOptions } from "../../src/ops/reduce.ts";
import { expand, flatten, permute, reshape, squeeze, transpose, unsqueeze } from "../../src/ops/shape.ts";
import { slice, split } from "../../src/ops/slicing.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { EXACT, numberAt, table, tensorAt, tensorOr, tensorsAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import type { Fields } from "./load.ts";
import { checkOperator } from "./operators.ts";
import type { Call } from "./operators.ts";

/** float32 sums in another order: relative to the largest result. */
const SUMS: Budget = { absolute: 1e-6, ofLargest: 1e-6 };

type Reduction = (x: Tensor, dim: Dims, options: ReduceOptions) => Tensor;

function reduction(f: Reduction): Call {
  return (inputs, attrs) => f(tensorAt(inputs, "x"), attrs["dim"] as Dims, attrs);
}

function extreme(f: typeof max): Call {
  return (inputs, attrs) => {
    const x = tensorAt(inputs, "x");
    if (!("dim" in attrs)) return f(x);
    const { values, indices } = f(x, numberAt(attrs, "dim"), attrs);
    return [values, indices];
  };
}

function shape(f: (x: Tensor, attrs: Fields) => Tensor | readonly Tensor[]): Call {
  return (inputs, attrs) => f(tensorAt(inputs, "x"), attrs);
}

function bag(inputs: Fields, attrs: Fields): Tensor {
  const perSampleWeights = tensorOr(inputs, "perSampleWeights", null);
  const offsets = tensorOr(inputs, "offsets", null);
  return embeddingBag(tensorAt(inputs, "indices"), tensorAt(inputs, "weight"), { ...attrs, offsets, perSampleWeights });
}

function attention(inputs: Fields, attrs: Fields): Tensor {
  const [query, key, value] = [tensorAt(inputs, "query"), tensorAt(inputs, "key"), tensorAt(inputs, "value")];
  return scaledDotProductAttention(query, key, value, { ...attrs, attnMask: tensorOr(inputs, "attnMask", null) });
}

const calls: Readonly<Record<string, readonly [Call, Budget]>> = {
  sum: [reduction(sum), SUMS],
  mean: [reduction(mean), SUMS],
  var: [reduction(variance), SUMS],
  max: [extreme(max), EXACT],
  min: [extreme(min), EXACT],
  argmax: [(inputs, attrs) => argmax(tensorAt(inputs, "x"), attrs["dim"] as number | null, attrs), EXACT],
  cat: [(inputs, attrs) => cat(tensorsAt(inputs, "tensors"), numberAt(attrs, "dim")), EXACT],
  stack: [(inputs, attrs) => stack(tensorsAt(inputs, "tensors"), numberAt(attrs, "dim")), EXACT],
  split: [shape((x, { splitSize, dim }) => split(x, splitSize as number, dim as number)), EXACT],
  slice: [shape((x, { dim, start, end, step }) => slice(x, dim as number, start as number, end as number, step as number)), EXACT],
  gather: [(inputs, attrs) => gather(tensorAt(inputs, "x"), numberAt(attrs, "dim"), tensorAt(inputs, "index")), SUMS],
  pad: [shape((x, { padding, ...options }) => pad(x, padding as number[], options)), SUMS],
  reshape: [shape((x, attrs) => reshape(x, attrs["shape"] as number[])), EXACT],
  flatten: [shape((x, { startDim, endDim }) => flatten(x, startDim as number, endDim as number)), EXACT],
  permute: [shape((x, { dims }) => permute(x, dims as number[])), EXACT],
  transpose: [shape((x, { dim0, dim1 }) => transpose(x, dim0 as number, dim1 as number)), EXACT],
  expand: [shape((x, attrs) => expand(x, attrs["shape"] as number[])), SUMS],
  squeeze: [shape((x, { dim }) => squeeze(x, (dim as number | null) ?? undefined)), EXACT],
  unsqueeze: [shape((x, { dim }) => unsqueeze(x, dim as number)), EXACT],
  matmul: [(inputs) => matmul(tensorAt(inputs, "x"), tensorAt(inputs, "other")), SUMS],
  linear: [(inputs) => linear(tensorAt(inputs, "x"), tensorAt(inputs, "weight"), tensorOr(inputs, "bias", null)), SUMS],
  embedding: [(inputs, attrs) => embedding(tensorAt(inputs, "indices"), tensorAt(inputs, "weight"), attrs), SUMS],
  embeddingBag: [bag, SUMS],
  scaledDotProductAttention: [attention, SUMS],
};

describe("tensor operators", () => {
  it.each(table(loadGolden("float-tensors").cases))("%s", (_, one) => checkOperator(one, ...calls[one.op]!));
});
