/**
 * Max pooling, plain and adaptive, over one to three spatial axes.
 *
 * The gradient goes to the position that won: the first of equal ones, and NaN always wins, as in PyTorch.
 * That position is an operator of its own (indices inside a plane), and so are the scatter that carries a
 * gradient there and the gather that is the scatter's gradient.
 */

import { isQuantized } from "../tensor/dtype.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor, emptyLike } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { resolveOutputSize } from "./avg-pool.ts";
import type { AdaptiveAttrs, OutputSize } from "./avg-pool.ts";
import { withBatch } from "./conv.ts";
import { batchOf } from "./conv-geometry.ts";
import type { PerAxis, SpatialRank } from "./conv-geometry.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Attrs, Op } from "./op.ts";
import {
  adaptiveCounts,
  adaptiveWindows,
  planeWindows,
  poolCounts,
  pooledShape,
  poolWindows,
  resolvePool,
} from "./pool-windows.ts";
import type { AxisWindows, PoolAttrs, PoolOptions } from "./pool-windows.ts";

type One = readonly [Tensor];
type Indexed = readonly [values: Tensor, index: Tensor];
type NoAttrs = Readonly<Record<string, never>>;
type ShapeAttrs = { readonly shape: Shape };

/** For each window of every plane, the offset inside the plane of its largest value. */
export function argmaxReference(
  x: TypedArray,
  spatial: Shape,
  planes: number,
  windows: readonly AxisWindows[],
): Float64Array {
  const { first, offsets } = planeWindows(windows, spatial);
  const count = first.length - 1;
  const size = numel(spatial);
  const out = new Float64Array(planes * count);
  for (let plane = 0; plane < planes; plane++) {
    const base = plane * size;
    for (let o = 0; o < count; o++) {
      let at = offsets[first[o]!]!;
      let best = x[base + at]!;
      for (let i = first[o]! + 1; i < first[o + 1]!; i++) {
        const v = x[base + offsets[i]!]!;
        if (v > best || v !== v) {
          best = v;
          at = offsets[i]!;
        }
      }
      out[plane * count + o] = at;
    }
  }
  return out;
}

/** Calls `entry` with each position in `index` and the position in the planes it points to. */
function forEachEntry({ data }: Tensor, from: number, to: number, entry: (i: number, at: number) => void): void {
  for (let start = 0, base = 0; start < data.length; start += to, base += from) {
    for (let i = start; i < start + to; i++) entry(i, base + data[i]!);
  }
}

/** y[plane, o] = x[plane, index[plane, o]]. */
export const planeGatherOp: Op<Indexed, NoAttrs> = defineOp<Indexed, NoAttrs>({
  name: "planeGather",
  infer: ([x, index]) => [{ dtype: x.dtype, shape: index.shape, qparams: x.qparams }],
  forward([x, index], _, [type]) {
    const y = emptyLike(type!);
    const [from, to] = [numel(x.shape.slice(2)), numel(index.shape.slice(2))];
    forEachEntry(index, from, to, (i, at) => {
      y.data[i] = x.data[at]!;
    });
    return [y];
  },
  backward: (dy, { inputs: [x, index] }) => [apply(planeScatterOp, [dy, index], { shape: x.shape }), null],
});

/** dx[plane, index[plane, o]] += dy[plane, o]; the transpose of planeGather. */
export const planeScatterOp: Op<Indexed, ShapeAttrs> = defineOp<Indexed, ShapeAttrs>({
  name: "planeScatter",
  infer: ([dy], { shape }) => [{ dtype: dy.dtype, shape: batchOf(dy.shape, shape) }],
  forward([dy, index], _, [type]) {
    const dx = emptyLike(type!);
    const [from, to] = [numel(dx.shape.slice(2)), numel(index.shape.slice(2))];
    forEachEntry(index, from, to, (i, at) => {
      dx.data[at]! += dy.data[i]!;
    });
    return [dx];
  },
  backward: (g, { inputs: [, index] }) => [apply(planeGatherOp, [g, index], {}), null],
});

interface MaxPool<A extends Attrs> {
  readonly values: Op<One, A>;
  readonly indices: Op<One, A>;
}

/** Defines a pool and the operator of its indices by how windows follow from the input's shape. */
function maxPooling<A extends Attrs>(
  name: string,
  countsOf: (x: Shape, attrs: A) => readonly number[],
  windowsOf: (x: Shape, attrs: A) => readonly AxisWindows[],
): MaxPool<A> {
  const typeOf = (x: TensorType, attrs: A): TensorType => {
    if (!isQuantized(x.dtype)) requireFloat(name, x);
    return { dtype: x.dtype, shape: pooledShape(x.shape, countsOf(x.shape, attrs)), qparams: x.qparams };
  };
  const positions = (x: Tensor, attrs: A): Tensor => {
    const windows = windowsOf(x.shape, attrs);
    const found = argmaxReference(x.data, x.shape.slice(2), x.shape[0]! * x.shape[1]!, windows);
    return new Tensor("int64", pooledShape(x.shape, countsOf(x.shape, attrs)), found);
  };
  const indices = defineOp<One, A>({
    name: `${name}Indices`,
    infer: ([x], attrs) => [{ dtype: "int64", shape: typeOf(x, attrs).shape }],
    forward: ([x], attrs) => [positions(x, attrs)],
    backward: "gives positions, not values",
  });
  const values = defineOp<One, A>({
    name,
    infer: ([x], attrs) => [typeOf(x, attrs)],
    forward: ([x], attrs, types) => planeGatherOp.forward([x, positions(x, attrs)], {}, types),
    backward: (dy, { inputs: [x], attrs }) => [
      apply(planeScatterOp, [dy, apply(indices, [x], attrs)], { shape: x.shape }),
    ],
  });
  return { values, indices };
}

function plainPool(rank: SpatialRank): MaxPool<PoolAttrs> {
  const name = `maxPool${rank}d`;
  return maxPooling<PoolAttrs>(
    name,
    (x, attrs) => poolCounts(name, x, attrs),
    (x, attrs) => poolWindows(name, x, attrs),
  );
}

function adaptivePool(rank: SpatialRank): MaxPool<AdaptiveAttrs> {
  const name = `adaptiveMaxPool${rank}d`;
  return maxPooling<AdaptiveAttrs>(
    name,
    (x, { outputSize }) => adaptiveCounts(name, x, outputSize),
    (x, { outputSize }) => adaptiveWindows(name, x, outputSize),
  );
}

const maxPools = { 1: plainPool(1), 2: plainPool(2), 3: plainPool(3) };
const adaptivePools = { 1: adaptivePool(1), 2: adaptivePool(2), 3: adaptivePool(3) };

export const maxPool1dOp = maxPools[1].values;
export const maxPool2dOp = maxPools[2].values;
export const maxPool3dOp = maxPools[3].values;
export const adaptiveMaxPool1dOp = adaptivePools[1].values;
export const adaptiveMaxPool2dOp = adaptivePools[2].values;
export const adaptiveMaxPool3dOp = adaptivePools[3].values;

export interface MaxPoolOptions extends PoolOptions {
  readonly dilation?: PerAxis;
}

function maxPool(
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions,
  rank: SpatialRank,
  kind: keyof MaxPool<PoolAttrs>,
): Tensor {
  const attrs = resolvePool(`maxPool${rank}d`, kernelSize, options, rank);
  return withBatch(x, rank, (batch) => apply(maxPools[rank][kind], [batch], attrs));
}

function adaptiveMaxPool(x: Tensor, outputSize: OutputSize, rank: SpatialRank, kind: keyof MaxPool<PoolAttrs>): Tensor {
  const size = resolveOutputSize(`adaptiveMaxPool${rank}d`, x.shape, outputSize, rank);
  return withBatch(x, rank, (batch) => apply(adaptivePools[rank][kind], [batch], { outputSize: size }));
}

/** The largest value of each window of x [N, C, L] (or [C, L]); quantized tensors stay quantized. @throws ShapeError, DtypeError, ArgumentError */
export function maxPool1d(x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool(x, kernelSize, options, 1, "values");
}

/** `maxPool1d` with the offset inside its plane of each value (int64), as `returnIndices` gives in PyTorch. */
export function maxPool1dWithIndices(
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions = {},
): readonly [Tensor, Tensor] {
  return [maxPool(x, kernelSize, options, 1, "values"), maxPool(x, kernelSize, options, 1, "indices")];
}

/** The largest value of each window of x [N, C, H, W] (or [C, H, W]); quantized tensors stay quantized. @throws ShapeError, DtypeError, ArgumentError */
export function maxPool2d(x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool(x, kernelSize, options, 2, "values");
}

/** `maxPool2d` with the offset inside its plane of each value (int64), as `returnIndices` gives in PyTorch. */
export function maxPool2dWithIndices(
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions = {},
): readonly [Tensor, Tensor] {
  return [maxPool(x, kernelSize, options, 2, "values"), maxPool(x, kernelSize, options, 2, "indices")];
}

/** The largest value of each window of x [N, C, D, H, W] (or [C, D, H, W]); quantized tensors stay quantized. @throws ShapeError, DtypeError, ArgumentError */
export function maxPool3d(x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool(x, kernelSize, options, 3, "values");
}

/** `maxPool3d` with the offset inside its plane of each value (int64), as `returnIndices` gives in PyTorch. */
export function maxPool3dWithIndices(
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions = {},
): readonly [Tensor, Tensor] {
  return [maxPool(x, kernelSize, options, 3, "values"), maxPool(x, kernelSize, options, 3, "indices")];
}

/** The largest values of x [N, C, L] (or [C, L]) over as many windows as `outputSize` says. @throws ShapeError, DtypeError, ArgumentError */
export function adaptiveMaxPool1d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMaxPool(x, outputSize, 1, "values");
}

/** `adaptiveMaxPool1d` with the offset inside its plane of each value (int64). */
export function adaptiveMaxPool1dWithIndices(x: Tensor, outputSize: OutputSize): readonly [Tensor, Tensor] {
  return [adaptiveMaxPool(x, outputSize, 1, "values"), adaptiveMaxPool(x, outputSize, 1, "indices")];
}

/** The largest values of x [N, C, H, W] (or [C, H, W]) over as many windows as `outputSize` says. @throws ShapeError, DtypeError, ArgumentError */
export function adaptiveMaxPool2d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMaxPool(x, outputSize, 2, "values");
}

/** `adaptiveMaxPool2d` with the offset inside its plane of each value (int64). */
export function adaptiveMaxPool2dWithIndices(x: Tensor, outputSize: OutputSize): readonly [Tensor, Tensor] {
  return [adaptiveMaxPool(x, outputSize, 2, "values"), adaptiveMaxPool(x, outputSize, 2, "indices")];
}

/** The largest values of x [N, C, D, H, W] (or [C, D, H, W]) over as many windows as `outputSize` says. @throws ShapeError, DtypeError, ArgumentError */
export function adaptiveMaxPool3d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMaxPool(x, outputSize, 3, "values");
}

/** `adaptiveMaxPool3d` with the offset inside its plane of each value (int64). */
export function adaptiveMaxPool3dWithIndices(x: Tensor, outputSize: OutputSize): readonly [Tensor, Tensor] {
  return [adaptiveMaxPool(x, outputSize, 3, "values"), adaptiveMaxPool(x, outputSize, 3, "indices")];
}
