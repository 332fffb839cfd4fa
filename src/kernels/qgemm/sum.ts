/**
 * Outputs that are sums: a layer's result plus another tensor of bytes (a residual), requantized, in one pass. The
 * order of operations is that of the operators a sum replaces, so that it gives their bits:
 *
 *     reals       quantize(f32(f32(f32(acc) a) + b) + dequantize(other))           a float layer, add, quantize
 *     bytes       quantize(dequantize(bytes of the layer) + dequantize(other))     a quantized layer, quantizedAdd
 */

import { Q_BOUNDED } from "../quantize/layout.ts";
import { writeDequantizer, writeQuantizer } from "../quantize/rules.ts";
import type { Dequantizer, Quantizer } from "../quantize/rules.ts";
import * as at from "./layout.ts";

/** Requantized bytes of the unsigned form, limited to low..high. */
export interface BytesOutput {
  readonly kind: "bytes";
  readonly scale: number;
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
}

export interface SumOutput {
  readonly kind: "sum";
  /** The bytes that the layer's result passes through, and how they become reals; null when it is added as a real. */
  readonly through: { readonly bytes: BytesOutput; readonly dequantizer: Dequantizer } | null;
  readonly other: Dequantizer;
  /** A relu is a raised low clamp. Its rule must be roundThenAdd. */
  readonly output: Quantizer;
}

/** Most that an integer can be away from its zero point. */
const SPAN = 255;
/** 1.5 * 2^23, which kernels add in order to round. */
const MAGIC = 12582912;

export interface PackedSum {
  readonly bytes: Uint8Array;
  /** No sum can reach the range in which rounding by MAGIC fails. */
  readonly bounded: boolean;
}

/** The record that shared/product-finish.as.ts reads; `largest` is the largest absolute result of the layer, where it is added as a real. */
export function packSum({ through, other, output }: SumOutput, largest: number): PackedSum {
  const bytes = new Uint8Array(at.SUM_BYTES);
  const view = new DataView(bytes.buffer);
  view.setInt32(at.SUM_THROUGH, through ? 1 : 0, true);
  if (through) {
    const { dequantizer, bytes: layer } = through;
    const { offset, scale, zeroPoint } = dequantizer;
    view.setFloat32(at.SUM_ZERO, MAGIC - (layer.zeroPoint - offset), true);
    view.setFloat32(at.SUM_LOW, layer.low - offset, true);
    view.setFloat32(at.SUM_HIGH, layer.high - offset, true);
    view.setFloat32(at.SUM_SCALE, scale, true);
    view.setFloat32(at.SUM_ADDEND, Math.fround(Math.fround(scale) * -zeroPoint), true);
  }
  writeDequantizer(view, at.SUM_OTHER, other);
  const layerMost = through ? SPAN * Math.abs(through.dequantizer.scale) : largest;
  writeQuantizer(view, at.SUM_OUTPUT, output, layerMost + SPAN * Math.abs(other.scale));
  return { bytes, bounded: view.getInt32(at.SUM_OUTPUT + Q_BOUNDED, true) !== 0 };
}
