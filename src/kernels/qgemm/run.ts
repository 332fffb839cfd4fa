/** Calls of the integer product and depthwise kernels on placed parts. */

import type { DepthwiseName, qdepthwise } from "../qdepthwise/list.ts";
import type { QgemmName } from "./list.ts";
import type { PlacedPart, RowGeometry } from "./parts.ts";

/** A kernel call: descriptor, x, y, the range of tiles (matrix), panels (vector) or pixels (depthwise taps), scratch. */
export type ProductCall = (descriptor: number, x: number, y: number, from: number, to: number, scratch: number) => void;
type RowsCall = (descriptor: number, row0: number, row1: number, width: number, x: number, xRow: number, xPixel: number, y: number, yRow: number, yPixel: number) => void;
type RowsName = Extract<(typeof qdepthwise)[number], { form: "rows" }>["name"];
export type RangeName = QgemmName | Exclude<DepthwiseName, RowsName>;
/** The exports these calls need; the engine's kernels have them. */
export type ProductKernels = { readonly [name in RangeName]: ProductCall } & { readonly [name in RowsName]: RowsCall };

const MATRIX = {
  relaxed_dot: "qgemm_6x8c4__relaxed_dot",
  relaxed_i16: "qgemm_6x8c4__relaxed_i16",
  guarded_i16: "qgemm_6x8__guarded_i16",
  simd128: "qgemm_6x8c2__simd128",
} as const;
const VECTOR = {
  relaxed_dot: "qgemv_1x48c4__relaxed_dot",
  relaxed_i16: "qgemv_1x48c4__relaxed_i16",
  guarded_i16: "qgemv_1x48__guarded_i16",
  simd128: "qgemv_1x48c2__simd128",
} as const;
const TAPS = {
  relaxed_dot: "qdepthwise_1x16c4__relaxed_dot",
  relaxed_i16: "qdepthwise_1x16c4__relaxed_i16",
  guarded_i16: "qdepthwise_1x16c2__simd128",
  simd128: "qdepthwise_1x16c2__simd128",
} as const;
const ROWS = {
  relaxed_dot: "qdepthwise_3x3_2x8__relaxed_dot",
  relaxed_i16: "qdepthwise_3x3_2x8__relaxed_i16",
  guarded_i16: "qdepthwise_3x3_2x8__simd128",
  simd128: "qdepthwise_3x3_2x8__simd128",
} as const;

function rangeKernel({ form, pixels, variant }: PlacedPart): RangeName {
  if (form.kind === "taps") return TAPS[variant];
  return (pixels === 1 ? VECTOR : MATRIX)[variant];
}

/** The kernel that computes a part. */
export function kernelOf(part: PlacedPart): QgemmName | DepthwiseName {
  return part.form.kind === "rows" ? ROWS[part.variant] : rangeKernel(part);
}

/** Steps a part can be split into among threads: tiles, panels (vector form), pixels (taps) or images (rows). */
export function stepsOf({ form, pixels, panels, tiles }: PlacedPart): number {
  if (form.kind === "rows") return form.geometry.images;
  if (form.kind === "taps") return pixels;
  return pixels === 1 ? panels : tiles;
}

function runRows(kernels: ProductKernels, { descriptor, variant }: PlacedPart, g: RowGeometry, x: number, y: number, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    const [xn, yn] = [x + g.xFirst + n * g.xImage, y + g.yFirst + n * g.yImage];
    kernels[ROWS[variant]](descriptor, 0, g.h, g.w, xn, g.xRow, g.xPixel, yn, g.yRow, g.yPixel);
  }
}

/** Steps from <= s < to of one part, on the first thread's scratch: x and y are byte addresses. */
export function runSteps(kernels: ProductKernels, part: PlacedPart, x: number, y: number, from: number, to: number): void {
  const [source, target] = [x + part.xOffset, y + part.yOffset];
  if (part.form.kind === "rows") runRows(kernels, part, part.form.geometry, source, target, from, to);
  else kernels[rangeKernel(part)](part.descriptor, source, target, from, to, part.scratch);
}

/** Runs every part: x and y are byte addresses. */
export function runParts(kernels: ProductKernels, parts: readonly PlacedPart[], x: number, y: number): void {
  for (const part of parts) runSteps(kernels, part, x, y, 0, stepsOf(part));
}
