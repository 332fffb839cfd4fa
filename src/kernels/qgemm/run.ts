/** Calls of the integer product kernels on placed parts. */

import type { QgemmName, Variant } from "./list.ts";
import type { PlacedPart } from "./parts.ts";

/** A kernel call: descriptor, x, y, and the range of tiles (matrix) or panels (vector). */
export type ProductCall = (descriptor: number, x: number, y: number, from: number, to: number) => void;
/** The exports this family needs; the engine's kernels have them. */
export type ProductKernels = { readonly [name in QgemmName]: ProductCall };

const MATRIX: { readonly [variant in Variant]: QgemmName } = {
  relaxed_dot: "qgemm_6x8c4__relaxed_dot",
  relaxed_i16: "qgemm_6x8c4__relaxed_i16",
  simd128: "qgemm_6x8c2__simd128",
};
const VECTOR: { readonly [variant in Variant]: QgemmName } = {
  relaxed_dot: "qgemv_1x48c4__relaxed_dot",
  relaxed_i16: "qgemv_1x48c4__relaxed_i16",
  simd128: "qgemv_1x48c2__simd128",
};

/** The kernel that computes a part: the vector form for a single pixel. */
export function kernelOf(part: PlacedPart): QgemmName {
  return (part.pixels === 1 ? VECTOR : MATRIX)[part.variant];
}

/** Steps a part can be split into among threads: tiles, or panels for the vector form. */
export function stepsOf(part: PlacedPart): number {
  return part.pixels === 1 ? part.panels : part.tiles;
}

/** Runs every part: x and y are byte addresses. */
export function runParts(kernels: ProductKernels, parts: readonly PlacedPart[], x: number, y: number): void {
  for (const part of parts) {
    kernels[kernelOf(part)](part.descriptor, x + part.xOffset, y + part.yOffset, 0, stepsOf(part));
  }
}
