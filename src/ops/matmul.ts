/**
 * Matrix product, with PyTorch's rules for vectors and for batches that broadcast.
 *
 * float32 runs on the engine's kernel; `productReference` is the definition, and what float64 uses.
 */

import { matmulF32 } from "../engine/eager/index.ts";
import { DtypeError, ShapeError } from "../errors.ts";
import { allocate } from "../tensor/dtype.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { broadcastShapes, broadcastStrides, numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { fromDoubles } from "./loops.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { BackwardContext } from "./op.ts";
import { squeeze, transpose, unsqueeze } from "./shape.ts";

type Pair = readonly [Tensor, Tensor];
type NoAttrs = Readonly<Record<string, never>>;

/** Sizes of one product [m, k] x [k, n] and the batch around it. */
interface Plan {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly batch: readonly number[];
  /** For each product of the batch, which matrix of a and of b it takes. */
  readonly pairs: readonly (readonly [a: number, b: number])[];
}

function matrixSizes(a: Shape, b: Shape): { m: number; k: number; n: number } {
  const [rows, inner] = a.length === 1 ? [1, a[0]!] : [a.at(-2)!, a.at(-1)!];
  const [innerB, columns] = b.length === 1 ? [b[0]!, 1] : [b.at(-2)!, b.at(-1)!];
  if (a.length === 0 || b.length === 0)
    throw new ShapeError("matmul", { a, b }, "both operands need at least one axis");
  if (inner !== innerB) {
    throw new ShapeError(
      "matmul",
      { a, b },
      "the last axis of a must be as long as the second to last (or only) axis of b",
    );
  }
  return { m: rows, k: inner, n: columns };
}

/** How a product of two shapes falls apart into products of matrices. @throws ShapeError */
export function matrixPairs(a: Shape, b: Shape): Plan {
  const sizes = matrixSizes(a, b);
  const [batchA, batchB] = [a.slice(0, -2), b.slice(0, -2)];
  const batch = broadcastShapes("matmul", batchA, batchB);
  const [sa, sb] = [broadcastStrides(batchA, batch), broadcastStrides(batchB, batch)];
  const pairs = Array.from({ length: numel(batch) }, (_, flat): [number, number] => {
    let [rest, ia, ib] = [flat, 0, 0];
    for (let axis = batch.length - 1; axis >= 0; axis--) {
      const at = rest % batch[axis]!;
      rest = Math.floor(rest / batch[axis]!);
      ia += at * sa[axis]!;
      ib += at * sb[axis]!;
    }
    return [ia, ib];
  });
  return { ...sizes, batch, pairs };
}

/** out[m, n] = sum over k of a[m, k] b[k, n], added to what `out` holds; offsets in elements. */
export function productReference(
  a: TypedArray,
  b: TypedArray,
  out: Float64Array,
  { m, k, n }: { readonly m: number; readonly k: number; readonly n: number },
  offsets: { readonly a: number; readonly b: number; readonly out: number } = { a: 0, b: 0, out: 0 },
): void {
  for (let row = 0; row < m; row++) {
    const to = offsets.out + row * n;
    for (let i = 0; i < k; i++) {
      const left = a[offsets.a + row * k + i]!;
      const from = offsets.b + i * n;
      for (let column = 0; column < n; column++) out[to + column]! += left * b[from + column]!;
    }
  }
}

/** The whole product by plain loops. */
export function matmulReference(a: Tensor, b: Tensor, type: TensorType): Tensor {
  const plan = matrixPairs(a.shape, b.shape);
  const { m, k, n } = plan;
  const out = new Float64Array(numel(type.shape));
  plan.pairs.forEach(([ia, ib], i) => {
    productReference(a.data, b.data, out, plan, { a: ia * m * k, b: ib * k * n, out: i * m * n });
  });
  return fromDoubles(type, out);
}

function matmulKernel(a: Tensor, b: Tensor, type: TensorType): Tensor {
  const plan = matrixPairs(a.shape, b.shape);
  const { m, k, n } = plan;
  const out = allocate("float32", numel(type.shape)) as Float32Array;
  const [da, db] = [a.data as Float32Array, b.data as Float32Array];
  if (b.shape.length <= 2) {
    // One matrix b for the whole batch: the batch is just more rows.
    matmulF32(da, db, out, { m: m * plan.pairs.length, k, n });
  } else {
    plan.pairs.forEach(([ia, ib], i) => {
      const [left, right] = [da.subarray(ia * m * k, (ia + 1) * m * k), db.subarray(ib * k * n, (ib + 1) * k * n)];
      matmulF32(left, right, out.subarray(i * m * n, (i + 1) * m * n), { m, k, n });
    });
  }
  return new Tensor(type.dtype, type.shape, out);
}

/** @throws DtypeError unless all float tensors given have the same dtype. */
export function requireSameFloat(where: string, ...types: readonly (TensorType | null)[]): void {
  requireFloat(where, ...types);
  const dtypes = types.flatMap((type) => (type ? [type.dtype] : []));
  if (new Set(dtypes).size > 1) throw new DtypeError(where, { dtypes }, "all tensors must have the same dtype");
}

// da = dy b^T, db = a^T dy; a vector counts as a matrix of one row (a) or one column (b).
function matmulBackward(dy: Tensor, { inputs: [a, b], needs }: BackwardContext<Pair, NoAttrs>): (Tensor | null)[] {
  const left = a.rank === 1 ? unsqueeze(a, 0) : a;
  const right = b.rank === 1 ? unsqueeze(b, 1) : b;
  let grad = dy;
  if (b.rank === 1) grad = unsqueeze(grad, -1);
  if (a.rank === 1) grad = unsqueeze(grad, -2);
  const da = needs[0] ? matmul(grad, transpose(right, -1, -2)) : null;
  const db = needs[1] ? matmul(transpose(left, -1, -2), grad) : null;
  return [da && a.rank === 1 ? squeeze(da, -2) : da, db && b.rank === 1 ? squeeze(db, -1) : db];
}

export const matmulOp = defineOp<Pair, NoAttrs>({
  name: "matmul",
  infer([a, b]) {
    requireSameFloat("matmul", a, b);
    const { m, n } = matrixSizes(a.shape, b.shape);
    const batch = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
    const shape = [...batch, ...(a.shape.length === 1 ? [] : [m]), ...(b.shape.length === 1 ? [] : [n])];
    return [{ dtype: a.dtype, shape }];
  },
  forward: ([a, b], _, [type]) => [(type!.dtype === "float32" ? matmulKernel : matmulReference)(a, b, type!)],
  backward: matmulBackward,
});

/**
 * a @ b over the last two axes, the others broadcasting; a vector a is a row, a vector b a column, and the
 * axis it was given is dropped again.
 * @throws ShapeError, DtypeError
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  return apply(matmulOp, [a, b], {});
}

/** Batched product of exactly three-axis tensors [B, m, k] and [B, k, n]. @throws ShapeError */
export function bmm(a: Tensor, b: Tensor): Tensor {
  if (a.rank !== 3 || b.rank !== 3 || a.shape[0] !== b.shape[0]) {
    throw new ShapeError(
      "bmm",
      { a: a.shape, b: b.shape },
      "both operands must have three axes and the same batch size",
    );
  }
  return matmul(a, b);
}

/** Product of two matrices, without broadcasting. @throws ShapeError */
export function mm(a: Tensor, b: Tensor): Tensor {
  if (a.rank !== 2 || b.rank !== 2)
    throw new ShapeError("mm", { a: a.shape, b: b.shape }, "both operands must be matrices");
  return matmul(a, b);
}
