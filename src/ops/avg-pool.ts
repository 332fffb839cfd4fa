/**
 * Average pooling, plain and adaptive, over one to three spatial axes.
 *
 * Both are averages over windows (pool-windows.ts), linear in x, so the gradient operator spreads each
 * output's gradient over its window, and the gradient of that is the average again.
 */

import { ArgumentError } from "../errors.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { withBatch } from "./conv.ts";
import { batchOf, perAxis } from "./conv-geometry.ts";
import type { PerAxis, SpatialRank } from "./conv-geometry.ts";
import { fromDoubles } from "./loops.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Attrs, Op } from "./op.ts";
import { quantizedAdaptiveAvgPools, quantizedAvgPools } from "./quantized/pools.ts";
import {
  adaptiveCounts,
  adaptiveWindows,
  planeWindows,
  poolCounts,
  pooledShape,
  poolWindows,
  resolvePool,
} from "./pool-windows.ts";
import type { AxisWindows, PlaneWindows, PoolAttrs, PoolOptions } from "./pool-windows.ts";

type One = readonly [Tensor];

/** Windows and what the sum over each is divided by: its elements inside, its elements with padding, or a number. */
interface Averaging {
  readonly windows: readonly AxisWindows[];
  readonly divisor: "inside" | "padded" | number;
}

function divisors({ first, padded }: PlaneWindows, divisor: Averaging["divisor"]): Float64Array {
  if (divisor === "padded") return padded;
  return padded.map((_, o) => (divisor === "inside" ? first[o + 1]! - first[o]! : divisor));
}

/** y = the average of each window of every plane of x. */
export function averageReference(
  x: TypedArray,
  spatial: Shape,
  planes: number,
  { windows, divisor }: Averaging,
): Float64Array {
  const list = planeWindows(windows, spatial);
  const { first, offsets } = list;
  const by = divisors(list, divisor);
  const size = numel(spatial);
  const y = new Float64Array(planes * by.length);
  for (let plane = 0; plane < planes; plane++) {
    const base = plane * size;
    for (let o = 0; o < by.length; o++) {
      let sum = 0;
      for (let i = first[o]!; i < first[o + 1]!; i++) sum += x[base + offsets[i]!]!;
      y[plane * by.length + o] = sum / by[o]!;
    }
  }
  return y;
}

/** The transpose of `averageReference`. */
export function spreadReference(
  dy: TypedArray,
  spatial: Shape,
  planes: number,
  { windows, divisor }: Averaging,
): Float64Array {
  const list = planeWindows(windows, spatial);
  const { first, offsets } = list;
  const by = divisors(list, divisor);
  const size = numel(spatial);
  const dx = new Float64Array(planes * size);
  for (let plane = 0; plane < planes; plane++) {
    const base = plane * size;
    for (let o = 0; o < by.length; o++) {
      const share = dy[plane * by.length + o]! / by[o]!;
      for (let i = first[o]!; i < first[o + 1]!; i++) dx[base + offsets[i]!]! += share;
    }
  }
  return dx;
}

/** Defines a pool and its gradient operator by how windows follow from the input's shape. */
function averagePool<A extends Attrs>(
  name: string,
  countsOf: (x: Shape, attrs: A) => readonly number[],
  averaging: (x: Shape, attrs: A) => Averaging,
  quantized: () => Op<One, A>,
): Op<One, A> {
  type GradAttrs = { readonly pool: A; readonly shape: Shape };
  const pool: Op<One, A> = defineOp<One, A>({
    name,
    infer([x], attrs) {
      requireFloat(name, x);
      return [{ dtype: x.dtype, shape: pooledShape(x.shape, countsOf(x.shape, attrs)) }];
    },
    forward([x], attrs, [type]) {
      const planes = x.shape[0]! * x.shape[1]!;
      return [fromDoubles(type!, averageReference(x.data, x.shape.slice(2), planes, averaging(x.shape, attrs)))];
    },
    backward: (dy, { inputs: [x], attrs }) => [apply(gradient, [dy], { pool: attrs, shape: x.shape })],
    quantized: (inputs, attrs) => apply(quantized(), inputs, attrs),
  });
  const gradient: Op<One, GradAttrs> = defineOp<One, GradAttrs>({
    name: `${name}Grad`,
    infer: ([dy], { shape }): TensorType[] => [{ dtype: dy.dtype, shape: batchOf(dy.shape, shape) }],
    forward([dy], { pool: attrs }, [type]) {
      const { shape } = type!;
      const planes = shape[0]! * shape[1]!;
      return [fromDoubles(type!, spreadReference(dy.data, shape.slice(2), planes, averaging(shape, attrs)))];
    },
    backward: (g, { attrs }) => [apply(pool, [g], attrs.pool)],
  });
  return pool;
}

export type AvgPoolAttrs = Omit<PoolAttrs, "dilation"> & {
  readonly countIncludePad: boolean;
  readonly divisorOverride: number | null;
};

function plainPool(rank: SpatialRank): Op<One, AvgPoolAttrs> {
  const name = `avgPool${rank}d`;
  const undilated = (attrs: AvgPoolAttrs): PoolAttrs => ({ ...attrs, dilation: attrs.kernelSize.map(() => 1) });
  const countsOf = (x: Shape, attrs: AvgPoolAttrs): number[] => poolCounts(name, x, undilated(attrs));
  const averaging = (x: Shape, attrs: AvgPoolAttrs): Averaging => {
    const { countIncludePad, divisorOverride } = attrs;
    return {
      windows: poolWindows(name, x, undilated(attrs)),
      divisor: divisorOverride ?? (countIncludePad ? "padded" : "inside"),
    };
  };
  return averagePool(name, countsOf, averaging, () => quantizedAvgPools[rank]);
}

export const avgPool1dOp = plainPool(1);
export const avgPool2dOp = plainPool(2);
export const avgPool3dOp = plainPool(3);

export type AdaptiveAttrs = { readonly outputSize: readonly number[] };

function adaptivePool(rank: SpatialRank): Op<One, AdaptiveAttrs> {
  const name = `adaptiveAvgPool${rank}d`;
  const countsOf = (x: Shape, { outputSize }: AdaptiveAttrs): readonly number[] => adaptiveCounts(name, x, outputSize);
  const averaging = (x: Shape, { outputSize }: AdaptiveAttrs): Averaging => ({
    windows: adaptiveWindows(name, x, outputSize),
    divisor: "inside",
  });
  return averagePool(name, countsOf, averaging, () => quantizedAdaptiveAvgPools[rank]);
}

export const adaptiveAvgPool1dOp = adaptivePool(1);
export const adaptiveAvgPool2dOp = adaptivePool(2);
export const adaptiveAvgPool3dOp = adaptivePool(3);

export interface AvgPoolOptions extends PoolOptions {
  /** Zeros of the padding count as elements of the window. */
  readonly countIncludePad?: boolean;
  /** Divide by this instead of the window's size. */
  readonly divisorOverride?: number | null;
}

const avgOps = { 1: avgPool1dOp, 2: avgPool2dOp, 3: avgPool3dOp };
const adaptiveOps = { 1: adaptiveAvgPool1dOp, 2: adaptiveAvgPool2dOp, 3: adaptiveAvgPool3dOp };

function avgPool(x: Tensor, kernelSize: PerAxis, options: AvgPoolOptions, rank: SpatialRank): Tensor {
  const where = `avgPool${rank}d`;
  const { countIncludePad = true, divisorOverride = null } = options;
  if (divisorOverride === 0) throw new ArgumentError(where, { divisorOverride }, "the divisor must not be zero");
  const { kernelSize: kernel, stride, padding, ceilMode } = resolvePool(where, kernelSize, options, rank);
  const attrs = { kernelSize: kernel, stride, padding, ceilMode, countIncludePad, divisorOverride };
  return withBatch(x, rank, (batch) => apply(avgOps[rank], [batch], attrs));
}

/** An output size an axis, null for "as the input". */
export type OutputSize = number | readonly (number | null)[];

/** Complete output size for x [N, C, ...] or [C, ...]. @throws ArgumentError */
export function resolveOutputSize(
  where: string,
  x: Shape,
  outputSize: OutputSize,
  rank: SpatialRank,
): readonly number[] {
  const spatial = x.slice(-rank);
  const given = typeof outputSize === "number" ? outputSize : outputSize.map((size, i) => size ?? spatial[i] ?? 1);
  return perAxis(where, "outputSize", given, rank, 1);
}

function adaptiveAvgPool(x: Tensor, outputSize: OutputSize, rank: SpatialRank): Tensor {
  const size = resolveOutputSize(`adaptiveAvgPool${rank}d`, x.shape, outputSize, rank);
  return withBatch(x, rank, (batch) => apply(adaptiveOps[rank], [batch], { outputSize: size }));
}

/** Averages over windows of x [N, C, L] (or [C, L]). @throws ShapeError, DtypeError, ArgumentError */
export function avgPool1d(x: Tensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor {
  return avgPool(x, kernelSize, options, 1);
}

/** Averages over windows of x [N, C, H, W] (or [C, H, W]). @throws ShapeError, DtypeError, ArgumentError */
export function avgPool2d(x: Tensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor {
  return avgPool(x, kernelSize, options, 2);
}

/** Averages over windows of x [N, C, D, H, W] (or [C, D, H, W]). @throws ShapeError, DtypeError, ArgumentError */
export function avgPool3d(x: Tensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor {
  return avgPool(x, kernelSize, options, 3);
}

/** Averages x [N, C, L] over as many windows as `outputSize` says. @throws ShapeError, DtypeError, ArgumentError */
export function adaptiveAvgPool1d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvgPool(x, outputSize, 1);
}

/** Averages x [N, C, H, W] over as many windows as `outputSize` says. @throws ShapeError, DtypeError, ArgumentError */
export function adaptiveAvgPool2d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvgPool(x, outputSize, 2);
}

/** Averages x [N, C, D, H, W] over as many windows as `outputSize` says. @throws ShapeError, DtypeError, ArgumentError */
export function adaptiveAvgPool3d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvgPool(x, outputSize, 3);
}
