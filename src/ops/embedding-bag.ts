/**
 * EmbeddingBag: sums, means or maxima of bags of embedding rows, without storing the rows.
 *
 * `offsets` says where each bag starts in a flat list of indices; without it every row of a 2-d list is a bag.
 * Indices equal to `paddingIdx` are left out of their bag. Empty bags give zeros.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { requireIndices, resolvePaddingIdx, rowAt } from "./embedding.ts";
import { fromDoubles } from "./loops.ts";
import { requireSameFloat } from "./matmul.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Op } from "./op.ts";

export type BagMode = "sum" | "mean" | "max";
export type EmbeddingBagAttrs = {
  readonly mode: BagMode;
  readonly includeLastOffset: boolean;
  readonly paddingIdx: number | null;
};
type BagInputs = readonly [weight: Tensor, indices: Tensor, offsets: Tensor | null, perSampleWeights: Tensor | null];
type GradInputs = readonly [dy: Tensor, ...BagInputs];

const NO_SECOND_GRADIENT = "second derivatives of embedding bags are not defined";

/** Positions in the flat index list: bag b is starts[b]..starts[b + 1] - 1. */
export function bagStarts(indices: TensorType, offsets: Tensor | null, includeLastOffset: boolean): number[] {
  const length = numel(indices.shape);
  if (!offsets) {
    const [bags, size] = [indices.shape[0]!, indices.shape[1]!];
    return Array.from({ length: bags + 1 }, (_, b) => b * size);
  }
  const starts = Array.from(offsets.data as ArrayLike<number>);
  if (!includeLastOffset) starts.push(length);
  const legal = starts[0] === 0 && starts.every((at, b) => at <= length && (b === 0 || at >= starts[b - 1]!));
  if (!legal) {
    throw new ArgumentError(
      "embeddingBag",
      { offsets: starts, indices: length },
      "offsets must start at 0, never fall, and stay within the indices",
    );
  }
  return starts;
}

/** Calls `entry(bag, position, row)` for every index that counts. */
function forEachEntry(
  rows: number,
  indices: Tensor,
  starts: readonly number[],
  paddingIdx: number | null,
  entry: (bag: number, at: number, row: number) => void,
): void {
  for (let bag = 0; bag + 1 < starts.length; bag++) {
    for (let at = starts[bag]!; at < starts[bag + 1]!; at++) {
      const row = rowAt("embeddingBag", indices, at, rows);
      if (row !== paddingIdx) entry(bag, at, row);
    }
  }
}

/** Number of indices that count, a bag. */
function bagSizes(rows: number, indices: Tensor, starts: readonly number[], paddingIdx: number | null): Float64Array {
  const sizes = new Float64Array(starts.length - 1);
  forEachEntry(rows, indices, starts, paddingIdx, (bag) => sizes[bag]!++);
  return sizes;
}

/** For each output element the position whose row gave the maximum; -1 for empty bags. */
function bagWinners(weight: Tensor, indices: Tensor, starts: readonly number[], paddingIdx: number | null): Int32Array {
  const features = weight.shape[1]!;
  const winners = new Int32Array((starts.length - 1) * features).fill(-1);
  forEachEntry(weight.shape[0]!, indices, starts, paddingIdx, (bag, at, row) => {
    for (let f = 0; f < features; f++) {
      const slot = bag * features + f;
      const best = winners[slot]!;
      if (best < 0 || weight.data[row * features + f]! > weight.data[indices.data[best]! * features + f]!)
        winners[slot] = at;
    }
  });
  return winners;
}

function bagForward(
  weight: Tensor,
  indices: Tensor,
  perSample: TypedArray | null,
  starts: readonly number[],
  attrs: EmbeddingBagAttrs,
): Float64Array {
  const { mode, paddingIdx } = attrs;
  const [rows, features] = [weight.shape[0]!, weight.shape[1]!];
  const y = new Float64Array((starts.length - 1) * features);
  if (mode === "max") {
    bagWinners(weight, indices, starts, paddingIdx).forEach((at, slot) => {
      if (at >= 0) y[slot] = weight.data[indices.data[at]! * features + (slot % features)]!;
    });
    return y;
  }
  forEachEntry(rows, indices, starts, paddingIdx, (bag, at, row) => {
    const factor = perSample ? perSample[at]! : 1;
    for (let f = 0; f < features; f++) y[bag * features + f]! += factor * weight.data[row * features + f]!;
  });
  if (mode === "mean") {
    const sizes = bagSizes(rows, indices, starts, paddingIdx);
    for (let i = 0; i < y.length; i++) y[i]! /= Math.max(1, sizes[Math.floor(i / features)]!);
  }
  return y;
}

function inferBag(
  [weight, indices, offsets, perSample]: readonly [TensorType, TensorType, TensorType | null, TensorType | null],
  attrs: EmbeddingBagAttrs,
): TensorType {
  requireSameFloat("embeddingBag", weight, perSample);
  requireIndices("embeddingBag", indices);
  if (offsets) requireIndices("embeddingBag", offsets);
  const fields = { weight: weight.shape, indices: indices.shape, offsets: offsets?.shape ?? null };
  if (weight.shape.length !== 2) throw new ShapeError("embeddingBag", fields, "weight must be [rows, features]");
  if (indices.shape.length !== (offsets ? 1 : 2)) {
    throw new ShapeError("embeddingBag", fields, "indices must have one axis with offsets, and two axes without");
  }
  if (perSample && numel(perSample.shape) !== numel(indices.shape)) {
    throw new ShapeError(
      "embeddingBag",
      { ...fields, perSampleWeights: perSample.shape },
      "there must be one weight for every index",
    );
  }
  if (perSample && attrs.mode !== "sum")
    throw new ArgumentError("embeddingBag", { mode: attrs.mode }, "perSampleWeights need mode sum");
  const bags = offsets ? numel(offsets.shape) - (attrs.includeLastOffset ? 1 : 0) : indices.shape[0]!;
  return { dtype: weight.dtype, shape: [bags, weight.shape[1]!] };
}

export const embeddingBagOp: Op<BagInputs, EmbeddingBagAttrs> = defineOp<BagInputs, EmbeddingBagAttrs>({
  name: "embeddingBag",
  infer(inputs, attrs) {
    requireFloat("embeddingBag", inputs[0]);
    return [inferBag(inputs, attrs)];
  },
  forward([weight, indices, offsets, perSample], attrs, [type]) {
    const starts = bagStarts(indices, offsets, attrs.includeLastOffset);
    return [fromDoubles(type!, bagForward(weight, indices, perSample?.data ?? null, starts, attrs))];
  },
  backward: (dy, { inputs, attrs, needs }) => [
    needs[0] ? apply(embeddingBagGradOp, [dy, ...inputs], attrs) : null,
    null,
    null,
    needs[3] ? apply(perSampleGradOp, [dy, ...inputs], attrs) : null,
  ],
});

/** Gradient of the table. */
export const embeddingBagGradOp: Op<GradInputs, EmbeddingBagAttrs> = defineOp<GradInputs, EmbeddingBagAttrs>({
  name: "embeddingBagGrad",
  infer: ([, weight]) => [{ dtype: weight.dtype, shape: weight.shape }],
  forward([dy, weight, indices, offsets, perSample], { mode, includeLastOffset, paddingIdx }, [type]) {
    const starts = bagStarts(indices, offsets, includeLastOffset);
    const [rows, features] = [weight.shape[0]!, weight.shape[1]!];
    const sums = new Float64Array(rows * features);
    if (mode === "max") {
      bagWinners(weight, indices, starts, paddingIdx).forEach((at, slot) => {
        if (at >= 0) sums[indices.data[at]! * features + (slot % features)]! += dy.data[slot]!;
      });
      return [fromDoubles(type!, sums)];
    }
    const sizes = mode === "mean" ? bagSizes(rows, indices, starts, paddingIdx) : null;
    forEachEntry(rows, indices, starts, paddingIdx, (bag, at, row) => {
      const factor = (perSample ? perSample.data[at]! : 1) / (sizes ? sizes[bag]! : 1);
      for (let f = 0; f < features; f++) sums[row * features + f]! += factor * dy.data[bag * features + f]!;
    });
    return [fromDoubles(type!, sums)];
  },
  backward: NO_SECOND_GRADIENT,
});

/** Gradient of the weights of single indices: the dot product of the row with its bag's gradient. */
export const perSampleGradOp: Op<GradInputs, EmbeddingBagAttrs> = defineOp<GradInputs, EmbeddingBagAttrs>({
  name: "embeddingBagPerSampleGrad",
  infer: ([, weight, indices]) => [{ dtype: weight.dtype, shape: indices.shape }],
  forward([dy, weight, indices, offsets], { includeLastOffset, paddingIdx }, [type]) {
    const starts = bagStarts(indices, offsets, includeLastOffset);
    const features = weight.shape[1]!;
    const dots = new Float64Array(numel(indices.shape));
    forEachEntry(weight.shape[0]!, indices, starts, paddingIdx, (bag, at, row) => {
      for (let f = 0; f < features; f++) dots[at]! += weight.data[row * features + f]! * dy.data[bag * features + f]!;
    });
    return [fromDoubles(type!, dots)];
  },
  backward: NO_SECOND_GRADIENT,
});

export interface EmbeddingBagOptions {
  /** Start of each bag in flat `indices`. */
  readonly offsets?: Tensor | null;
  readonly mode?: BagMode;
  /** One factor an index; mode "sum" only. */
  readonly perSampleWeights?: Tensor | null;
  /** The last entry of `offsets` is the length of `indices`, not a bag. */
  readonly includeLastOffset?: boolean;
  readonly paddingIdx?: number | null;
}

/**
 * Bags of rows of weight [rows, features], reduced: [bags, features].
 * @throws ArgumentError for an index or offset out of range; ShapeError, DtypeError
 */
export function embeddingBag(indices: Tensor, weight: Tensor, options: EmbeddingBagOptions = {}): Tensor {
  const { offsets = null, mode = "mean", perSampleWeights = null, includeLastOffset = false } = options;
  const paddingIdx = resolvePaddingIdx("embeddingBag", options.paddingIdx, weight.shape[0] ?? 0);
  return apply(embeddingBagOp, [weight, indices, offsets, perSampleWeights], { mode, includeLastOffset, paddingIdx });
}
