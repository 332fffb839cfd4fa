/**
 * Embedding: rows of a table, looked up by index.
 */

import { ArgumentError, DtypeError, ShapeError } from "../errors.ts";
import { isFloat, isQuantized } from "../tensor/dtype.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { emptyLike } from "../tensor/tensor.ts";
import { mul } from "./arithmetic.ts";
import { notEqual } from "./compare.ts";
import { fromDoubles } from "./loops.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Op } from "./op.ts";
import { unsqueeze } from "./shape.ts";
import { cast } from "./unary.ts";

type Lookup = readonly [weight: Tensor, indices: Tensor];
/** `paddingIdx`: the row that gets no gradient, or null. */
export type EmbeddingAttrs = { readonly paddingIdx: number | null };
type GradAttrs = EmbeddingAttrs & { readonly numEmbeddings: number };

/** @throws DtypeError unless indices are integers. */
export function requireIndices(where: string, indices: TensorType): void {
  if (isFloat(indices.dtype) || isQuantized(indices.dtype) || indices.dtype === "bool") {
    throw new DtypeError(where, { indices: indices.dtype }, "indices must be integers");
  }
}

/** The index at `i`. @throws ArgumentError when the table has no such row. */
export function rowAt(where: string, indices: Tensor, i: number, rows: number): number {
  const row = indices.data[i]!;
  if (row >= 0 && row < rows) return row;
  throw new ArgumentError(
    where,
    { index: row, position: i, numEmbeddings: rows },
    "an index must be a row of the table",
  );
}

export const embeddingOp: Op<Lookup, EmbeddingAttrs> = defineOp<Lookup, EmbeddingAttrs>({
  name: "embedding",
  infer([weight, indices]) {
    requireFloat("embedding", weight);
    requireIndices("embedding", indices);
    if (weight.shape.length !== 2)
      throw new ShapeError("embedding", { weight: weight.shape }, "weight must be [rows, features]");
    return [{ dtype: weight.dtype, shape: [...indices.shape, weight.shape[1]!] }];
  },
  forward([weight, indices], _, [type]) {
    const y = emptyLike(type!);
    const [rows, features] = [weight.shape[0]!, weight.shape[1]!];
    for (let i = 0; i < indices.data.length; i++) {
      const row = rowAt("embedding", indices, i, rows);
      y.data.set(weight.data.subarray(row * features, (row + 1) * features), i * features);
    }
    return [y];
  },
  backward: (dy, { inputs: [weight, indices], attrs }) => [
    apply(embeddingGradOp, [dy, indices], { ...attrs, numEmbeddings: weight.shape[0]! }),
    null,
  ],
});

/** Adds each row of dy to the row of the table it was read from. */
export const embeddingGradOp: Op<Lookup, GradAttrs> = defineOp<Lookup, GradAttrs>({
  name: "embeddingGrad",
  infer: ([dy], { numEmbeddings }) => [{ dtype: dy.dtype, shape: [numEmbeddings, dy.shape.at(-1)!] }],
  forward([dy, indices], { numEmbeddings, paddingIdx }, [type]) {
    const features = dy.shape.at(-1)!;
    const sums = new Float64Array(numEmbeddings * features);
    for (let i = 0; i < indices.data.length; i++) {
      const row = indices.data[i]!;
      if (row === paddingIdx) continue;
      for (let f = 0; f < features; f++) sums[row * features + f]! += dy.data[i * features + f]!;
    }
    return [fromDoubles(type!, sums)];
  },
  backward(g, { inputs: [, indices], attrs: { paddingIdx } }) {
    const rows = apply(embeddingOp, [g, indices], { paddingIdx: null });
    if (paddingIdx === null) return [rows, null];
    return [mul(rows, cast(unsqueeze(notEqual(indices, paddingIdx), -1), rows.dtype)), null];
  },
});

/** A row counted from the end as PyTorch allows. @throws ArgumentError */
export function resolvePaddingIdx(where: string, paddingIdx: number | null | undefined, rows: number): number | null {
  if (paddingIdx === null || paddingIdx === undefined) return null;
  if (!Number.isInteger(paddingIdx) || paddingIdx < -rows || paddingIdx >= rows) {
    throw new ArgumentError(where, { paddingIdx, numEmbeddings: rows }, "paddingIdx must be a row of the table");
  }
  return paddingIdx < 0 ? paddingIdx + rows : paddingIdx;
}

/**
 * y[..., :] = weight[indices[...], :], with weight [rows, features] and integer indices of any shape. The row
 * `paddingIdx` gets no gradient.
 * @throws ArgumentError for an index out of range; ShapeError, DtypeError
 */
export function embedding(
  indices: Tensor,
  weight: Tensor,
  options: { readonly paddingIdx?: number | null } = {},
): Tensor {
  const paddingIdx = resolvePaddingIdx("embedding", options.paddingIdx, weight.shape[0] ?? 0);
  return apply(embeddingOp, [weight, indices], { paddingIdx });
}
