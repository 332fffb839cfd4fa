/**
 * Padding and cropping, as torch.nn.functional.pad: constant, reflect, replicate, circular.
 *
 * All modes are one gather: for each axis a table says which input index an output index reads, or -1 for the
 * constant. The gradient is the matching scatter.
 */

import { ArgumentError, DtypeError, ShapeError } from "../errors.ts";
import { allocate } from "../tensor/dtype.ts";
import { numel, stridesOf } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { floatsOf, fromDoubles } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import type { Op } from "./op.ts";

export type PadMode = "constant" | "reflect" | "replicate" | "circular";

/** `padding` lists [before, after] of the last axis, then of the one before it, and so on, as in PyTorch. */
export type PadAttrs = { readonly padding: readonly number[]; readonly mode: PadMode; readonly value: number };

type PadBackwardAttrs = PadAttrs & { readonly shape: Shape };

export interface PadOptions {
  readonly mode?: PadMode;
  /** What `constant` pads with. */
  readonly value?: number;
}

/** [before, after] of an axis. */
function paddingOf(axis: number, rank: number, padding: readonly number[]): [number, number] {
  const at = 2 * (rank - 1 - axis);
  return [padding[at] ?? 0, padding[at + 1] ?? 0];
}

/** Input index that position `at` (negative before the start) of an axis of `size` reads; -1 for none. */
function source(mode: PadMode, at: number, size: number, [before, after]: readonly [number, number]): number {
  if (at >= 0 && at < size) return at;
  if (mode === "constant") return -1;
  if (mode === "reflect") return at < 0 ? -at : 2 * (size - 1) - at;
  if (mode === "replicate") return at < 0 ? 0 : size - 1;
  // A side that is cropped is no part of the circle.
  const start = Math.max(-before, 0);
  const period = size - start - Math.max(-after, 0);
  return at < 0 ? at + start + period : at - period;
}

/** Most that a mode can pad an axis by. */
const limits: Readonly<Record<PadMode, (size: number) => number>> = {
  constant: () => Infinity,
  reflect: (size) => size - 1,
  replicate: (size) => (size > 0 ? Infinity : 0),
  circular: (size) => size,
};

function paddedShape(shape: Shape, { padding, mode }: PadAttrs): number[] {
  if (padding.length % 2 !== 0 || padding.length > 2 * shape.length) {
    throw new ShapeError("pad", { shape, padding }, "padding must hold two numbers for each of the last axes");
  }
  return shape.map((size, axis) => {
    const [before, after] = paddingOf(axis, shape.length, padding);
    const limit = limits[mode](size);
    if (before > limit || after > limit || size + before + after < 0) {
      throw new ShapeError("pad", { shape, padding, mode, axis }, `this axis cannot be padded so much in this mode`);
    }
    return size + before + after;
  });
}

/** For each axis, the input offset that each output index reads, or -1. */
export function sourceTables(from: Shape, to: Shape, { padding, mode }: PadAttrs): Int32Array[] {
  const strides = stridesOf(from);
  return to.map((size, axis) => {
    const around = paddingOf(axis, to.length, padding);
    return Int32Array.from({ length: size }, (_, i) => {
      const index = source(mode, i - around[0], from[axis]!, around);
      return index < 0 ? -1 : index * strides[axis]!;
    });
  });
}

/** Calls `row(at, base)` for every innermost output row: where it starts, and its input offset or -1. */
export function forEachPaddedRow(
  to: Shape,
  tables: readonly Int32Array[],
  row: (at: number, base: number) => void,
): void {
  const last = to.length - 1;
  const visit = (axis: number, at: number, base: number): void => {
    if (axis === last) return row(at, base);
    const below = numel(to.slice(axis + 1));
    for (let i = 0; i < to[axis]!; i++) {
      const offset = tables[axis]![i]!;
      visit(axis + 1, at + i * below, base < 0 || offset < 0 ? -1 : base + offset);
    }
  };
  if (last >= 0) visit(0, 0, 0);
}

/** The stored value that `constant` pads with. */
function fillOf({ qparams, shape, dtype }: TensorType, { value, mode }: PadAttrs): number {
  if (qparams === undefined || mode !== "constant") return value;
  if (qparams.kind === "perTensor" && value === 0) return qparams.zeroPoint;
  throw new DtypeError(
    "pad",
    { dtype, shape, value },
    "a quantized tensor is padded with 0 and per-tensor parameters only",
  );
}

export const padOp: Op<readonly [Tensor], PadAttrs> = defineOp<readonly [Tensor], PadAttrs>({
  name: "pad",
  infer([x], attrs) {
    fillOf(x, attrs);
    return [{ dtype: x.dtype, shape: paddedShape(x.shape, attrs), qparams: x.qparams }];
  },
  forward([x], attrs, [type]) {
    const { dtype, shape, qparams } = type!;
    if (shape.length === 0) return [new Tensor(dtype, shape, x.data.slice(), qparams)];
    const tables = sourceTables(x.shape, shape, attrs);
    const inner = tables[tables.length - 1]!;
    const fill = fillOf(x, attrs);
    const from = floatsOf(x);
    const out = new Float64Array(numel(shape)).fill(fill);
    forEachPaddedRow(shape, tables, (at, base) => {
      if (base < 0) return;
      for (let i = 0; i < inner.length; i++) if (inner[i]! >= 0) out[at + i] = from[base + inner[i]!]!;
    });
    const values = allocate(dtype, out.length);
    values.set(out);
    return [new Tensor(dtype, shape, values, qparams)];
  },
  backward: (dy, { inputs: [x], attrs }) => [apply(padBackwardOp, [dy], { ...attrs, value: 0, shape: x.shape })],
});

/** Adds each padded element to the one of `shape` it was read from. */
export const padBackwardOp: Op<readonly [Tensor], PadBackwardAttrs> = defineOp<readonly [Tensor], PadBackwardAttrs>({
  name: "padBackward",
  infer: ([dy], { shape }) => [{ dtype: dy.dtype, shape }],
  forward([dy], attrs, [type]) {
    const out = new Float64Array(numel(attrs.shape));
    if (attrs.shape.length === 0) out[0] = dy.item();
    const tables = sourceTables(attrs.shape, dy.shape, attrs);
    const inner = tables[tables.length - 1]!;
    const from = floatsOf(dy);
    forEachPaddedRow(dy.shape, tables, (at, base) => {
      if (base < 0) return;
      for (let i = 0; i < inner.length; i++) if (inner[i]! >= 0) out[base + inner[i]!]! += from[at + i]!;
    });
    return [fromDoubles(type!, out)];
  },
  backward: (d, { attrs: { padding, mode, value } }) => [apply(padOp, [d], { padding, mode, value })],
});

/**
 * Pads (negative: crops) the last axes: `padding` = [before, after] of the last axis, then of the one before it.
 * @throws ShapeError when reflect or circular would need more elements than there are, ArgumentError for fractions.
 */
export function pad(x: Tensor, padding: readonly number[], { mode = "constant", value = 0 }: PadOptions = {}): Tensor {
  if (!padding.every(Number.isInteger)) throw new ArgumentError("pad", { padding }, "padding must be integers");
  return apply(padOp, [x], { padding, mode, value: mode === "constant" ? value : 0 });
}
