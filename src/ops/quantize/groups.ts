/**
 * Decomposed quantization of runs of equal length along the last axis: one scale a token (the whole last axis) or
 * one a group of it. The zero point is added before rounding, in two roundings; scales in float64, as the
 * asymmetric chooser gives them, make the whole computation float64.
 * Source: quantize_per_token, quantize_per_channel_group in torch/ao/quantization/fx/_decomposed.py.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import { allocate } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { rint } from "../../tensor/rounding.ts";
import { apply, defineOp, dispatch, requireFloat } from "../op.ts";
import { checkBounds, roundStored } from "./decomposed.ts";
import type { DecomposedAttrs } from "./decomposed.ts";
import { chooseTokenAsymmetric, chooseTokenSymmetric, clampNanLow } from "./numerics.ts";
import { rangeOf } from "./ranges.ts";

type Inputs = readonly [x: Tensor, scales: Tensor, zeroPoints: Tensor | null];
export type GroupAttrs = DecomposedAttrs & { readonly groupSize: number };
export type GroupDequantizeAttrs = GroupAttrs & { readonly outDType: DType };

const NO_GRADIENT = "integers have no gradient; train with fake-quantize and convert afterwards";

function checkGroups(where: string, x: readonly number[], scales: readonly number[], groupSize: number): void {
  const last = x.at(-1) ?? 0;
  if (groupSize >= 1 && last % groupSize === 0 && numel(x) === numel(scales) * groupSize) return;
  throw new ShapeError(
    where,
    { x, scales, groupSize },
    "the last axis must divide into groups, with one scale a group",
  );
}

/** Rounds as the arithmetic would: to float32, unless the scales are float64. */
function stepOf(scales: Tensor): (v: number) => number {
  return scales.dtype === "float64" ? (v) => v : Math.fround;
}

export const decomposedQuantizeGroupOp = defineOp<Inputs, GroupAttrs>({
  name: "decomposedQuantizeGroup",
  infer([x, scales], attrs) {
    requireFloat("decomposedQuantizeGroup", x);
    checkBounds("decomposedQuantizeGroup", attrs);
    checkGroups("decomposedQuantizeGroup", x.shape, scales.shape, attrs.groupSize);
    return [{ dtype: attrs.dtype, shape: x.shape }];
  },
  forward([x, scales, zeroPoints], { quantMin, quantMax, dtype, groupSize }) {
    const out = allocate(dtype, x.numel);
    const step = stepOf(scales);
    for (let g = 0; g < scales.numel; g++) {
      const inverse = step(1 / scales.data[g]!);
      const zeroPoint = zeroPoints ? zeroPoints.data[g]! : 0;
      for (let i = g * groupSize; i < (g + 1) * groupSize; i++) {
        out[i] = clampNanLow(rint(step(step(x.data[i]! * inverse) + zeroPoint)), quantMin, quantMax);
      }
    }
    return [new Tensor(dtype, x.shape, out)];
  },
  backward: NO_GRADIENT,
});

export const decomposedDequantizeGroupOp = defineOp<Inputs, GroupDequantizeAttrs>({
  name: "decomposedDequantizeGroup",
  infer([q, scales], { groupSize, outDType, dtype }) {
    if (q.dtype !== dtype)
      throw new DtypeError(
        "decomposedDequantizeGroup",
        { dtype: q.dtype, expected: dtype },
        "the tensor must have the dtype the operator names",
      );
    checkGroups("decomposedDequantizeGroup", q.shape, scales.shape, groupSize);
    return [{ dtype: outDType, shape: q.shape }];
  },
  forward([q, scales, zeroPoints], { groupSize, outDType }) {
    const out = allocate(outDType, q.numel);
    const step = stepOf(scales);
    for (let g = 0; g < scales.numel; g++) {
      const zeroPoint = zeroPoints ? zeroPoints.data[g]! : 0;
      for (let i = g * groupSize; i < (g + 1) * groupSize; i++) {
        out[i] = step(step(q.data[i]! - zeroPoint) * scales.data[g]!);
      }
    }
    return [roundStored(new Tensor(outDType, q.shape, out))];
  },
  backward: NO_GRADIENT,
});

/** The group that an operator call means: a single scale a row stands for a group as long as the row. */
function groupSizeFor(x: Tensor, scales: Tensor, groupSize: number): number {
  const last = x.shape.at(-1) ?? 1;
  return groupSize > last && scales.shape.at(-1) === 1 ? last : groupSize;
}

/** Integers of x [..., n] by one scale and zero point a token, [..., 1]. @throws ShapeError, ArgumentError, DtypeError */
export function decomposedQuantizePerToken(
  x: Tensor,
  scales: Tensor,
  zeroPoints: Tensor,
  attrs: DecomposedAttrs,
): Tensor {
  return apply(decomposedQuantizeGroupOp, [x, scales, zeroPoints], { ...attrs, groupSize: x.shape.at(-1) ?? 1 });
}

/** The float tensor those integers stand for. */
export function decomposedDequantizePerToken(
  q: Tensor,
  scales: Tensor,
  zeroPoints: Tensor,
  attrs: DecomposedAttrs & { readonly outDType?: DType },
): Tensor {
  const all = { outDType: "float32" as DType, ...attrs, groupSize: q.shape.at(-1) ?? 1 };
  return apply(decomposedDequantizeGroupOp, [q, scales, zeroPoints], all);
}

/** Integers of x [rows, n] by one scale and zero point a group of `groupSize` values, [rows, n / groupSize]. */
export function decomposedQuantizePerChannelGroup(
  x: Tensor,
  scales: Tensor,
  zeroPoints: Tensor,
  attrs: GroupAttrs,
): Tensor {
  return apply(decomposedQuantizeGroupOp, [x, scales, zeroPoints], {
    ...attrs,
    groupSize: groupSizeFor(x, scales, attrs.groupSize),
  });
}

/** The float tensor those integers stand for; no zero points means zeros. */
export function decomposedDequantizePerChannelGroup(
  q: Tensor,
  scales: Tensor,
  zeroPoints: Tensor | null,
  attrs: GroupAttrs & { readonly outDType?: DType },
): Tensor {
  const all = { outDType: "float32" as DType, ...attrs, groupSize: groupSizeFor(q, scales, attrs.groupSize) };
  return apply(decomposedDequantizeGroupOp, [q, scales, zeroPoints], all);
}

export const decomposedChooseQParamsPerTokenOp = defineOp<readonly [Tensor], { readonly symmetric: boolean }>({
  name: "decomposedChooseQParamsPerToken",
  infer([x], { symmetric }) {
    requireFloat("decomposedChooseQParamsPerToken", x);
    const shape = [...x.shape.slice(0, -1), 1];
    const wide = !symmetric;
    return [
      { dtype: wide ? "float64" : "float32", shape },
      { dtype: wide ? "int64" : "float32", shape },
    ];
  },
  forward([x], { symmetric }, types) {
    const length = x.shape.at(-1) ?? 1;
    const [scales, zeroPoints] = types.map(
      (type) => new Tensor(type.dtype, type.shape, allocate(type.dtype, numel(type.shape))),
    ) as [Tensor, Tensor];
    for (let t = 0; t < scales.numel; t++) {
      const { min, max } = rangeOf(x.data, t * length, (t + 1) * length);
      const { scale, zeroPoint } = symmetric
        ? chooseTokenSymmetric(Math.max(-min, max))
        : chooseTokenAsymmetric(min, max);
      scales.data[t] = scale;
      zeroPoints.data[t] = zeroPoint;
    }
    return [scales, zeroPoints];
  },
  backward: NO_GRADIENT,
});

/** int8 scales and zero points of the tokens of x [..., n]: [..., 1], symmetric (float32) or asymmetric (float64, int64). */
export function decomposedChooseQParamsPerToken(
  x: Tensor,
  { symmetric = true } = {},
): [scales: Tensor, zeroPoints: Tensor] {
  const [scales, zeroPoints] = dispatch(decomposedChooseQParamsPerTokenOp, [x], { symmetric });
  return [scales!, zeroPoints!];
}

/** PyTorch's choose_qparams_per_token_asymmetric. */
export function decomposedChooseQParamsPerTokenAsymmetric(x: Tensor): [scales: Tensor, zeroPoints: Tensor] {
  return decomposedChooseQParamsPerToken(x, { symmetric: false });
}
