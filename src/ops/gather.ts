/**
 * Reading and writing by index: gather, scatter, scatterAdd, indexSelect, take.
 *
 * `gather` and the scatters take an index tensor of the rank of x: element [i, j, k] of the index stands, for
 * dim 1, for x[i, index[i, j, k], k]. Indices are any integer dtype; negative ones are refused, as in PyTorch.
 */

import { ArgumentError, DtypeError, ShapeError } from "../errors.ts";
import { dtypeInfo } from "../tensor/dtype.ts";
import { normalizeAxis, numel, stridesOf } from "../tensor/shape.ts";
import { Tensor, emptyLike } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { full, zeros } from "../tensor/create.ts";
import { floatsOf, fromDoubles } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import type { Op } from "./op.ts";
import { pad } from "./pad.ts";
import { expand, reshape } from "./shape.ts";
import { bitsOf, forEachRow } from "./strided.ts";

type DimAttrs = { readonly dim: number };

/** @throws DtypeError unless the dtype is an integer one. */
export function requireIndex(where: string, index: TensorType): void {
  if (dtypeInfo[index.dtype].kind === "int") return;
  throw new DtypeError(where, { dtype: index.dtype, shape: index.shape }, "indices must be integers");
}

function checkIndex(name: string, x: TensorType, index: TensorType, dim: number): void {
  requireIndex(name, index);
  const fits =
    index.shape.length === x.shape.length && index.shape.every((size, axis) => axis === dim || size <= x.shape[axis]!);
  if (!fits) {
    throw new ShapeError(
      name,
      { x: x.shape, index: index.shape, dim },
      "the index must have x's rank and be no larger outside the axis",
    );
  }
}

/** Calls `visit(at, offset)` for each element of the index: its position there and the offset it stands for in x. */
export function forEachIndexed(
  name: string,
  shape: readonly number[],
  index: Tensor,
  dim: number,
  visit: (at: number, offset: number) => void,
): void {
  const strides = stridesOf(shape);
  const [size, along] = [shape[dim] ?? 1, strides[dim] ?? 1];
  const others = strides.map((stride, axis) => (axis === dim ? 0 : stride));
  const indices = floatsOf(index);
  let at = 0;
  forEachRow(index.shape, [others], [0], (count, [first], [step]) => {
    for (let k = 0; k < count; k++, at++) {
      const i = indices[at]!;
      if (i < 0 || i >= size) throw new ArgumentError(name, { index: i, size, dim }, "an index must lie in 0..size-1");
      visit(at, first! + k * step! + i * along);
    }
  });
}

export const gatherOp: Op<readonly [Tensor, Tensor], DimAttrs> = defineOp<readonly [Tensor, Tensor], DimAttrs>({
  name: "gather",
  infer([x, index], { dim }) {
    checkIndex("gather", x, index, dim);
    return [{ dtype: x.dtype, shape: index.shape, qparams: x.qparams?.kind === "perTensor" ? x.qparams : undefined }];
  },
  forward([x, index], { dim }, [type]) {
    const out = emptyLike(type!);
    const [from, to] = [bitsOf(x.data), bitsOf(out.data)];
    forEachIndexed("gather", x.shape, index, dim, (at, offset) => (to[at] = from[offset]!));
    return [out];
  },
  backward: (dy, { inputs: [x, index], attrs: { dim } }) => [
    apply(scatterAddOp, [zeros(x.shape, { dtype: x.dtype }), index, dy], { dim }),
    null,
  ],
});

function scatterType(name: string, x: TensorType, index: TensorType, source: TensorType, dim: number): TensorType {
  checkIndex(name, x, index, dim);
  if (
    source.dtype !== x.dtype ||
    source.shape.length !== index.shape.length ||
    index.shape.some((size, i) => size > source.shape[i]!)
  ) {
    throw new ShapeError(
      name,
      { x: x.dtype, source: source.dtype, index: index.shape, sourceShape: source.shape },
      "the source must have x's dtype and be at least as large as the index",
    );
  }
  return { dtype: x.dtype, shape: x.shape };
}

/** The values of `source` that the index has places for, in the index's order. */
function sourceValues(source: Tensor, index: Tensor): Float64Array {
  const out = new Float64Array(index.numel);
  const data = floatsOf(source);
  let at = 0;
  forEachRow(index.shape, [stridesOf(source.shape)], [0], (count, [first], [step]) => {
    for (let k = 0; k < count; k++) out[at++] = data[first! + k * step!]!;
  });
  return out;
}

type ScatterInputs = readonly [x: Tensor, index: Tensor, source: Tensor];

/** The gradient of a source: gathered, and zero where the source is larger than the index. */
function sourceGradient(dy: Tensor, index: Tensor, source: Tensor, dim: number): Tensor {
  const read = gather(dy, dim, index);
  const missing = source.shape.map((size, axis) => size - index.shape[axis]!);
  return missing.every((n) => n === 0)
    ? read
    : pad(
        read,
        [...missing].reverse().flatMap((n) => [0, n]),
      );
}

export const scatterOp = defineOp<ScatterInputs, DimAttrs>({
  name: "scatter",
  infer: ([x, index, source], { dim }) => [scatterType("scatter", x, index, source, dim)],
  forward([x, index, source], { dim }, [type]) {
    const values = sourceValues(source, index);
    const out = x.data.slice();
    forEachIndexed("scatter", x.shape, index, dim, (at, offset) => (out[offset] = values[at]!));
    return [new Tensor(type!.dtype, type!.shape, out)];
  },
  backward: (dy, { inputs: [, index, source], attrs: { dim }, needs }) => [
    needs[0] ? scatter(dy, dim, index, 0) : null,
    null,
    needs[2] ? sourceGradient(dy, index, source, dim) : null,
  ],
});

export const scatterAddOp: Op<ScatterInputs, DimAttrs> = defineOp<ScatterInputs, DimAttrs>({
  name: "scatterAdd",
  infer: ([x, index, source], { dim }) => [scatterType("scatterAdd", x, index, source, dim)],
  forward([x, index, source], { dim }, [type]) {
    const values = sourceValues(source, index);
    const sums = new Float64Array(x.data);
    forEachIndexed("scatterAdd", x.shape, index, dim, (at, offset) => (sums[offset]! += values[at]!));
    return [fromDoubles(type!, sums)];
  },
  backward: (dy, { inputs: [, index, source], attrs: { dim }, needs }) => [
    dy,
    null,
    needs[2] ? sourceGradient(dy, index, source, dim) : null,
  ],
});

/** Out[i, j, k] = x[i, index[i, j, k], k] for dim 1, and so on. @throws ShapeError, DtypeError, ArgumentError */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  return apply(gatherOp, [x, index], { dim: normalizeAxis("gather", dim, x.rank) });
}

/**
 * x with the values of `source` (or one number) written to the places that `index` names. Of several values for
 * one place the last stays. @throws ShapeError, DtypeError, ArgumentError
 */
export function scatter(x: Tensor, dim: number, index: Tensor, source: Tensor | number): Tensor {
  const values = typeof source === "number" ? full(index.shape, source, { dtype: x.dtype }) : source;
  return apply(scatterOp, [x, index, values], { dim: normalizeAxis("scatter", dim, x.rank) });
}

/** x with the values of `source` added at the places that `index` names. @throws ShapeError, DtypeError, ArgumentError */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  return apply(scatterAddOp, [x, index, source], { dim: normalizeAxis("scatterAdd", dim, x.rank) });
}

/** The slices of axis `dim` that a 1-d index names, in its order. @throws ShapeError, DtypeError, ArgumentError */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  const axis = normalizeAxis("indexSelect", dim, x.rank);
  if (index.rank > 1) throw new ShapeError("indexSelect", { index: index.shape }, "the index must have one axis");
  const lined = reshape(
    index,
    x.shape.map((_, i) => (i === axis ? index.numel : 1)),
  );
  return gather(
    x,
    axis,
    expand(
      lined,
      x.shape.map((size, i) => (i === axis ? index.numel : size)),
    ),
  );
}

/** The elements that `index` names in the flattened tensor, in the index's shape. @throws DtypeError, ArgumentError */
export function take(x: Tensor, index: Tensor): Tensor {
  return reshape(gather(reshape(x, [numel(x.shape)]), 0, reshape(index, [index.numel])), index.shape);
}
