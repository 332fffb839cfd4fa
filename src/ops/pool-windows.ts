/**
 * The windows of pooling layers, axis by axis, by PyTorch's rules (ATen/native/Pool.h, AdaptivePooling.h).
 *
 * A window is a range of input positions, cut to the input; it remembers its length before cutting, padding
 * included, because that is what an average may divide by.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import type { Shape } from "../tensor/shape.ts";
import { perAxis } from "./conv-geometry.ts";
import type { PerAxis } from "./conv-geometry.ts";

/** Windows along one axis: positions start, start + step, ... below end; one entry an output position. */
export interface AxisWindows {
  readonly start: readonly number[];
  readonly end: readonly number[];
  /** Length with padding but not beyond it. */
  readonly padded: readonly number[];
  readonly step: number;
}

export interface PoolOptions {
  /** Defaults to the kernel size. */
  readonly stride?: PerAxis | null;
  readonly padding?: PerAxis;
  /** Count also a last window that is only partly inside. */
  readonly ceilMode?: boolean;
}

/** Options common to pools, complete. */
export type PoolAttrs = {
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly ceilMode: boolean;
};

/** @throws ArgumentError when padding exceeds half of the kernel, or a number is not legal. */
export function resolvePool(
  where: string,
  kernelSize: PerAxis,
  options: PoolOptions & { readonly dilation?: PerAxis },
  rank: number,
): PoolAttrs {
  const kernel = perAxis(where, "kernelSize", kernelSize, rank, 1);
  const attrs = {
    kernelSize: kernel,
    stride:
      options.stride === undefined || options.stride === null
        ? kernel
        : perAxis(where, "stride", options.stride, rank, 1),
    padding: perAxis(where, "padding", options.padding ?? 0, rank, 0),
    dilation: perAxis(where, "dilation", options.dilation ?? 1, rank, 1),
    ceilMode: options.ceilMode ?? false,
  };
  const { padding, dilation } = attrs;
  if (padding.some((p, i) => p > ((kernel[i]! - 1) * dilation[i]! + 1) / 2)) {
    throw new ArgumentError(where, { kernelSize: kernel, padding }, "padding must be at most half of the kernel size");
  }
  return attrs;
}

/** Number of windows along an axis: a last partial one counts in ceil mode if it starts inside the input or its left padding. */
function windowCount(
  size: number,
  axis: number,
  { kernelSize, stride, padding, dilation, ceilMode }: PoolAttrs,
): number {
  const [s, p] = [stride[axis]!, padding[axis]!];
  const room = size + 2 * p - dilation[axis]! * (kernelSize[axis]! - 1) - 1;
  const count = Math.floor((room + (ceilMode ? s - 1 : 0)) / s) + 1;
  return ceilMode && (count - 1) * s >= size + p ? count - 1 : count;
}

/**
 * How many windows every spatial axis of x [N, C, ...] has; shapes follow from these, without listing windows that a
 * declared size may make millions of.
 * @throws ShapeError when there are none.
 */
export function poolCounts(where: string, x: Shape, attrs: PoolAttrs): number[] {
  const { kernelSize, padding } = attrs;
  if (x.length !== kernelSize.length + 2) {
    throw new ShapeError(where, { x, kernelSize }, `x must have ${kernelSize.length + 2} axes`);
  }
  const counts = kernelSize.map((_, axis) => windowCount(x[axis + 2]!, axis, attrs));
  if (counts.some((count) => count < 1))
    throw new ShapeError(where, { x, kernelSize, padding }, "the window must fit into the padded input");
  return counts;
}

/** Windows of every spatial axis of x [N, C, ...]. @throws ShapeError when there are none. */
export function poolWindows(where: string, x: Shape, attrs: PoolAttrs): AxisWindows[] {
  const { kernelSize, stride, padding, dilation } = attrs;
  return poolCounts(where, x, attrs).map((count, axis) => {
    const [size, kernel] = [x[axis + 2]!, kernelSize[axis]!];
    const step = dilation[axis]!;
    const first = Array.from({ length: count }, (_, o) => o * stride[axis]! - padding[axis]!);
    const last = first.map((at) => Math.min(at + (kernel - 1) * step + 1, size + padding[axis]!));
    return {
      start: first.map((at) => (at < 0 ? at + Math.ceil(-at / step) * step : at)),
      end: last.map((at) => Math.min(at, size)),
      padded: first.map((at, o) => last[o]! - at),
      step,
    };
  });
}

/** `count` windows that cover an axis of `size` as evenly as integers allow. */
function adaptiveAxis(size: number, count: number): AxisWindows {
  const start = Array.from({ length: count }, (_, o) => Math.floor((o * size) / count));
  const end = Array.from({ length: count }, (_, o) => Math.ceil(((o + 1) * size) / count));
  return { start, end, padded: end.map((at, o) => at - start[o]!), step: 1 };
}

/** `outputSize`, which is how many windows the axes have, once x is known to fit. @throws ShapeError */
export function adaptiveCounts(where: string, x: Shape, outputSize: readonly number[]): readonly number[] {
  if (x.length !== outputSize.length + 2 || x.slice(2).some((size) => size < 1)) {
    throw new ShapeError(
      where,
      { x, outputSize },
      `x must have ${outputSize.length + 2} axes, the spatial ones not empty`,
    );
  }
  return outputSize;
}

/** Windows that give exactly `outputSize` positions. @throws ShapeError */
export function adaptiveWindows(where: string, x: Shape, outputSize: readonly number[]): AxisWindows[] {
  return adaptiveCounts(where, x, outputSize).map((count, axis) => adaptiveAxis(x[axis + 2]!, count));
}

/** Shape [N, C, ...] of what so many windows an axis give. */
export function pooledShape(x: Shape, counts: readonly number[]): number[] {
  return [x[0]!, x[1]!, ...counts];
}

const ONE_WINDOW: AxisWindows = { start: [0], end: [1], padded: [1], step: 1 };

/** One window: the planes' offsets of its box, and its size before cutting. */
export interface Box {
  readonly d: readonly [start: number, end: number, step: number];
  readonly h: readonly [start: number, end: number, step: number];
  readonly w: readonly [start: number, end: number, step: number];
  /** Elements inside the input. */
  readonly inside: number;
  /** Elements counting padding. */
  readonly padded: number;
}

function length(axis: AxisWindows, at: number): number {
  return Math.max(0, Math.ceil((axis.end[at]! - axis.start[at]!) / axis.step));
}

/** All windows of one plane in row-major order of the output, as boxes over three axes. */
export function boxes(windows: readonly AxisWindows[]): Box[] {
  const [D, H, W] = [...new Array<AxisWindows>(3 - windows.length).fill(ONE_WINDOW), ...windows] as [
    AxisWindows,
    AxisWindows,
    AxisWindows,
  ];
  const range = (axis: AxisWindows, at: number) => [axis.start[at]!, axis.end[at]!, axis.step] as const;
  return D.start.flatMap((_, d) =>
    H.start.flatMap((__, h) =>
      W.start.map((___, w) => ({
        d: range(D, d),
        h: range(H, h),
        w: range(W, w),
        inside: length(D, d) * length(H, h) * length(W, w),
        padded: D.padded[d]! * H.padded[h]! * W.padded[w]!,
      })),
    ),
  );
}

/** Calls `visit` with the offset, inside a plane of the given spatial shape, of every element of a box. */
export function forEachInBox({ d, h, w }: Box, spatial: Shape, visit: (offset: number) => void): void {
  const width = spatial.at(-1)!;
  const height = spatial.length > 1 ? spatial.at(-2)! : 1;
  for (let id = d[0]; id < d[1]; id += d[2]) {
    for (let ih = h[0]; ih < h[1]; ih += h[2]) {
      const row = (id * height + ih) * width;
      for (let iw = w[0]; iw < w[1]; iw += w[2]) visit(row + iw);
    }
  }
}

/** All windows of one plane as lists of offsets, for loops that visit many planes. */
export interface PlaneWindows {
  /** Window o reads the plane at offsets[first[o]] .. offsets[first[o + 1] - 1]. */
  readonly first: Int32Array;
  readonly offsets: Int32Array;
  /** Elements of each window counting padding. */
  readonly padded: Float64Array;
}

/** The windows of a plane of the given spatial shape, in row-major order of the output. */
export function planeWindows(windows: readonly AxisWindows[], spatial: Shape): PlaneWindows {
  const list = boxes(windows);
  const offsets: number[] = [];
  const first = new Int32Array(list.length + 1);
  list.forEach((box, o) => {
    forEachInBox(box, spatial, (offset) => offsets.push(offset));
    first[o + 1] = offsets.length;
  });
  return { first, offsets: Int32Array.from(offsets), padded: Float64Array.from(list, (box) => box.padded) };
}
