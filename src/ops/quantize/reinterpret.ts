/**
 * Plain integers as a quantized tensor: the same integers, with a scale and a zero point saying what they stand for.
 * The way back is intRepr. Source: _make_per_tensor_quantized_tensor, ATen/native/quantized/MakePerTensorQuantizedTensor.cpp.
 */

import { ArgumentError, DtypeError } from "../../errors.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType, QuantizedDType } from "../../tensor/dtype.ts";
import { perTensor } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";

const quantizedDTypes: { readonly [D in DType]?: QuantizedDType } = { int8: "qint8", uint8: "quint8", int32: "qint32" };

/** The quantized dtype with an integer dtype's values; undefined when there is none. */
export function quantizedDTypeOf(dtype: DType): QuantizedDType | undefined {
  return quantizedDTypes[dtype];
}

type MakeAttrs = { readonly scale: number; readonly zeroPoint: number };

export const makePerTensorQuantizedTensorOp = defineOp<readonly [Tensor], MakeAttrs>({
  name: "makePerTensorQuantizedTensor",
  infer([q], { scale, zeroPoint }) {
    const where = "makePerTensorQuantizedTensor";
    const dtype = quantizedDTypeOf(q.dtype);
    if (!dtype) throw new DtypeError(where, { dtype: q.dtype }, "needs an int8, uint8 or int32 tensor");
    const { min, max } = dtypeInfo[dtype];
    if (!(scale > 0) || !Number.isInteger(zeroPoint) || zeroPoint < min || zeroPoint > max) {
      throw new ArgumentError(
        where,
        { scale, zeroPoint, dtype },
        "scale must be positive and zeroPoint an integer of the dtype",
      );
    }
    return [{ dtype, shape: q.shape, qparams: perTensor(scale, zeroPoint) }];
  },
  forward: ([q], _, [type]) => [new Tensor(type!.dtype, type!.shape, q.data, type!.qparams)],
  backward: "quantized tensors have no gradient; fake-quantize is the differentiable form",
});

/**
 * The quantized tensor with these integers: qint8 of int8, quint8 of uint8, qint32 of int32. Shares memory.
 * @throws DtypeError for other dtypes; ArgumentError for a scale that is not positive, or a zero point outside the dtype.
 */
export function makePerTensorQuantizedTensor(q: Tensor, scale: number, zeroPoint: number): Tensor {
  return apply(makePerTensorQuantizedTensorOp, [q], { scale, zeroPoint });
}
