/**
 * What the byte-pair kernels compute, in plain loops on stored bytes. A sum goes through f32 and a rule
 * of quantize/rules.ts. A product of centred integers is exact; PyTorch multiplies it by
 * f32(f32(sa * sb) * f32(1 / so)) and adds the zero point after rounding (kernels/QuantizedOpKernels.cpp).
 */

import { dequantizeReference, quantizeReference, writeDequantizer, writeQuantizer } from "../quantize/rules.ts";
import { D_BYTES, Q_BYTES } from "../quantize/layout.ts";
import type { Dequantizer, Quantizer } from "../quantize/rules.ts";

/** The three records of a pair operation. */
export interface PairRecords {
  readonly a: Dequantizer;
  readonly b: Dequantizer;
  readonly output: Quantizer;
}

/** Most that an integer can be away from its zero point. */
const SPAN = 255;

export const PAIR_BYTES = 2 * D_BYTES + Q_BYTES;

/** Writes the records at byte `base` of `view`, where qadd_rows and qmul_rows read them. */
export function writePair(view: DataView, base: number, { a, b, output }: PairRecords): void {
  writeDequantizer(view, base, a);
  writeDequantizer(view, base + D_BYTES, b);
  writeQuantizer(view, base + 2 * D_BYTES, output, SPAN * (Math.abs(a.scale) + Math.abs(b.scale)));
}

/** The quantizer of a product: its multiplier takes the place of the inverse scale. */
export function productQuantizer(a: Dequantizer, b: Dequantizer, output: Quantizer): Quantizer {
  const f32 = Math.fround;
  const inverse = f32(f32(f32(a.scale) * f32(b.scale)) * f32(1 / f32(output.scale)));
  return { ...output, rule: "roundThenAdd", inverse };
}

/** y[i] = quantize(dequantize(a[i]) + dequantize(b[i])). */
export function addReference(a: ArrayLike<number>, b: ArrayLike<number>, records: PairRecords): number[] {
  return Array.from(a, (byte, i) => {
    const sum = Math.fround(dequantizeReference(byte, records.a) + dequantizeReference(b[i] ?? 0, records.b));
    return quantizeReference(sum, records.output);
  });
}

function centred(byte: number, d: Dequantizer): number {
  return (byte ^ d.flip) - d.offset - d.zeroPoint;
}

/** y[i] = rne(f32((a - za) * (b - zb) * multiplier)) + zo; `records.output` is a productQuantizer. */
export function mulReference(a: ArrayLike<number>, b: ArrayLike<number>, records: PairRecords): number[] {
  return Array.from(a, (byte, i) =>
    quantizeReference(centred(byte, records.a) * centred(b[i] ?? 0, records.b), records.output),
  );
}

/** Clamp of unsigned forms. */
export function clampReference(x: ArrayLike<number>, low: number, high: number, flip: number): number[] {
  return Array.from(x, (byte) => Math.min(Math.max(byte ^ flip, low), high) ^ flip);
}
