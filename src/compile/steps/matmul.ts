/**
 * matmul in float: batches of matrix products that broadcast; operands are read through the permutations that made them.
 * One matrix for the whole batch, a weight mostly, makes the batch more rows; a stored one is packed when the plan is bound.
 */

import type { Node } from "../../graph/graph.ts";
import { broadcastShapes, numel, stridesOf } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { unlimited } from "./clamps.ts";
import { constantF32 } from "./conv.ts";
import { bindMultiply, packColumns, packedRoom, paddedColumns } from "./matrix-product.ts";
import type { Columns, Rows } from "./matrix-product.ts";
import { batchStrides, denseRowsView, offsetsOf, viewOf } from "./strided.ts";
import type { StridedView } from "./strided.ts";

const FLOAT = 4;

/** Products of one matrix each, all of the same sizes; offsets in elements. */
export interface Batch {
  readonly rows: Rows;
  readonly columns: Columns;
  readonly products: readonly { readonly a: number; readonly b: number; readonly y: number }[];
}

/** A vector on the left is a matrix of one row, on the right one of one column. */
function asMatrix({ base, shape, strides }: StridedView, side: "left" | "right"): StridedView {
  if (shape.length !== 1) return { base, shape, strides };
  return side === "left"
    ? { base, shape: [1, shape[0]!], strides: [0, strides[0]!] }
    : { base, shape: [shape[0]!, 1], strides: [strides[0]!, 0] };
}

/** The products behind a matmul of two views. */
export function batchOf(x: StridedView, w: StridedView, range: Rows["range"] = unlimited): Batch {
  const [left, right] = [asMatrix(x, "left"), asMatrix(w, "right")];
  const [m, k, n] = [left.shape.at(-2)!, left.shape.at(-1)!, right.shape.at(-1)!];
  const batch = broadcastShapes("matmul", left.shape.slice(0, -2), right.shape.slice(0, -2));
  const columns = { k, n, kStride: right.strides.at(-2)!, nStride: right.strides.at(-1)! };
  const aStrides = batchStrides(left, batch);
  const rowStride = left.strides.at(-2)!;
  const starts = offsetsOf(batch, batchStrides(right, batch));
  if (starts.every((start) => start === starts[0])) {
    const from = offsetsOf([...batch, m], [...aStrides, rowStride]);
    const rows = { from, to: from.map((_, i) => i * n), k, n, range };
    return { rows, columns, products: from.length === 0 ? [] : [{ a: 0, b: starts[0]!, y: 0 }] };
  }
  const matrix: Shape = [m];
  const rows = { from: offsetsOf(matrix, [rowStride]), to: offsetsOf(matrix, stridesOf([m, n])), k, n, range };
  const places = offsetsOf(batch, aStrides);
  return { rows, columns, products: starts.map((b, i) => ({ a: places[i]!, b, y: i * m * n })) };
}

function bindBatch(
  place: Place,
  { rows, columns, products }: Batch,
  { a, b, y }: { readonly a: Buffer; readonly b: Buffer; readonly y: Buffer },
  stored: Tensor | null,
): () => void {
  const multiply = bindMultiply(place, rows);
  const init = constantF32(place, [], paddedColumns(rows.n));
  const [left, right, result] = [place.at(a), place.at(b), place.at(y)];
  const distinct = new Map<number, number>();
  for (const { b: start } of stored ? products : products.slice(0, 1))
    if (!distinct.has(start)) distinct.set(start, packedRoom(place, columns));
  if (stored) for (const [start, packed] of distinct) packColumns(place, columns, right + start * FLOAT, packed);
  const [room] = distinct.values();
  const calls = products.map((one) => ({ ...one, packed: stored ? distinct.get(one.b)! : room! }));
  return () => {
    let last = -1;
    for (const { a: from, b: start, y: to, packed } of calls) {
      if (!stored && start !== last) packColumns(place, columns, right + start * FLOAT, packed);
      last = start;
      multiply(left + from * FLOAT, packed, init, result + to * FLOAT);
    }
  };
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w] = node.args;
  if (plan.type(x!).dtype !== "float32" || plan.type(w!).dtype !== "float32")
    return "only float32 matrices have a kernel";
  const [left, right] = [denseRowsView(x!, plan), viewOf(w!, plan)];
  const a = plan.read(left.base, node, { kind: "flat" });
  const b = plan.read(right.base, node, { kind: "flat" });
  const { output: value, range } = plan.absorbClamp(node);
  const y = plan.write(value, "flat");
  const batch = batchOf(left, right, range);
  const operations = 2 * numel(y.type.shape) * batch.columns.k;
  plan.step({
    node,
    kernel: `f32 gemm ${batch.rows.from.length === 1 ? "1x48" : "6x8"} ${plan.engine.build}`,
    precision: "float",
    why: "",
    operations,
    reads: [a, b],
    writes: [y],
    bind: (place) => bindBatch(place, batch, { a, b, y }, plan.constant(right.base)),
  });
}

export const matmulRules: readonly (readonly [string, StepRule])[] = [["matmul", { emit }]];
