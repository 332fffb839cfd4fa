/**
 * Products of integers with float results: y = f32(f32(f32(acc) * f32(sx * sw_c)) + b_c). For layers whose output
 * nothing reads as integers, and for sums that would only lose by being rounded before. Compare
 * quantized.linear_with_input_q_dq_qweight_dq_output_fp32 (ATen/native/quantized/cpu/qlinear.cpp), which multiplies and
 * adds in one rounding; two cost the same on every machine, and both are nearer than the float layer they replace.
 */

import { ShapeError } from "../../errors.ts";
import { perTensor } from "../../tensor/qparams.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { convOutputShape } from "../conv-geometry.ts";
import type { ConvAttrs } from "../conv-geometry.ts";
import { defineOp } from "../op.ts";
import { decomposedChooseQParamsOp } from "../quantize/choose.ts";
import type { ChooseAttrs } from "../quantize/choose.ts";
import { decomposedQuantizePerTensor } from "../quantize/decomposed.ts";
import { convSums, linearSums } from "./accumulate.ts";
import { NO_GRADIENT, requireByte } from "./common.ts";
import { biasOf, productScales, realSums } from "./epilogue.ts";
import { INTEGER_BIAS, linearShape, requireWeight } from "./linear.ts";
import type { WeightedInputs } from "./linear.ts";

/** x qint8 or quint8 [N, in, ...], weight qint8 [out, in / groups, ...] per tensor or per channel, bias float32: float32. */
export const quantizedConvFloatOp = defineOp<WeightedInputs, ConvAttrs>({
  name: "quantizedConvFloat",
  infer([x, weight, bias], attrs) {
    requireByte("quantizedConvFloat", x);
    const shape = convOutputShape("quantizedConvFloat", x.shape, weight.shape, attrs);
    requireWeight("quantizedConvFloat", weight, bias, weight.shape[0]!, 0, INTEGER_BIAS);
    return [{ dtype: "float32", shape }];
  },
  forward([x, weight, bias], attrs, [type]) {
    const channels = weight.shape[0]!;
    const scales = productScales(requireByte("quantizedConvFloat", x).qparams.scale, weight.qparams!, channels);
    const sums = { values: convSums(x, weight, type!.shape, attrs), channels, inner: numel(type!.shape.slice(2)) };
    return [new Tensor("float32", type!.shape, realSums(sums, scales, biasOf(bias)))];
  },
  backward: NO_GRADIENT,
});

/** x qint8 or quint8 [..., in], weight qint8 [out, in] per tensor or per row, bias float32: float32 [..., out]. */
export const quantizedLinearFloatOp = defineOp<WeightedInputs>({
  name: "quantizedLinearFloat",
  infer(inputs) {
    requireByte("quantizedLinearFloat", inputs[0]);
    return [{ dtype: "float32", shape: linearShape("quantizedLinearFloat", inputs, INTEGER_BIAS) }];
  },
  forward([x, weight, bias], _, [type]) {
    const channels = weight.shape[0]!;
    const scales = productScales(requireByte("quantizedLinearFloat", x).qparams.scale, weight.qparams!, channels);
    return [
      new Tensor(
        "float32",
        type!.shape,
        realSums({ values: linearSums(x, weight), channels, inner: 1 }, scales, biasOf(bias)),
      ),
    ];
  },
  backward: NO_GRADIENT,
});

/**
 * quantizedLinearFloat of x quantized by its own range, as exported graphs do it (decomposedChooseQParams, then the
 * decomposed quantize): x float32 [..., in], weight qint8 [out, in], bias float32, result float32 [..., out].
 */
export const decomposedLinearDynamicOp = defineOp<WeightedInputs, ChooseAttrs>({
  name: "decomposedLinearDynamic",
  infer(inputs) {
    const [x] = inputs;
    if (numel(x.shape) === 0)
      throw new ShapeError("decomposedLinearDynamic", { x: x.shape }, "an empty tensor has no range to quantize by");
    return [{ dtype: "float32", shape: linearShape("decomposedLinearDynamic", inputs) }];
  },
  forward([x, weight, bias], attrs, types) {
    const [scale, zeroPoint] = decomposedChooseQParamsOp.forward([x], attrs, []);
    const [s, z] = [scale!.item(), zeroPoint!.item()];
    const { data } = decomposedQuantizePerTensor(x, s, z, attrs);
    const q = new Tensor(attrs.dtype === "int8" ? "qint8" : "quint8", x.shape, data, perTensor(s, z));
    return quantizedLinearFloatOp.forward([q, weight, bias], {}, types);
  },
  backward: NO_GRADIENT,
});
