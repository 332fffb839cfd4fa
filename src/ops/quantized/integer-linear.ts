/**
 * The matrix product of plain integers, summed in int32 without rounding: y = x weight^T. What reference
 * representations of quantized graphs multiply with. Source: out_dtype, torch/_higher_order_ops/out_dtype.py.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { defineOp } from "../op.ts";
import { NO_GRADIENT } from "./common.ts";

function requireInteger({ dtype }: TensorType): void {
  if (dtypeInfo[dtype].kind !== "int") throw new DtypeError("integerLinear", { dtype }, "needs integer tensors");
}

/** x [..., in] and weight [out, in] of any integer dtype: int32 [..., out]. */
export const integerLinearOp = defineOp<readonly [x: Tensor, weight: Tensor]>({
  name: "integerLinear",
  infer([x, weight]) {
    requireInteger(x);
    requireInteger(weight);
    if (weight.shape.length !== 2 || x.shape.at(-1) !== weight.shape[1]) {
      throw new ShapeError(
        "integerLinear",
        { x: x.shape, weight: weight.shape },
        "the last axis of x must be weight.shape[1]",
      );
    }
    return [{ dtype: "int32", shape: [...x.shape.slice(0, -1), weight.shape[0]!] }];
  },
  forward([x, weight], _, [type]) {
    const [channels, depth] = weight.shape as [number, number];
    const out = new Int32Array(numel(type!.shape));
    for (let i = 0; i < out.length; i++) {
      const [row, column] = [Math.floor(i / channels) * depth, (i % channels) * depth];
      let sum = 0;
      for (let k = 0; k < depth; k++) sum = (sum + Math.imul(x.data[row + k]!, weight.data[column + k]!)) | 0;
      out[i] = sum;
    }
    return [new Tensor("int32", type!.shape, out)];
  },
  backward: NO_GRADIENT,
});
