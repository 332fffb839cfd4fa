/** Bringing weights and biases of products into the form their kernels read. */

import type { Engine } from "../engine.ts";
import type { Alloc } from "./image.ts";

/** Panels of eight columns of a packed matrix. */
export interface Packed {
  readonly at: number;
  readonly panelBytes: number;
}

/** Packs b ([k, n], or [n, k] when `transposed`) at address `at`. */
export function packB(engine: Engine, alloc: Alloc, at: number, k: number, n: number, transposed: boolean): Packed {
  const panelBytes = k * 32;
  const packed = alloc(Math.ceil(n / 8) * panelBytes);
  engine.kernels.f32_pack(k, n, at, transposed ? 4 : n * 4, transposed ? k * 4 : 4, panelBytes, packed);
  return { at: packed, panelBytes };
}

/** Initial sums: the bias, padded with zeros to a multiple of eight. */
export function initialSums(engine: Engine, alloc: Alloc, bias: Float32Array | null, n: number): number {
  const length = Math.ceil(n / 8) * 8;
  const at = alloc(length * 4);
  const view = engine.memory.f32(at, length).fill(0);
  if (bias !== null) view.set(bias);
  return at;
}
