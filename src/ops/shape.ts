/**
 * Operators that rearrange a tensor without computing: reshape, permute, expand and what is made of them.
 *
 * Three operators carry the rest: reshape (shares memory), permute and expand (copies, see strided.ts).
 * Quantized tensors keep their quantization parameters, the channel axis moving along.
 */

import { ShapeError } from "../errors.ts";
import { normalizeAxes, normalizeAxis, numel, resolveReshape, sameShape, stridesOf } from "../tensor/shape.ts";
import { broadcastStrides } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { QParams } from "../tensor/qparams.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { apply, defineOp } from "./op.ts";
import { moveQParamsAxis, readStrided } from "./strided.ts";

type One = readonly [Tensor];

/** Per-channel parameters survive a reshape only when their axis does, with as many elements before it. */
function reshapeQParams(x: TensorType, shape: Shape): QParams | undefined {
  return moveQParamsAxis(x.qparams, (axis) => {
    const before = numel(x.shape.slice(0, axis));
    const found = shape.findIndex((size, i) => size === x.shape[axis] && numel(shape.slice(0, i)) === before);
    if (found < 0) {
      throw new ShapeError(
        "reshape",
        { from: x.shape, to: shape, axis },
        "the channel axis of a per-channel quantized tensor must stay whole",
      );
    }
    return found;
  });
}

export const reshapeOp = defineOp<One, { readonly shape: Shape }>({
  name: "reshape",
  infer([x], { shape }) {
    const resolved = resolveReshape(x.shape, shape);
    return [{ dtype: x.dtype, shape: resolved, qparams: reshapeQParams(x, resolved) }];
  },
  forward: ([x], _, [type]) => [new Tensor(x.dtype, type!.shape, x.data, type!.qparams)],
  backward: (dy, { inputs: [x] }) => [reshape(dy, x.shape)],
});

/** y[i0, i1, ...] = x[j...] where x's axis dims[k] is y's axis k. */
export const permuteOp = defineOp<One, { readonly dims: readonly number[] }>({
  name: "permute",
  infer([x], { dims }) {
    if (dims.length !== x.shape.length || new Set(dims).size !== dims.length) {
      throw new ShapeError("permute", { shape: x.shape, dims }, "every axis must be named exactly once");
    }
    const qparams = moveQParamsAxis(x.qparams, (axis) => dims.indexOf(axis));
    return [{ dtype: x.dtype, shape: dims.map((axis) => x.shape[axis]!), qparams }];
  },
  forward([x], { dims }, [type]) {
    const strides = stridesOf(x.shape);
    return [
      readStrided(
        type!,
        x.data,
        dims.map((axis) => strides[axis]!),
      ),
    ];
  },
  backward: (dy, { attrs: { dims } }) => [
    permute(
      dy,
      dims.map((_, axis) => dims.indexOf(axis)),
    ),
  ],
});

function expandedShape(from: Shape, to: Shape): number[] {
  const lead = to.length - from.length;
  const out = to.map((size, i) => (size === -1 ? (from[i - lead] ?? -1) : size));
  if (lead < 0 || out.some((size, i) => size < 0 || (i >= lead && from[i - lead] !== 1 && from[i - lead] !== size))) {
    throw new ShapeError("expand", { from, to }, "only axes of size 1, or new leading axes, can be expanded");
  }
  return out;
}

/** The gradient, in the expanded shape, is summed back by the driver. */
export const expandOp = defineOp<One, { readonly shape: Shape }>({
  name: "expand",
  infer([x], { shape }) {
    const lead = shape.length - x.shape.length;
    return [
      {
        dtype: x.dtype,
        shape: expandedShape(x.shape, shape),
        qparams: moveQParamsAxis(x.qparams, (axis) => axis + lead),
      },
    ];
  },
  forward: ([x], _, [type]) => [readStrided(type!, x.data, broadcastStrides(x.shape, type!.shape))],
  backward: (dy) => [dy],
});

/**
 * The same values in another shape; one size may be -1. Shares memory.
 * @throws ShapeError when the element counts differ.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  return apply(reshapeOp, [x], { shape: resolveReshape(x.shape, shape) });
}

/** The axes in another order: axis `dims[k]` becomes axis k. @throws ShapeError unless `dims` is a permutation. */
export function permute(x: Tensor, dims: readonly number[]): Tensor {
  return apply(permuteOp, [x], { dims: dims.map((axis) => normalizeAxis("permute", axis, x.rank)) });
}

/** Swaps two axes. */
export function transpose(x: Tensor, dim0: number, dim1: number): Tensor {
  const a = normalizeAxis("transpose", dim0, x.rank);
  const b = normalizeAxis("transpose", dim1, x.rank);
  return permute(
    x,
    x.shape.map((_, axis) => (axis === a ? b : axis === b ? a : axis)),
  );
}

/** Moves axes `source` to positions `destination`; the others keep their order. */
export function movedim(
  x: Tensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor {
  const from = normalizeAxes("movedim", source, x.rank);
  const to = normalizeAxes("movedim", destination, x.rank);
  if (from.length !== to.length)
    throw new ShapeError("movedim", { source, destination }, "there must be as many destinations as sources");
  const rest = x.shape.map((_, axis) => axis).filter((axis) => !from.includes(axis));
  const dims = x.shape.map((_, axis) => (to.includes(axis) ? from[to.indexOf(axis)]! : rest.shift()!));
  return permute(x, dims);
}

/** Repeats axes of size 1 to the given sizes; -1 keeps a size, new axes may be added in front. @throws ShapeError */
export function expand(x: Tensor, shape: Shape): Tensor {
  const out = expandedShape(x.shape, shape);
  return sameShape(out, x.shape) ? x : apply(expandOp, [x], { shape: out });
}

/** Removes axes of size 1: all of them, or those named (a named axis of another size stays). */
export function squeeze(x: Tensor, dim?: number | readonly number[]): Tensor {
  const axes = normalizeAxes("squeeze", dim, x.rank);
  return reshape(
    x,
    x.shape.filter((size, axis) => size !== 1 || !axes.includes(axis)),
  );
}

/** Inserts an axis of size 1 at `dim`, which may be negative. @throws ShapeError */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  const axis = normalizeAxis("unsqueeze", dim, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
}

/** Merges axes `startDim..endDim` into one; a 0-d tensor becomes one of shape [1]. @throws ShapeError */
export function flatten(x: Tensor, startDim = 0, endDim = -1): Tensor {
  const start = normalizeAxis("flatten", startDim, x.rank);
  const end = normalizeAxis("flatten", endDim, x.rank);
  if (start > end) throw new ShapeError("flatten", { startDim, endDim }, "startDim must not come after endDim");
  return reshape(x, [...x.shape.slice(0, start), numel(x.shape.slice(start, end + 1)), ...x.shape.slice(end + 1)]);
}

/** Splits one axis into several whose product it is; one size may be -1. */
export function unflatten(x: Tensor, dim: number, sizes: Shape): Tensor {
  const axis = normalizeAxis("unflatten", dim, x.rank);
  return reshape(x, [
    ...x.shape.slice(0, axis),
    ...resolveReshape([x.shape[axis]!], sizes),
    ...x.shape.slice(axis + 1),
  ]);
}
