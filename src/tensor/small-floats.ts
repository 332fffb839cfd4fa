/**
 * 16- and 8-bit floats: rounding a number to one, and their bit patterns.
 *
 * All are the same construction: a sign, `exponent` bits with the given bias, `mantissa` bits, ties to even.
 * float8_e4m3fn has no infinities; its overflow and NaN are one pattern (Micikevicius et al., 2022).
 */

import { dtypeInfo } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { rint } from "./rounding.ts";

interface FloatFormat {
  readonly exponent: number;
  readonly mantissa: number;
  readonly hasInfinity: boolean;
}

const formats: Partial<Record<DType, FloatFormat>> = {
  float16: { exponent: 5, mantissa: 10, hasInfinity: true },
  bfloat16: { exponent: 8, mantissa: 7, hasInfinity: true },
  float8_e4m3fn: { exponent: 4, mantissa: 3, hasInfinity: false },
  float8_e5m2: { exponent: 5, mantissa: 2, hasInfinity: true },
};

/** The function that rounds a number to a value of `dtype`; identity for dtypes whose storage rounds by itself. */
export function roundingTo(dtype: DType): (v: number) => number {
  const format = formats[dtype];
  if (!format) return (v) => v;
  const { max } = dtypeInfo[dtype];
  const smallest = 2 - 2 ** (format.exponent - 1);
  return (v) => {
    if (v === 0 || !Number.isFinite(v)) return format.hasInfinity || v === 0 ? v : NaN;
    const exponent = Math.max(exponentOf(v), smallest);
    const step = 2 ** (exponent - format.mantissa);
    const rounded = rint(v / step) * step;
    if (Math.abs(rounded) <= max) return rounded;
    return format.hasInfinity ? Math.sign(v) * Infinity : NaN;
  };
}

const scratch = new DataView(new ArrayBuffer(8));

/** Largest e with 2^e <= |v|. */
function exponentOf(v: number): number {
  scratch.setFloat64(0, v);
  return ((scratch.getUint32(0) >>> 20) & 0x7ff) - 1023;
}

/** Bit pattern of a value that `dtype` holds exactly. */
export function encodeSmallFloat(dtype: DType, v: number): number {
  const { exponent, mantissa, hasInfinity } = formats[dtype]!;
  const sign = (v < 0 || Object.is(v, -0) ? 1 : 0) * 2 ** (exponent + mantissa);
  const allOnes = 2 ** exponent - 1;
  if (v !== v) return sign + allOnes * 2 ** mantissa + (hasInfinity ? 2 ** (mantissa - 1) : 2 ** mantissa - 1);
  if (!Number.isFinite(v)) return sign + allOnes * 2 ** mantissa;
  const a = Math.abs(v);
  const bias = 2 ** (exponent - 1) - 1;
  const e = a === 0 ? -bias : exponentOf(a);
  if (e < 1 - bias) return sign + a / 2 ** (1 - bias - mantissa);
  return sign + (e + bias) * 2 ** mantissa + (a / 2 ** e - 1) * 2 ** mantissa;
}

/** Value of a bit pattern. */
export function decodeSmallFloat(dtype: DType, bits: number): number {
  const { exponent, mantissa, hasInfinity } = formats[dtype]!;
  const sign = bits >> (exponent + mantissa) ? -1 : 1;
  const e = (bits >> mantissa) & (2 ** exponent - 1);
  const fraction = bits & (2 ** mantissa - 1);
  const bias = 2 ** (exponent - 1) - 1;
  const allOnes = 2 ** exponent - 1;
  if (e === allOnes && hasInfinity) return fraction ? NaN : sign * Infinity;
  if (e === allOnes && fraction === 2 ** mantissa - 1) return NaN;
  if (e === 0) return sign * fraction * 2 ** (1 - bias - mantissa);
  return sign * (1 + fraction / 2 ** mantissa) * 2 ** (e - bias);
}
