/**
 * The quantize and dequantize of exported graphs (PT2E, ONNX QDQ): plain integer tensors, parameters as operands.
 *
 *     q = clamp(rne(f32(x * inv)) + z, quantMin, quantMax)      x = f32(f32(q - z) * s)
 *
 * `inv` is 1/s in double, rounded to float32 (parameters are numbers or tensors with one element, or tensors with
 * one a slice). Dequantize does not use its range; graphs match on it.
 * Source: torch/ao/quantization/fx/_decomposed.py.
 */

import { ArgumentError, DtypeError, ShapeError } from "../../errors.ts";
import { allocate, dtypeInfo, isFloat, isQuantized } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { normalizeAxis, numel } from "../../tensor/shape.ts";
import { roundingTo } from "../../tensor/small-floats.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";
import type { InputTypes, Op } from "../op.ts";
import { dequantizeRun, forEachRun, roundThenAddRun } from "./loops.ts";

const { fround } = Math;

type Operand = Tensor | number;
type Inputs = readonly [x: Tensor, scale: Operand, zeroPoint: Operand | null];

export type DecomposedAttrs = {
  readonly quantMin: number;
  readonly quantMax: number;
  /** Dtype of the integers. */
  readonly dtype: DType;
};
/** axis null: one scale and zero point in all. */
export type DecomposedQuantizeAttrs = DecomposedAttrs & { readonly axis: number | null };
export type DecomposedDequantizeAttrs = DecomposedQuantizeAttrs & { readonly outDType: DType };

const NO_GRADIENT = "integers have no gradient; train with fake-quantize and convert afterwards";

/** @throws DtypeError, ArgumentError when the range is not within the dtype's. */
export function checkBounds(where: string, { dtype, quantMin, quantMax }: DecomposedAttrs): void {
  const { kind, min, max } = dtypeInfo[dtype];
  if (kind === "quantized" || kind === "bool") {
    throw new DtypeError(where, { dtype }, "the result's dtype must be a plain integer or 8-bit float");
  }
  if (quantMin < min || quantMax > max) {
    throw new ArgumentError(where, { quantMin, quantMax, dtype }, "quantMin..quantMax must lie within the dtype");
  }
}

function countOf(value: TensorType | number): number {
  return typeof value === "number" ? 1 : numel(value.shape);
}

function checkParameters(where: string, [x, scale, zeroPoint]: InputTypes<Inputs>, axis: number | null): void {
  const wanted = axis === null ? 1 : x.shape[axis];
  const counts = { scales: countOf(scale), zeroPoints: zeroPoint === null ? wanted : countOf(zeroPoint) };
  if (counts.scales === wanted && counts.zeroPoints === wanted) return;
  throw new ShapeError(
    where,
    { x: x.shape, axis, ...counts },
    "there must be one scale and one zero point for every slice of the axis, or one in all",
  );
}

export function valueOf(value: Operand | null, channel: number): number {
  if (value === null) return 0;
  return typeof value === "number" ? value : value.data[channel]!;
}

/** Rounds values in place to an 8- or 16-bit float dtype; other dtypes round by being stored. */
export function roundStored(out: Tensor): Tensor {
  if (!isFloat(out.dtype) || dtypeInfo[out.dtype].bits >= 32) return out;
  const round = roundingTo(out.dtype);
  const { data } = out;
  for (let i = 0; i < data.length; i++) data[i] = round(data[i]!);
  return out;
}

function quantizeOp(name: string): Op<Inputs, DecomposedQuantizeAttrs> {
  return defineOp<Inputs, DecomposedQuantizeAttrs>({
    name,
    infer(inputs, attrs) {
      const [x] = inputs;
      if (!isFloat(x.dtype) || x.dtype === "float64") {
        throw new DtypeError(name, { dtype: x.dtype, shape: x.shape }, "needs a float32, float16 or bfloat16 tensor");
      }
      checkBounds(name, attrs);
      checkParameters(name, inputs, attrs.axis);
      return [{ dtype: attrs.dtype, shape: x.shape }];
    },
    forward([x, scale, zeroPoint], { quantMin: low, quantMax: high, axis, dtype }) {
      const out = allocate(dtype, x.numel);
      forEachRun(x.shape, axis, (start, end, c) => {
        const inverse = fround(1 / valueOf(scale, c));
        roundThenAddRun(x.data, out, { start, end, inverse, zeroPoint: valueOf(zeroPoint, c), low, high });
      });
      return [roundStored(new Tensor(dtype, x.shape, out))];
    },
    backward: NO_GRADIENT,
  });
}

function dequantizeOp(name: string): Op<Inputs, DecomposedDequantizeAttrs> {
  return defineOp<Inputs, DecomposedDequantizeAttrs>({
    name,
    infer(inputs, attrs) {
      const [q] = inputs;
      if (q.dtype !== attrs.dtype || isQuantized(q.dtype)) {
        throw new DtypeError(
          name,
          { dtype: q.dtype, expected: attrs.dtype },
          "the tensor must have the dtype the operator names",
        );
      }
      checkParameters(name, inputs, attrs.axis);
      return [{ dtype: attrs.outDType, shape: q.shape }];
    },
    forward([q, scale, zeroPoint], { axis, outDType }) {
      const out = allocate(outDType, q.numel);
      // A scale that is a number multiplies as float32; one that is a float64 tensor with a slice each, as it is.
      const exact = axis !== null;
      forEachRun(q.shape, axis, (start, end, c) => {
        const s = valueOf(scale, c);
        dequantizeRun(q.data, out, start, end, exact ? s : fround(s), valueOf(zeroPoint, c));
      });
      return [roundStored(new Tensor(outDType, q.shape, out))];
    },
    backward: NO_GRADIENT,
  });
}

export const decomposedQuantizePerTensorOp = quantizeOp("decomposedQuantizePerTensor");
export const decomposedQuantizePerChannelOp = quantizeOp("decomposedQuantizePerChannel");
export const decomposedDequantizePerTensorOp = dequantizeOp("decomposedDequantizePerTensor");
export const decomposedDequantizePerChannelOp = dequantizeOp("decomposedDequantizePerChannel");

/**
 * Integers of x by one scale and zero point (numbers, or tensors with one element). Same shape, dtype `dtype`.
 * @throws ArgumentError when quantMin..quantMax exceeds the dtype; DtypeError unless x is float32, float16 or bfloat16.
 */
export function decomposedQuantizePerTensor(
  x: Tensor,
  scale: Operand,
  zeroPoint: Operand,
  attrs: DecomposedAttrs,
): Tensor {
  const { quantMin, quantMax, dtype } = attrs;
  return apply(decomposedQuantizePerTensorOp, [x, scale, zeroPoint], { quantMin, quantMax, dtype, axis: null });
}

/** The float tensor those integers stand for. @throws DtypeError when q is not of the named dtype. */
export function decomposedDequantizePerTensor(
  q: Tensor,
  scale: Operand,
  zeroPoint: Operand,
  attrs: DecomposedAttrs & { readonly outDType?: DType },
): Tensor {
  const { quantMin, quantMax, dtype, outDType = "float32" } = attrs;
  return apply(decomposedDequantizePerTensorOp, [q, scale, zeroPoint], {
    quantMin,
    quantMax,
    dtype,
    outDType,
    axis: null,
  });
}

/** Integers of x by one scale and zero point a slice of `axis`. @throws as per tensor, and ShapeError. */
export function decomposedQuantizePerChannel(
  x: Tensor,
  scales: Tensor,
  zeroPoints: Tensor | null,
  axis: number,
  attrs: DecomposedAttrs,
): Tensor {
  const { quantMin, quantMax, dtype } = attrs;
  const at = normalizeAxis("decomposedQuantizePerChannel", axis, x.rank);
  return apply(decomposedQuantizePerChannelOp, [x, scales, zeroPoints], { quantMin, quantMax, dtype, axis: at });
}

/** The float tensor those integers stand for; no zero points means zeros. */
export function decomposedDequantizePerChannel(
  q: Tensor,
  scales: Tensor,
  zeroPoints: Tensor | null,
  axis: number,
  attrs: DecomposedAttrs & { readonly outDType?: DType },
): Tensor {
  const { quantMin, quantMax, dtype, outDType = "float32" } = attrs;
  const at = normalizeAxis("decomposedDequantizePerChannel", axis, q.rank);
  return apply(decomposedDequantizePerChannelOp, [q, scales, zeroPoints], {
    quantMin,
    quantMax,
    dtype,
    outDType,
    axis: at,
  });
}
