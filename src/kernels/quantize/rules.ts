/**
 * The ways a real number becomes a stored byte and back, as parameter records for the kernels.
 *
 * Quantization differs only near ties, by where the zero point is added and how often f32 rounds:
 *
 *     roundThenAdd        rne(f32(x * inv)) + z        fake-quantize, decomposed operators, PyTorch's vector loops
 *     addThenRound        rne(f32(x * inv + z))        quantize_per_tensor, one rounding
 *     addThenRoundTwice   rne(f32(f32(x * inv) + z))   quantize_per_channel
 *     divideThenRound     rne(f32(x / s)) + z          ONNX QuantizeLinear
 *
 * with inv = f32(1 / f32(s)); then a clamp. Dequantization is f32(f32(q - z) * s), or fused, as PyTorch's
 * vector loops do it, f32(q * s + f32(s * -z)). A byte is stored in its unsigned form u (quint8 as it is,
 * qint8 plus 128), with the top bit flipped on signed machines.
 */

import { rint } from "../../tensor/rounding.ts";
import * as at from "./layout.ts";

export type RoundingRule = "roundThenAdd" | "addThenRound" | "addThenRoundTwice" | "divideThenRound";

const CODES: { readonly [rule in RoundingRule]: number } = {
  roundThenAdd: at.ROUND_THEN_ADD,
  addThenRound: at.ADD_THEN_ROUND,
  addThenRoundTwice: at.ADD_THEN_ROUND_TWICE,
  divideThenRound: at.DIVIDE_THEN_ROUND,
};

/** The number by which kernels are told the rule. */
export function ruleCode(rule: RoundingRule): number {
  return CODES[rule];
}

/** How integers are stored as bytes. */
export interface Storage {
  /** 0 for quint8, 128 for qint8: added to the integer to give its unsigned form. */
  readonly offset: 0 | 128;
  readonly flip: 0 | 0x80;
}

/** One quantization: scale and zero point in the dtype's own range, and the clamp, which may be narrower. */
export interface Quantizer extends Storage {
  readonly rule: RoundingRule;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
  /** The clamp that NaN goes to. */
  readonly nan: "low" | "high";
  /** Overrides f32(1 / f32(scale)), for operators that round the reciprocal differently. */
  readonly inverse?: number;
}

export interface Dequantizer extends Storage {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly fused: boolean;
}

const f32 = Math.fround;

function factorOf(q: Quantizer): number {
  return q.rule === "divideThenRound" ? f32(q.scale) : (q.inverse ?? f32(1 / f32(q.scale)));
}

function addsFirst(rule: RoundingRule): boolean {
  return rule === "addThenRound" || rule === "addThenRoundTwice";
}

/** Bits of 1.5 * 2^23 as f32, which kernels add in order to round. */
const MAGIC_BITS = 0x4b400000;
/** Half of what that can round, which leaves room for the rounding of the bound itself. */
const BOUND = 2 ** 21;

/**
 * Writes the record of Q_BYTES at byte `base` of `view`. `largest` is the largest absolute number that will be
 * quantized, when it is known; NaN must then not occur.
 */
export function writeQuantizer(view: DataView, base: number, q: Quantizer, largest: number = Infinity): void {
  const first = addsFirst(q.rule) ? q.zeroPoint : 0;
  const later = q.zeroPoint - first;
  view.setFloat32(base + at.Q_FACTOR, factorOf(q), true);
  view.setFloat32(base + at.Q_OFFSET, first, true);
  view.setFloat32(base + at.Q_LOW, q.low - later, true);
  view.setFloat32(base + at.Q_HIGH, q.high - later, true);
  view.setInt32(base + at.Q_SHIFT, later + q.offset, true);
  view.setInt32(base + at.Q_FLIP, q.flip * 0x01010101, true);
  view.setInt32(base + at.Q_NAN_HIGH, q.nan === "high" ? 1 : 0, true);
  const steps = largest * (q.rule === "divideThenRound" ? 1 / factorOf(q) : factorOf(q)) + Math.abs(first);
  view.setInt32(base + at.Q_BOUNDED, steps < BOUND ? 1 : 0, true);
  view.setInt32(base + at.Q_MAGIC_SHIFT, MAGIC_BITS - (later + q.offset), true);
  view.setUint32(base + at.Q_LOW_BYTES, (q.low + q.offset) * 0x01010101, true);
  view.setUint32(base + at.Q_HIGH_BYTES, (q.high + q.offset) * 0x01010101, true);
}

/** Writes the record of D_BYTES at byte `base` of `view`. */
export function writeDequantizer(view: DataView, base: number, d: Dequantizer): void {
  view.setInt32(base + at.D_SUBTRACT, d.offset + (d.fused ? 0 : d.zeroPoint), true);
  view.setFloat32(base + at.D_SCALE, d.scale, true);
  view.setFloat32(base + at.D_OFFSET, d.fused ? f32(f32(d.scale) * -d.zeroPoint) : 0, true);
  view.setInt32(base + at.D_FLIP, d.flip * 0x01010101, true);
  view.setInt32(base + at.D_FUSED, d.fused ? 1 : 0, true);
  view.setFloat32(base + at.D_PROBE, 1 + 2 ** -12, true);
}

/** The stored byte of a real number: the specification of every quantizing kernel. */
export function quantizeReference(x: number, q: Quantizer): number {
  const factor = factorOf(q);
  let integer: number;
  if (q.rule === "addThenRound") integer = rint(f32(x * factor + q.zeroPoint));
  else if (q.rule === "addThenRoundTwice") integer = rint(f32(f32(x * factor) + q.zeroPoint));
  else if (q.rule === "divideThenRound") integer = rint(f32(x / factor)) + q.zeroPoint;
  else integer = rint(f32(x * factor)) + q.zeroPoint;
  if (Number.isNaN(integer)) integer = q.nan === "high" ? q.high : q.low;
  return (Math.min(Math.max(integer, q.low), q.high) + q.offset) ^ q.flip;
}

/** The real number of a stored byte: the specification of every dequantizing kernel. */
export function dequantizeReference(byte: number, d: Dequantizer): number {
  const q = (byte ^ d.flip) - d.offset;
  const s = f32(d.scale);
  return d.fused ? f32(q * s + f32(s * -d.zeroPoint)) : f32((q - d.zeroPoint) * s);
}
