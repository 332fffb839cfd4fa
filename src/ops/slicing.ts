/**
 * Parts of a tensor: slice, narrow, select, split, chunk, unbind, flip.
 *
 * PyTorch answers these with views; here they are copies. Bounds are Python's: negative ones count from the
 * end, and what lies outside is cut off.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { normalizeAxes, normalizeAxis, stridesOf } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { zeros } from "../tensor/create.ts";
import type { QParams } from "../tensor/qparams.ts";
import { emptyLike } from "../tensor/tensor.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { cat } from "./cat.ts";
import { apply, defineOp, dispatch } from "./op.ts";
import type { Op } from "./op.ts";
import { reshape } from "./shape.ts";
import { readStrided, writeStrided } from "./strided.ts";

type One = readonly [Tensor];

/** Elements start, start + step, ... below `end` of axis `dim`, with 0 <= start <= end <= size. */
export type SliceAttrs = { readonly dim: number; readonly start: number; readonly end: number; readonly step: number };

type SliceBackwardAttrs = SliceAttrs & { readonly shape: Shape };

function resized(shape: Shape, dim: number, size: number): number[] {
  return shape.map((own, axis) => (axis === dim ? size : own));
}

/** The part of per-channel parameters that goes with a part of the channel axis. */
function sliceQParams({ qparams }: TensorType, { dim, start, end, step }: SliceAttrs): QParams | undefined {
  if (qparams === undefined || qparams.kind === "perTensor" || qparams.axis !== dim) return qparams;
  const part = (list: readonly number[]): number[] => list.slice(start, end).filter((_, i) => i % step === 0);
  return { ...qparams, scales: part(qparams.scales), zeroPoints: part(qparams.zeroPoints) };
}

function slicedType(x: TensorType, attrs: SliceAttrs): TensorType {
  const size = Math.ceil((attrs.end - attrs.start) / attrs.step);
  return { dtype: x.dtype, shape: resized(x.shape, attrs.dim, size), qparams: sliceQParams(x, attrs) };
}

/** Strides and offset by which a slice reads its input. */
function sliceWalk(shape: Shape, { dim, start, step }: SliceAttrs): { strides: number[]; offset: number } {
  const strides = stridesOf(shape);
  const offset = start * strides[dim]!;
  strides[dim]! *= step;
  return { strides, offset };
}

export const sliceOp: Op<One, SliceAttrs> = defineOp<One, SliceAttrs>({
  name: "slice",
  infer: ([x], attrs) => [slicedType(x, attrs)],
  forward([x], attrs, [type]) {
    const { strides, offset } = sliceWalk(x.shape, attrs);
    return [readStrided(type!, x.data, strides, offset)];
  },
  backward: (dy, { inputs: [x], attrs }) => [apply(sliceBackwardOp, [dy], { ...attrs, shape: x.shape })],
});

/** Zeros of `shape` with the input in the place that `slice` reads. */
export const sliceBackwardOp: Op<One, SliceBackwardAttrs> = defineOp<One, SliceBackwardAttrs>({
  name: "sliceBackward",
  infer: ([dy], { shape }) => [{ dtype: dy.dtype, shape }],
  forward([dy], attrs, [type]) {
    const out = emptyLike(type!);
    const { strides, offset } = sliceWalk(attrs.shape, attrs);
    writeStrided(out.data, dy.data, dy.shape, strides, offset);
    return [out];
  },
  backward: (d, { attrs: { dim, start, end, step } }) => [apply(sliceOp, [d], { dim, start, end, step })],
});

export const splitOp = defineOp<One, { readonly sizes: readonly number[]; readonly dim: number }>({
  name: "split",
  infer([x], { sizes, dim }) {
    let end = 0;
    return sizes.map((size) => slicedType(x, { dim, start: end, end: (end += size), step: 1 }));
  },
  forward([x], { dim }, types) {
    let start = 0;
    return types.map((type) => {
      const { strides, offset } = sliceWalk(x.shape, { dim, start, end: start, step: 1 });
      start += type.shape[dim]!;
      return readStrided(type, x.data, strides, offset);
    });
  },
  backward: (_, { attrs: { dim }, grads, outputs }) => [
    cat(
      grads.map((grad, i) => grad ?? zeros(outputs[i]!.shape, { dtype: outputs[i]!.dtype })),
      dim,
    ),
  ],
});

export const flipOp = defineOp<One, { readonly dims: readonly number[] }>({
  name: "flip",
  infer([x], { dims }) {
    const { qparams } = x;
    if (qparams !== undefined && qparams.kind !== "perTensor" && dims.includes(qparams.axis)) {
      throw new ShapeError(
        "flip",
        { dims, axis: qparams.axis },
        "the channel axis of a quantized tensor cannot be flipped",
      );
    }
    return [{ dtype: x.dtype, shape: x.shape, qparams }];
  },
  forward([x], { dims }, [type]) {
    const strides = stridesOf(x.shape);
    const offset = dims.reduce((sum, axis) => sum + strides[axis]! * (x.shape[axis]! - 1), 0);
    return [
      readStrided(
        type!,
        x.data,
        strides.map((step, axis) => (dims.includes(axis) ? -step : step)),
        offset,
      ),
    ];
  },
  backward: (dy, { attrs: { dims } }) => [flip(dy, dims)],
});

/** Python's reading of a slice bound. */
function bound(index: number, size: number): number {
  return Math.min(Math.max(index < 0 ? index + size : index, 0), size);
}

/**
 * Elements start, start + step, ... below `end` along one axis: `x[..., start:end:step]`.
 * @throws ShapeError for an axis that does not exist, ArgumentError for a step below 1.
 */
export function slice(x: Tensor, dim: number, start = 0, end = Infinity, step = 1): Tensor {
  const axis = normalizeAxis("slice", dim, x.rank);
  if (x.rank === 0) throw new ShapeError("slice", { shape: x.shape }, "a tensor without axes has no slices");
  if (!Number.isInteger(step) || step < 1)
    throw new ArgumentError("slice", { step }, "the step must be a positive integer");
  const first = bound(start, x.shape[axis]!);
  const last = Math.max(first, bound(end, x.shape[axis]!));
  if (first === 0 && last === x.shape[axis]! && step === 1) return x;
  return apply(sliceOp, [x], { dim: axis, start: first, end: last, step });
}

/** `length` elements from `start` along one axis. @throws ShapeError when they do not all exist. */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  const size = x.size(dim);
  const first = start < 0 ? start + size : start;
  if (first < 0 || length < 0 || first + length > size) {
    throw new ShapeError("narrow", { shape: x.shape, dim, start, length }, "start + length must not exceed the axis");
  }
  return slice(x, dim, first, first + length);
}

/** The slice at one index, without the axis: `x[index]` for dim 0. @throws ShapeError when there is none. */
export function select(x: Tensor, dim: number, index: number): Tensor {
  const axis = normalizeAxis("select", dim, x.rank);
  return reshape(
    narrow(x, axis, index, 1),
    x.shape.filter((_, i) => i !== axis),
  );
}

/**
 * Parts of a size (the last may be smaller), or of given sizes, along one axis.
 * @throws ShapeError when given sizes do not add up to the axis.
 */
export function split(x: Tensor, splitSize: number | readonly number[], dim = 0): readonly Tensor[] {
  const axis = normalizeAxis("split", dim, x.rank);
  const total = x.size(axis);
  if (typeof splitSize === "number") {
    if (!Number.isInteger(splitSize) || splitSize < 1) {
      throw new ArgumentError("split", { splitSize }, "the size of a part must be a positive integer");
    }
    const parts = Math.max(1, Math.ceil(total / splitSize));
    const sizes = Array.from({ length: parts }, (_, i) => Math.min(splitSize, total - i * splitSize));
    return dispatch(splitOp, [x], { sizes, dim: axis });
  }
  if (splitSize.some((size) => size < 0) || splitSize.reduce((sum, size) => sum + size, 0) !== total) {
    throw new ShapeError(
      "split",
      { shape: x.shape, dim, sizes: splitSize },
      "the sizes must add up to the size of the axis",
    );
  }
  return dispatch(splitOp, [x], { sizes: splitSize, dim: axis });
}

/** At most `chunks` parts of equal size (the last may be smaller) along one axis. */
export function chunk(x: Tensor, chunks: number, dim = 0): readonly Tensor[] {
  if (!Number.isInteger(chunks) || chunks < 1)
    throw new ArgumentError("chunk", { chunks }, "there must be at least one chunk");
  return split(x, Math.max(1, Math.ceil(x.size(dim) / chunks)), dim);
}

/** All slices along one axis, without it. */
export function unbind(x: Tensor, dim = 0): readonly Tensor[] {
  const axis = normalizeAxis("unbind", dim, x.rank);
  const shape = x.shape.filter((_, i) => i !== axis);
  if (x.size(axis) === 0) return [];
  return split(x, 1, axis).map((part) => reshape(part, shape));
}

/** The elements in reverse order along the named axes. */
export function flip(x: Tensor, dims: number | readonly number[]): Tensor {
  return apply(flipOp, [x], { dims: normalizeAxes("flip", dims, x.rank) });
}
