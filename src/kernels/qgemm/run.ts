/** Calls of the integer product and depthwise kernels on placed parts. */

import type { DepthwiseName, RowsName } from "../qdepthwise/list.ts";
import type { QgemmName } from "./list.ts";
import type { PlacedPart, RowGeometry } from "./parts.ts";

/** A kernel call: descriptor, x, y, the range of tiles (matrix), panels (vector) or pixels (depthwise taps), scratch. */
export type ProductCall = (descriptor: number, x: number, y: number, from: number, to: number, scratch: number) => void;
type RowsCall = (
  descriptor: number,
  row0: number,
  row1: number,
  width: number,
  x: number,
  xRow: number,
  xPixel: number,
  y: number,
  yRow: number,
  yPixel: number,
) => void;
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

/** The kernel of a part that is not of form `rows`. */
export function rangeKernel(part: PlacedPart): RangeName {
  if (part.form.kind === "taps") return TAPS[part.variant];
  return (isVector(part) ? VECTOR : MATRIX)[part.variant];
}

function isVector({ pixels, tiled }: PlacedPart): boolean {
  return pixels === 1 && !tiled;
}

/** The kernel that computes a part. */
export function kernelOf(part: PlacedPart): QgemmName | DepthwiseName {
  return part.form.kind === "rows" ? part.form.kernel : rangeKernel(part);
}

/** Steps a part can be split into among threads: tiles, panels (vector form), pixels (taps) or rows of an image. */
export function stepsOf(part: PlacedPart): number {
  const { form, pixels, panels, tiles } = part;
  if (form.kind === "rows") return form.geometry.h;
  if (form.kind === "taps") return pixels;
  return isVector(part) ? panels : tiles;
}

/** Arguments of a sliding depthwise kernel. */
export type RowsArguments = Parameters<RowsCall>;

/** The calls of a part of form `rows`, one an image: arguments of its kernel for all rows (the second and third). */
export function rowsCalls(part: PlacedPart, g: RowGeometry, x: number, y: number): readonly RowsArguments[] {
  const [source, target] = [x + part.xOffset + g.xFirst, y + part.yOffset + g.yFirst];
  return Array.from({ length: g.images }, (_, n) => [
    part.descriptor, 0, g.h, g.w, source + n * g.xImage, g.xRow, g.xPixel, target + n * g.yImage, g.yRow, g.yPixel,
  ]); // prettier-ignore
}

/** Runs a part: x and y are byte addresses. */
function runPart(kernels: ProductKernels, part: PlacedPart, x: number, y: number): void {
  const { form } = part;
  if (form.kind === "rows") {
    for (const call of rowsCalls(part, form.geometry, x, y)) kernels[form.kernel](...call);
  } else {
    kernels[rangeKernel(part)](part.descriptor, x + part.xOffset, y + part.yOffset, 0, stepsOf(part), part.scratch);
  }
}

/** Runs every part, on the first thread's scratch: x and y are byte addresses. */
export function runParts(kernels: ProductKernels, parts: readonly PlacedPart[], x: number, y: number): void {
  for (const part of parts) runPart(kernels, part, x, y);
}
