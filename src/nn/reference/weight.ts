/**
 * The weight of a reference layer: float, with the parameters by which it will be quantized beside it.
 *
 * A reference layer computes in float with the weight rounded to its integers and back, so it can be lowered to a
 * quantized layer of any backend. Source: torch/ao/nn/quantized/reference/modules/utils.py.
 */

import { dequantize, quantizePerChannel, quantizePerTensor } from "../../ops/quantize/native.ts";
import { cast } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { scalar } from "../../tensor/create.ts";
import { isQuantized } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { AnyModule } from "../module.ts";
import { makeWeightObserver } from "../quantized/observed.ts";

/** How a weight is quantized; scheme null leaves it float. */
export interface WeightQParams {
  readonly qscheme: QScheme | null;
  readonly dtype: DType;
  /** [channels], or [1]. */
  readonly scale: Tensor;
  readonly zeroPoint: Tensor;
  /** 0-d int32. */
  readonly axis: Tensor;
}

/** Parameters of a weight by a fresh observer of the module's qconfig. @throws QuantError */
export function observeWeightQParams(module: AnyModule, weight: Tensor): WeightQParams {
  const observer = makeWeightObserver(module);
  noGrad(() => observer.forward(weight.detach()));
  const { dtype, qscheme } = observer;
  if (!isQuantized(dtype))
    return { qscheme: null, dtype, scale: scalar(1), zeroPoint: scalar(0, "int32"), axis: scalar(0, "int32") };
  const { scale, zeroPoint } = observer.calculateQParams();
  const floatZeroPoint = qscheme === "per_channel_affine_float_qparams";
  return {
    qscheme,
    dtype,
    scale,
    zeroPoint: cast(zeroPoint, floatZeroPoint ? "float32" : "int64"),
    axis: scalar(observer.chAxis && observer.chAxis > 0 ? observer.chAxis : 0, "int32"),
  };
}

/** The weight as integers (or rounded to 16 bits). */
export function quantizeBy(weight: Tensor, { qscheme, dtype, scale, zeroPoint, axis }: WeightQParams): Tensor {
  if (!isQuantized(dtype)) return dtype === "float16" ? cast(weight, "float16") : weight;
  if (qscheme && isPerChannelScheme(qscheme)) return quantizePerChannel(weight, scale, zeroPoint, axis.item(), dtype);
  return quantizePerTensor(weight, scale.item(), zeroPoint.item(), dtype);
}

/** The weight rounded to its integers and back. */
export function roundBy(weight: Tensor, qparams: WeightQParams): Tensor {
  const quantized = quantizeBy(weight.detach(), qparams);
  return quantized.isQuantized ? dequantize(quantized) : cast(quantized, "float32");
}

/** State-dict entries of a weight's parameters, as PyTorch names them; the axis is there per tensor too. */
export function qparamsState(name: string, { scale, zeroPoint, axis }: WeightQParams): Record<string, Tensor> {
  return { [`${name}_scale`]: scale, [`${name}_zero_point`]: zeroPoint, [`${name}_axis`]: axis };
}

/** Parameters with values of a state dict in place of the own ones. */
export function loadQParams(name: string, qparams: WeightQParams, state: ReadonlyMap<string, Tensor>): WeightQParams {
  return {
    ...qparams,
    scale: state.get(`${name}_scale`) ?? qparams.scale,
    zeroPoint: state.get(`${name}_zero_point`) ?? qparams.zeroPoint,
    axis: state.get(`${name}_axis`) ?? qparams.axis,
  };
}
