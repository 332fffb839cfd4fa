/**
 * Dynamically quantized layers: float in, float out, integers inside.
 *
 * The activation is quantized by its own range at every call, multiplied with the qint8 weight in exact integers, and
 * the sums are scaled back: y = acc * f32(sx * sw) + b. With 16-bit weights only the weight is rounded, and the rest is
 * a float product. Sources: ATen/native/quantized/cpu/{qlinear_dynamic,qconv_dynamic}.cpp.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { linear } from "../linear.ts";
import { maximum } from "../arithmetic.ts";
import { convOutputShape } from "../conv-geometry.ts";
import type { ConvAttrs, SpatialRank } from "../conv-geometry.ts";
import { apply, defineOp, requireFloat } from "../op.ts";
import { quantizePerTensorDynamic } from "../quantize/native.ts";
import { cast } from "../unary.ts";
import { convSums, linearSums } from "./accumulate.ts";
import { NO_GRADIENT, requireByte } from "./common.ts";
import { convAttrs } from "./conv.ts";
import type { ConvOptions } from "../conv.ts";
import { DEFAULT_ENGINE, checkEngine, dynamicReduceRange } from "./engines.ts";
import type { QEngine } from "./engines.ts";
import { biasOf, productScales, scaleSums } from "./epilogue.ts";
import { linearShape, requireWeight } from "./linear.ts";
import type { WeightedInputs } from "./linear.ts";

type DynamicAttrs = { readonly relu: boolean; readonly reduceRange: boolean; readonly engine: QEngine };

export interface DynamicOptions {
  readonly relu?: boolean;
  /** Use 0..127 for the activation; default true, as PyTorch's modules do. Ignored by qnnpack. */
  readonly reduceRange?: boolean;
  readonly engine?: QEngine;
}

function fullOptions({ relu = false, reduceRange = true, engine = DEFAULT_ENGINE }: DynamicOptions): DynamicAttrs {
  return { relu, reduceRange, engine };
}

/** The activation by its own range. @throws ShapeError when it is empty. */
function quantizeActivation(x: Tensor, { reduceRange, engine }: DynamicAttrs): Tensor {
  return quantizePerTensorDynamic(x, "quint8", dynamicReduceRange(engine, reduceRange));
}

function requireFloat32(where: string, dtype: string): void {
  if (dtype !== "float32") throw new DtypeError(where, { x: dtype }, "x must be float32");
}

export const linearDynamicOp = defineOp<WeightedInputs, DynamicAttrs>({
  name: "linearDynamic",
  infer([x, weight, bias], { engine }) {
    checkEngine("linearDynamic", engine);
    requireFloat("linearDynamic", x);
    requireFloat32("linearDynamic", x.dtype);
    return [{ dtype: "float32", shape: linearShape("linearDynamic", [x, weight, bias]) }];
  },
  forward([x, weight, bias], attrs, [type]) {
    const q = quantizeActivation(x, attrs);
    const channels = weight.shape[0]!;
    const scales = productScales(requireByte("linearDynamic", q).qparams.scale, weight.qparams!, channels);
    const sums = { values: linearSums(q, weight), channels, inner: 1 };
    return [new Tensor("float32", type!.shape, scaleSums(sums, scales, biasOf(bias), attrs.relu))];
  },
  backward: NO_GRADIENT,
});

/**
 * x [..., inFeatures] float32 times a qint8 weight [outFeatures, inFeatures], plus a float bias, as float32.
 * @throws ShapeError, also for an empty x; DtypeError
 */
export function linearDynamic(x: Tensor, weight: Tensor, bias: Tensor | null, options: DynamicOptions = {}): Tensor {
  return apply(linearDynamicOp, [x, weight, bias], fullOptions(options));
}

/**
 * The same with a float weight that is rounded to 16 bits first (PyTorch's linear_dynamic_fp16).
 * @throws ShapeError, DtypeError
 */
export function linearDynamicFp16(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: { readonly relu?: boolean } = {},
): Tensor {
  const y = linear(x, cast(cast(weight, "float16"), "float32"), bias);
  return options.relu ? maximum(y, 0) : y;
}

export const convDynamicOp = defineOp<WeightedInputs, ConvAttrs & DynamicAttrs>({
  name: "convDynamic",
  infer([x, weight, bias], attrs) {
    checkEngine("convDynamic", attrs.engine);
    requireFloat("convDynamic", x);
    requireFloat32("convDynamic", x.dtype);
    const shape = convOutputShape("convDynamic", x.shape, weight.shape, attrs);
    requireWeight("convDynamic", weight, bias, weight.shape[0]!, 0);
    if (numel(x.shape) === 0)
      throw new ShapeError("convDynamic", { x: x.shape }, "an empty tensor has no range to quantize by");
    return [{ dtype: "float32", shape }];
  },
  forward([x, weight, bias], attrs, [type]) {
    const q = quantizeActivation(x, attrs);
    const channels = weight.shape[0]!;
    const scales = productScales(requireByte("convDynamic", q).qparams.scale, weight.qparams!, channels);
    const sums = { values: convSums(q, weight, type!.shape, attrs), channels, inner: numel(type!.shape.slice(2)) };
    return [new Tensor("float32", type!.shape, scaleSums(sums, scales, biasOf(bias), attrs.relu))];
  },
  backward: NO_GRADIENT,
});

/**
 * Convolution of a float32 x [N, C, ...] with a qint8 weight over `rank` spatial axes, as float32.
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function convDynamic(
  rank: SpatialRank,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvOptions & DynamicOptions = {},
): Tensor {
  const attrs = convAttrs(`conv${rank}dDynamic`, weight.shape.slice(2), rank, options);
  return apply(convDynamicOp, [x, weight, bias], { ...attrs, ...fullOptions(options) });
}
