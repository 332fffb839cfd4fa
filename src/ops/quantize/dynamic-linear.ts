/**
 * dynamicQuantizeLinear: bytes of a float tensor by its own range, and the parameters, as files say it.
 *
 *     s = (max - min) / 255 of a range that holds zero       z = saturate(rne(-min / s))       q = saturate(rne(x / s) + z)
 *
 * in float32, with divisions. A range of nothing but zeros has scale 1. Source: ONNX's DynamicQuantizeLinear;
 * onnxruntime, core/providers/cpu/quantization/dynamicquantizelinear.cc.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { rint } from "../../tensor/rounding.ts";
import { defineOp, dispatch } from "../op.ts";
import { rangeOf } from "./ranges.ts";

const { fround } = Math;
const NAME = "dynamicQuantizeLinear";
const { min: LOW, max: HIGH } = dtypeInfo.uint8;

function saturate(v: number): number {
  return Math.min(Math.max(v, LOW), HIGH);
}

export const dynamicQuantizeLinearOp = defineOp<readonly [Tensor]>({
  name: NAME,
  infer([x]) {
    if (x.dtype !== "float32") throw new DtypeError(NAME, { dtype: x.dtype }, "needs a float32 tensor");
    if (numel(x.shape) === 0) throw new ShapeError(NAME, { x: x.shape }, "an empty tensor has no range");
    return [
      { dtype: "uint8", shape: x.shape },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  },
  forward([x]) {
    const { min, max } = rangeOf(x.data, 0, x.numel);
    const [low, high] = [Math.min(min, 0), Math.max(max, 0)];
    const scale = low === high ? 1 : fround(fround(high - low) / HIGH);
    const zeroPoint = saturate(rint(fround(-low / scale)));
    const q = Uint8Array.from(x.data, (v) => saturate(rint(fround(v / scale)) + zeroPoint));
    return [
      new Tensor("uint8", x.shape, q),
      new Tensor("float32", [], Float32Array.of(scale)),
      new Tensor("uint8", [], Uint8Array.of(zeroPoint)),
    ];
  },
  backward: "integers have no gradient; train with fake-quantize and convert afterwards",
});

/**
 * x float32 -> its integers (uint8, its shape), scale (float32 []) and zero point (uint8 []).
 * @throws DtypeError; ShapeError when x is empty
 */
export function dynamicQuantizeLinear(x: Tensor): [q: Tensor, scale: Tensor, zeroPoint: Tensor] {
  return dispatch(dynamicQuantizeLinearOp, [x], {}) as [Tensor, Tensor, Tensor];
}
