/**
 * Tables of byte functions: what a kernel looks up is what these give for each of the 256 stored bytes.
 * An activation is dequantize, the real function, quantize; a requantization is the same with nothing
 * in between.
 */

import { dequantizeReference, quantizeReference } from "../quantize/rules.ts";
import type { Dequantizer, Quantizer } from "../quantize/rules.ts";

/** Stored results of `f` for every stored byte. `f` must round to f32 itself where its definition does. */
export function tableOf(f: (v: number) => number, input: Dequantizer, output: Quantizer): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) table[byte] = quantizeReference(f(dequantizeReference(byte, input)), output);
  return table;
}

/** Stored results of a change of scale and zero point. */
export function requantizeTable(input: Dequantizer, output: Quantizer): Uint8Array {
  return tableOf((v) => v, input, output);
}

/** y[i] = table[x[i]]. */
export function lutReference(x: ArrayLike<number>, table: ArrayLike<number>): number[] {
  return Array.from(x, (byte) => table[byte] ?? 0);
}
