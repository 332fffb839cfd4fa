/**
 * Quantized tensors from float ones and back: quantizePerTensor, quantizePerChannel, quantizePerTensorDynamic,
 * dequantize and intRepr, by PyTorch's native rule (zero point added before rounding, clamped to the whole dtype,
 * never to an observer's narrower range). Source: ATen/native/quantized/{AffineQuantizer.cpp,QTensor.cpp}.
 */

import { ArgumentError, DtypeError, ShapeError } from "../../errors.ts";
import { allocate, dtypeInfo, isFloat, isQuantized } from "../../tensor/dtype.ts";
import type { DType, QuantizedDType, TypedArray } from "../../tensor/dtype.ts";
import { checkQParams, perChannel, perTensor } from "../../tensor/qparams.ts";
import type { QParams } from "../../tensor/qparams.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { emptyOutputs } from "../loops.ts";
import { apply, defineOp, requireFloat } from "../op.ts";
import { cast } from "../unary.ts";
import { addThenRoundRun, addThenRoundRunFloatZero, addThenRoundTwiceRun, dequantizeRun, forEachRun } from "./loops.ts";
import { chooseQuantizationParams, inverseScale, nativeNan } from "./numerics.ts";
import { rangeOf } from "./ranges.ts";

const { fround } = Math;
const NOT_DIFFERENTIABLE = "quantized tensors have no gradient; fake-quantize is the differentiable form";

/** Parameters as lists, with axis null for one in all. */
function listed(qparams: QParams): { axis: number | null; scales: readonly number[]; zeroPoints: readonly number[] } {
  if (qparams.kind !== "perTensor") return qparams;
  return { axis: null, scales: [qparams.scale], zeroPoints: [qparams.zeroPoint] };
}

/** The native rule of a kind of parameters. qint32 has no vector form in PyTorch and takes the scalar one. */
function ruleOf(kind: QParams["kind"], dtype: DType): typeof addThenRoundRun {
  if (kind === "perChannelFloat") return addThenRoundRunFloatZero;
  return kind === "perChannel" || dtype === "qint32" ? addThenRoundTwiceRun : addThenRoundRun;
}

function quantizeData(x: Tensor, dtype: DType, qparams: QParams): Tensor {
  const out = allocate(dtype, x.numel);
  const { min: low, max: high } = dtypeInfo[dtype];
  const nan = nativeNan(dtype, qparams.kind);
  const rule = ruleOf(qparams.kind, dtype);
  const { axis, scales, zeroPoints } = listed(qparams);
  const inverses = scales.map(inverseScale);
  forEachRun(x.shape, axis, (start, end, c) => {
    rule(x.data, out, { start, end, inverse: inverses[c]!, zeroPoint: zeroPoints[c]!, low, high }, nan);
  });
  return new Tensor(dtype, x.shape, out, qparams);
}

function checkZeroPoint(where: string, dtype: DType, zeroPoint: number): void {
  const { min, max } = dtypeInfo[dtype];
  if (Number.isInteger(zeroPoint) && zeroPoint >= min && zeroPoint <= max) return;
  throw new ArgumentError(where, { zeroPoint, dtype }, "the zero point must be an integer of the dtype");
}

function checkQuantized(where: string, dtype: DType): void {
  if (!isQuantized(dtype)) throw new DtypeError(where, { dtype }, "the result's dtype must be a quantized one");
}

export const quantizePerTensorOp = defineOp<
  readonly [Tensor],
  { readonly scale: number; readonly zeroPoint: number; readonly dtype: QuantizedDType }
>({
  name: "quantizePerTensor",
  infer([x], { scale, zeroPoint, dtype }) {
    requireFloat("quantizePerTensor", x);
    checkQuantized("quantizePerTensor", dtype);
    checkZeroPoint("quantizePerTensor", dtype, zeroPoint);
    return [{ dtype, shape: x.shape, qparams: perTensor(scale, zeroPoint) }];
  },
  forward: ([x], { dtype }, [type]) => [quantizeData(x, dtype, type!.qparams!)],
  backward: NOT_DIFFERENTIABLE,
});

/**
 * The quantized tensor of a float one: q = clamp(rne(f32(x/scale + zeroPoint))) over the whole dtype.
 * NaN and infinities saturate.
 * @throws ArgumentError when the zero point does not fit the dtype; DtypeError unless x is float.
 */
export function quantizePerTensor(x: Tensor, scale: number, zeroPoint: number, dtype: QuantizedDType): Tensor {
  return apply(quantizePerTensorOp, [x], { scale, zeroPoint, dtype });
}

export const quantizePerChannelOp = defineOp<
  readonly [Tensor],
  {
    readonly scales: readonly number[];
    readonly zeroPoints: readonly number[];
    readonly axis: number;
    readonly dtype: QuantizedDType;
    /** Zero points are floats and are added in the multiply-add (PyTorch's float_qparams). */
    readonly floatQParams: boolean;
  }
>({
  name: "quantizePerChannel",
  infer([x], { scales, zeroPoints, axis, dtype, floatQParams }) {
    requireFloat("quantizePerChannel", x);
    checkQuantized("quantizePerChannel", dtype);
    if (!floatQParams) for (const zeroPoint of zeroPoints) checkZeroPoint("quantizePerChannel", dtype, zeroPoint);
    const qparams = perChannel(scales, zeroPoints, axis, floatQParams ? "perChannelFloat" : "perChannel");
    checkQParams("quantizePerChannel", qparams, x.shape);
    return [{ dtype, shape: x.shape, qparams }];
  },
  forward: ([x], { dtype }, [type]) => [quantizeData(x, dtype, type!.qparams!)],
  backward: NOT_DIFFERENTIABLE,
});

/**
 * The quantized tensor of a float one with one scale and zero point a slice of `axis`. Float zero points select
 * the float_qparams form.
 * @param scales one a slice, 1-d, float32 or float64. @param zeroPoints one a slice, integers or floats.
 * @throws ShapeError when they do not fit the axis; ArgumentError when an integer zero point does not fit the dtype.
 */
export function quantizePerChannel(
  x: Tensor,
  scales: Tensor,
  zeroPoints: Tensor,
  axis: number,
  dtype: QuantizedDType,
): Tensor {
  return apply(quantizePerChannelOp, [x], {
    scales: Array.from(scales.data),
    zeroPoints: Array.from(zeroPoints.data),
    axis: normalizeAxis("quantizePerChannel", axis, x.rank),
    dtype,
    floatQParams: isFloat(zeroPoints.dtype),
  });
}

/** Scale and zero point of a tensor's own range, as dynamic quantization chooses them. @throws ShapeError when empty. */
export function chooseDynamicQParams(
  where: string,
  x: Tensor,
  dtype: DType,
  reduceRange: boolean,
): { scale: number; zeroPoint: number } {
  if (x.numel === 0) throw new ShapeError(where, { shape: x.shape }, "an empty tensor has no range to quantize by");
  const { min, max } = rangeOf(x.data, 0, x.numel);
  const { min: quantMin, max: quantMax } = dtypeInfo[dtype];
  return chooseQuantizationParams(fround(min), fround(max), { quantMin, quantMax, reduceRange });
}

/**
 * Quantizes by the tensor's own range (parity with quantize_per_tensor_dynamic). The result's type depends on
 * values, so it cannot be captured; captured graphs use decomposedChooseQParams.
 * @param dtype quint8 or qint8, or float16, which only rounds the values.
 * @throws ShapeError when x is empty; DtypeError for other dtypes.
 */
export function quantizePerTensorDynamic(
  x: Tensor,
  dtype: "quint8" | "qint8" | "float16",
  reduceRange: boolean,
): Tensor {
  if (dtype === "float16") return cast(x, "float16");
  if (dtype !== "quint8" && dtype !== "qint8") {
    throw new DtypeError("quantizePerTensorDynamic", { dtype }, "the dtype must be quint8, qint8 or float16");
  }
  const { scale, zeroPoint } = chooseDynamicQParams("quantizePerTensorDynamic", x, dtype, reduceRange);
  return quantizePerTensor(x, scale, zeroPoint, dtype);
}

/** Chosen by the whole tensor's range for quint8: PyTorch's `_choose_qparams_per_tensor`. */
export function chooseQParamsPerTensor(x: Tensor, reduceRange = false): { scale: number; zeroPoint: number } {
  return chooseDynamicQParams("chooseQParamsPerTensor", x, "quint8", reduceRange);
}

/** Per-tensor qint32: the difference is int32 arithmetic, which wraps around, before it becomes a float. */
function dequantizeInt32(q: TypedArray, out: TypedArray, scale: number, zeroPoint: number): void {
  for (let i = 0; i < out.length; i++) out[i] = fround((q[i]! - zeroPoint) | 0) * scale;
}

function dequantizeData(q: Tensor, type: TensorType): Tensor {
  const out = allocate(type.dtype, q.numel);
  const { data } = q;
  const qparams = q.qparams!;
  const { axis, scales, zeroPoints } = listed(qparams);
  if (axis === null && q.dtype === "qint32") dequantizeInt32(data, out, fround(scales[0]!), zeroPoints[0]!);
  else {
    // With integer zero points a channel the scale stays a double, and the product is rounded once.
    const factors = qparams.kind === "perChannel" ? scales : scales.map(fround);
    forEachRun(q.shape, axis, (start, end, c) => {
      dequantizeRun(data, out, start, end, factors[c]!, zeroPoints[c]!);
    });
  }
  return new Tensor(type.dtype, type.shape, out);
}

export const dequantizeOp = defineOp<readonly [Tensor], Readonly<Record<string, never>>>({
  name: "dequantize",
  infer([q]) {
    if (!isQuantized(q.dtype)) {
      throw new DtypeError(
        "dequantize",
        { dtype: q.dtype, shape: q.shape },
        "needs a quantized tensor",
        "Put a QuantStub (or quantizePerTensor) before it",
      );
    }
    return [{ dtype: "float32", shape: q.shape }];
  },
  forward: ([q], _, [type]) => [dequantizeData(q, type!)],
  backward: NOT_DIFFERENTIABLE,
});

/** The float32 tensor of a quantized one: (q - zeroPoint) * scale. Float tensors come back as float32. */
export function dequantize(q: Tensor): Tensor {
  return isFloat(q.dtype) ? cast(q, "float32") : apply(dequantizeOp, [q], {});
}

/** The integer dtype that has a quantized dtype's values. */
export function integerDTypeOf(dtype: QuantizedDType): DType {
  const table = { qint8: "int8", quint8: "uint8", qint32: "int32", quint4x2: "uint8" } as const;
  return table[dtype];
}

export const intReprOp = defineOp<readonly [Tensor], Readonly<Record<string, never>>>({
  name: "intRepr",
  infer([q]) {
    if (!isQuantized(q.dtype)) throw new DtypeError("intRepr", { dtype: q.dtype }, "needs a quantized tensor");
    return [{ dtype: integerDTypeOf(q.dtype), shape: q.shape }];
  },
  forward([q], _, types) {
    const [out] = emptyOutputs(types);
    out!.data.set(q.data);
    return [out!];
  },
  backward: NOT_DIFFERENTIABLE,
});

/** The integers of a quantized tensor as a plain integer tensor (quint4x2: one value an element, not packed). */
export function intRepr(q: Tensor): Tensor {
  return apply(intReprOp, [q], {});
}
