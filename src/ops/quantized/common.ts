/**
 * What quantized operators share: type checks, output types, and reading a tensor's integers as real numbers.
 *
 * Quantized operators take and give tensors whose dtype is quantized. Their forward is the specification:
 * most of them dequantize, compute in float32 and requantize, by the exact rules of requantize.ts.
 */

import { ArgumentError, DtypeError } from "../../errors.ts";
import { dtypeInfo, isQuantized } from "../../tensor/dtype.ts";
import type { QuantizedDType } from "../../tensor/dtype.ts";
import { perTensor } from "../../tensor/qparams.ts";
import type { PerTensorQParams } from "../../tensor/qparams.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { dequantizeValue } from "../quantize/numerics.ts";

/** Why no quantized operator has a gradient. */
export const NO_GRADIENT = "quantized operators are for inference; train with fake-quantize modules (prepareQat)";

/** Quantization parameters of an operator's output. */
export type OutputQParams = { readonly scale: number; readonly zeroPoint: number };

/** A quantized type whose parameters are known to be per tensor. */
export interface PerTensorType {
  readonly dtype: QuantizedDType;
  readonly shape: Shape;
  readonly qparams: PerTensorQParams;
}

/**
 * Narrows to a per-tensor quantized type.
 * @throws DtypeError for float tensors, naming the missing QuantStub, and for per-channel ones.
 */
export function requirePerTensor(where: string, type: TensorType): PerTensorType {
  if (!isQuantized(type.dtype)) {
    throw new DtypeError(
      where,
      { dtype: type.dtype, shape: type.shape },
      "needs a quantized tensor",
      "A float tensor reached a quantized operator: put a QuantStub (or quantizePerTensor) before it",
    );
  }
  if (type.qparams?.kind !== "perTensor") {
    throw new DtypeError(
      where,
      { dtype: type.dtype, qparams: type.qparams?.kind },
      "needs a tensor quantized per tensor",
    );
  }
  return { dtype: type.dtype, shape: type.shape, qparams: type.qparams };
}

/** `requirePerTensor` for 8-bit tensors. @throws DtypeError */
export function requireByte(where: string, type: TensorType): PerTensorType {
  const checked = requirePerTensor(where, type);
  if (checked.dtype === "qint8" || checked.dtype === "quint8") return checked;
  throw new DtypeError(where, { dtype: checked.dtype }, "takes qint8 and quint8 tensors");
}

/** @throws DtypeError unless both types have the same dtype. */
export function requireSameDtype(where: string, a: PerTensorType, b: PerTensorType): void {
  if (a.dtype !== b.dtype)
    throw new DtypeError(where, { a: a.dtype, b: b.dtype }, "both tensors must have the same dtype");
}

/** @throws ArgumentError unless the scale is positive and the zero point a value of the dtype. */
export function checkOutput(where: string, dtype: QuantizedDType, { scale, zeroPoint }: OutputQParams): void {
  const { min, max } = dtypeInfo[dtype];
  if (!(scale > 0)) throw new ArgumentError(where, { scale }, "the output scale must be positive");
  if (!Number.isInteger(zeroPoint) || zeroPoint < min || zeroPoint > max) {
    throw new ArgumentError(where, { zeroPoint, dtype }, `the output zero point must be an integer in ${min}..${max}`);
  }
}

/** A quantized type with parameters of its own. @throws ArgumentError */
export function quantizedType(where: string, dtype: QuantizedDType, shape: Shape, output: OutputQParams): TensorType {
  checkOutput(where, dtype, output);
  return { dtype, shape, qparams: perTensor(output.scale, output.zeroPoint) };
}

/** The real value of each of the 256 integers of an 8-bit dtype, by its offset from the lowest. */
export function realValues({ dtype, qparams: { scale, zeroPoint } }: PerTensorType): Float32Array {
  const { min } = dtypeInfo[dtype];
  return Float32Array.from({ length: 256 }, (_, i) => dequantizeValue(i + min, scale, zeroPoint));
}

/**
 * The same, as PyTorch's vector instructions compute it: f32(s * q + f32(-z * s)), product and sum rounded once.
 * Differs from `realValues` in the last bit. Source: Vectorized<quint8>::dequantize, ATen/cpu/vec/vec512/vec512_qint.h.
 */
export function realValuesFused({ dtype, qparams: { scale, zeroPoint } }: PerTensorType): Float32Array {
  const { min } = dtypeInfo[dtype];
  const s = Math.fround(scale);
  const shift = Math.fround(s * -zeroPoint);
  return Float32Array.from({ length: 256 }, (_, i) => s * (i + min) + shift);
}
