/**
 * quantizeDequantizeDynamic: a float tensor rounded to the grid of its own range.
 *
 * quantizePerTensorDynamic and dequantize in one operator, because between the two stands a tensor whose parameters
 * are known only when the graph runs, and a graph's types must not depend on values. With float16 the values are
 * only rounded. Source: quantize_per_tensor_dynamic, ATen/native/quantized/QTensor.cpp.
 */

import { ArgumentError } from "../../errors.ts";
import { noGrad } from "../../tensor/context.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { apply, defineOp, requireFloat } from "../op.ts";
import { cast } from "../unary.ts";
import { dequantize, quantizePerTensorDynamic } from "./native.ts";

export type DynamicPairDType = "quint8" | "qint8" | "float16";
const DTYPES: readonly string[] = ["quint8", "qint8", "float16"];

export const quantizeDequantizeDynamicOp = defineOp<
  readonly [Tensor],
  { readonly dtype: DynamicPairDType; readonly reduceRange: boolean }
>({
  name: "quantizeDequantizeDynamic",
  infer([x], { dtype }) {
    requireFloat("quantizeDequantizeDynamic", x);
    if (!DTYPES.includes(dtype))
      throw new ArgumentError("quantizeDequantizeDynamic", { dtype, known: DTYPES }, "the dtype must be one of these");
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  forward: ([x], { dtype, reduceRange }) => {
    if (dtype === "float16") return [cast(cast(x, "float16"), x.dtype)];
    return [noGrad(() => dequantize(quantizePerTensorDynamic(x, dtype, reduceRange)))];
  },
  backward: "parameters chosen at run time are for inference; train with fake-quantize modules (prepareQat)",
});

/** x rounded to 8 bits over its own range, or to float16. @throws ShapeError when x is empty; DtypeError unless it is float. */
export function quantizeDequantizeDynamic(x: Tensor, dtype: DynamicPairDType, reduceRange: boolean): Tensor {
  return apply(quantizeDequantizeDynamicOp, [x], { dtype, reduceRange });
}
