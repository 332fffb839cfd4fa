/**
 * Parameters chosen from a tensor's own values inside a graph: what dynamic quantization is after export.
 * The formula is the observers' (not the C++ helper of eager dynamic quantization), in float32; the scale is then
 * widened to float64. Source: choose_qparams.tensor, choose_qparams_symmetric.tensor, fx/_decomposed.py.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { fromArray } from "../../tensor/create.ts";
import { numel } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { defineOp, dispatch } from "../op.ts";
import { checkBounds } from "./decomposed.ts";
import { calculateQParams, checkQuantRange } from "./numerics.ts";
import { rangeOf } from "./ranges.ts";

export type ChooseAttrs = {
  readonly quantMin: number;
  readonly quantMax: number;
  /** Smallest scale. */
  readonly eps: number;
  /** Dtype the integers will have; unsigned symmetric ones have zero point 128. */
  readonly dtype: DType;
  readonly symmetric: boolean;
};

export const decomposedChooseQParamsOp = defineOp<readonly [Tensor], ChooseAttrs>({
  name: "decomposedChooseQParams",
  infer([x], attrs) {
    const where = "decomposedChooseQParams";
    if (!isFloat(x.dtype) || x.dtype === "float64") {
      throw new DtypeError(where, { dtype: x.dtype }, "needs a float32, float16 or bfloat16 tensor");
    }
    if (numel(x.shape) === 0) throw new ShapeError(where, { x: x.shape }, "an empty tensor has no range");
    checkQuantRange(where, attrs.quantMin, attrs.quantMax);
    checkBounds(where, attrs);
    return [
      { dtype: "float64", shape: [1] },
      { dtype: "int64", shape: [1] },
    ];
  },
  forward([x], { quantMin, quantMax, eps, dtype, symmetric }) {
    const { min, max } = rangeOf(x.data, 0, x.numel);
    const qscheme = symmetric ? "per_tensor_symmetric" : "per_tensor_affine";
    const rule = { quantMin, quantMax, eps, dtype, qscheme, customRange: false } as const;
    const { scale, zeroPoint } = calculateQParams(min, max, rule);
    return [fromArray([scale], [1], "float64"), fromArray([zeroPoint], [1], "int64")];
  },
  backward: "parameters chosen from values are constants to gradients",
});

export type ChooseOptions = Omit<ChooseAttrs, "symmetric">;

/** Affine scale (float64 [1]) and zero point (int64 [1]) of x. @throws ShapeError when empty, DtypeError, ArgumentError */
export function decomposedChooseQParams(x: Tensor, options: ChooseOptions): [scale: Tensor, zeroPoint: Tensor] {
  const [scale, zeroPoint] = dispatch(decomposedChooseQParamsOp, [x], { ...options, symmetric: false });
  return [scale!, zeroPoint!];
}

/** Symmetric scale and zero point of x. @throws as decomposedChooseQParams */
export function decomposedChooseQParamsSymmetric(
  x: Tensor,
  options: ChooseOptions,
): [scale: Tensor, zeroPoint: Tensor] {
  const [scale, zeroPoint] = dispatch(decomposedChooseQParamsOp, [x], { ...options, symmetric: true });
  return [scale!, zeroPoint!];
}
