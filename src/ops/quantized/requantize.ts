/**
 * From float32 results back to 8-bit integers, by the rule each PyTorch kernel uses for each element.
 *
 * Elementwise kernels work on whole vectors of 64 bytes (one AVX-512 register) and then on the rest one by one.
 * The two parts round differently: vectors round and then add the zero point; the rest adds and then rounds, in one
 * fused step. That shows at ties only, but there it shows, so `blockEnd` says where the vectors stop.
 * Source: cpu_kernel_vec, ATen/native/cpu/Loops.h; QuantizeAvx512 and quantize_val.
 */

import { dtypeInfo } from "../../tensor/dtype.ts";
import type { QuantizedDType } from "../../tensor/dtype.ts";
import { ROUND_BIAS, clampNanLow, inverseScale, quantizeAddThenRound } from "../quantize/numerics.ts";
import type { OutputQParams } from "./common.ts";

/** Bytes of one vector register. */
const LANES = 64;

/** Index of the first of `n` elements that is not part of a whole vector. */
export function blockEnd(n: number): number {
  return n - (n % LANES);
}

/** Where results are stored: dtype limits and output parameters, ready to use. */
export interface Target {
  readonly low: number;
  readonly high: number;
  readonly inverse: number;
  readonly zeroPoint: number;
}

/** `relu` raises the lower limit to the zero point, which stands for 0. */
export function targetOf(dtype: QuantizedDType, output: OutputQParams, relu = false): Target {
  const { min, max } = dtypeInfo[dtype];
  return {
    low: relu ? output.zeroPoint : min,
    high: max,
    inverse: inverseScale(output.scale),
    zeroPoint: output.zeroPoint,
  };
}

/** rne(f32(v * inv)) + z, clamped: the vector rule. */
export function roundThenAdd(v: number, { low, high, inverse, zeroPoint }: Target): number {
  return clampNanLow(Math.fround(v * inverse) + ROUND_BIAS - ROUND_BIAS + zeroPoint, low, high);
}

/** rne(f32(v * inv + z)), clamped: the rule of single elements and of quantizePerTensor. */
export function addThenRound(v: number, { low, high, inverse, zeroPoint }: Target): number {
  return clampNanLow(quantizeAddThenRound(v, inverse, zeroPoint), low, high);
}

/** Requantizes an exact integer: rne(f32(f32(v) * multiplier)) + z, clamped. The rule of mul, prelu and addScalar. */
export function requantizeInteger(v: number, multiplier: number, { low, high, zeroPoint }: Target): number {
  return clampNanLow(Math.fround(Math.fround(v) * multiplier) + ROUND_BIAS - ROUND_BIAS + zeroPoint, low, high);
}
