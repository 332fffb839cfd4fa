/** Records of the row-wise kernels: what they need of quantization parameters, shapes and tables. */

import { dequantizeReference, writeQuantizer } from "../quantize/rules.ts";
import type { Dequantizer, Quantizer } from "../quantize/rules.ts";
import * as at from "./layout.ts";

/** Rows of `length` bytes, `xStride` and `yStride` bytes apart. */
export interface Rows {
  readonly rows: number;
  readonly length: number;
  readonly xStride: number;
  readonly yStride: number;
}

const LEVELS = 256;

/** f32 exponentials [largest][integer] of unsigned forms: e^(real value minus the row's largest real value). */
export function exponentialTable(input: Dequantizer): Float32Array {
  const real = Array.from({ length: LEVELS }, (_, u) => dequantizeReference(u ^ input.flip, input));
  const table = new Float32Array(LEVELS * LEVELS);
  real.forEach((most, m) => {
    for (let u = 0; u <= m; u++) table[m * LEVELS + u] = Math.exp(Math.fround((real[u] ?? 0) - most));
  });
  return table;
}

function writeRows(view: DataView, base: number, { rows, length, xStride, yStride }: Rows, input: Dequantizer): void {
  view.setInt32(base + at.N_ROWS, rows, true);
  view.setInt32(base + at.N_LENGTH, length, true);
  view.setInt32(base + at.N_X_STRIDE, xStride, true);
  view.setInt32(base + at.N_Y_STRIDE, yStride, true);
  view.setInt32(base + at.N_FLIP, input.flip * 0x01010101, true);
  view.setInt32(base + at.N_OFFSET, input.offset, true);
}

/** Softmax's record of N_BYTES at `base`; `exponentials` is the address of exponentialTable(input). */
export function writeSoftmax(
  view: DataView,
  base: number,
  rows: Rows,
  input: Dequantizer,
  output: Quantizer,
  exponentials: number,
): void {
  writeRows(view, base, rows, input);
  view.setInt32(base + at.N_EXPONENTIALS, exponentials, true);
  writeQuantizer(view, base + at.N_QUANTIZER, output);
}

/** What layer norm needs besides rows. `weight` and `bias` are addresses of f32 [length]. */
export interface LayerNorm {
  readonly eps: number;
  readonly weight: number;
  readonly bias: number;
  /** Elements of a row rounded by `first`; the others are rounded by `second`. */
  readonly split: number;
  readonly first: Quantizer;
  readonly second: Quantizer;
}

/** Layer norm's record of N_BYTES at `base`. */
export function writeLayerNorm(view: DataView, base: number, rows: Rows, input: Dequantizer, norm: LayerNorm): void {
  writeRows(view, base, rows, input);
  view.setInt32(base + at.N_ZERO_POINT, input.zeroPoint, true);
  view.setFloat32(base + at.N_SCALE, input.scale, true);
  view.setInt32(base + at.N_WEIGHT, norm.weight, true);
  view.setInt32(base + at.N_BIAS, norm.bias, true);
  view.setInt32(base + at.N_SPLIT, norm.split, true);
  view.setFloat64(base + at.N_EPS, norm.eps, true);
  writeQuantizer(view, base + at.N_QUANTIZER, norm.first);
  writeQuantizer(view, base + at.N_SECOND, norm.second);
}
