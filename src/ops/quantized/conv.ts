/**
 * Quantized convolution over one to three spatial axes, and the fused sum of a residual block.
 *
 * x is padded with its zero point, that is with the real number 0. One operator serves all ranks: the rank is the
 * length of its stride. Source: ATen/native/quantized/cpu/qconv.cpp.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import { allocate } from "../../tensor/dtype.ts";
import type { TypedArray } from "../../tensor/dtype.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { resolveConv } from "../conv.ts";
import type { ConvOptions } from "../conv.ts";
import { convOutputShape } from "../conv-geometry.ts";
import type { ConvAttrs, SpatialRank } from "../conv-geometry.ts";
import { ROUND_BIAS, clampNanLow } from "../quantize/numerics.ts";
import { apply, defineOp } from "../op.ts";
import { convSums } from "./accumulate.ts";
import { NO_GRADIENT, quantizedType, requireByte } from "./common.ts";
import type { OutputQParams, PerTensorType } from "./common.ts";
import { DEFAULT_ENGINE, checkEngine, convRounding } from "./engines.ts";
import type { QEngine } from "./engines.ts";
import { biasOf, productScales, requantizeSums } from "./epilogue.ts";
import { INTEGER_BIAS, requireWeight } from "./linear.ts";
import type { WeightedInputs, WeightedOptions } from "./linear.ts";
import { targetOf } from "./requantize.ts";

export type QuantizedConvAttrs = ConvAttrs & OutputQParams & { readonly relu: boolean; readonly engine: QEngine };

export const quantizedConvOp = defineOp<WeightedInputs, QuantizedConvAttrs>({
  name: "quantizedConv",
  infer([x, weight, bias], attrs) {
    checkEngine("quantizedConv", attrs.engine);
    const { dtype } = requireByte("quantizedConv", x);
    const shape = convOutputShape("quantizedConv", x.shape, weight.shape, attrs);
    requireWeight("quantizedConv", weight, bias, weight.shape[0]!, 0, INTEGER_BIAS);
    return [quantizedType("quantizedConv", dtype, shape, attrs)];
  },
  forward([x, weight, bias], attrs, [type]) {
    const { scale, zeroPoint, relu, engine, groups } = attrs;
    const { qparams, dtype } = requireByte("quantizedConv", x);
    const channels = weight.shape[0]!;
    const values = requantizeSums(
      { values: convSums(x, weight, type!.shape, attrs), channels, inner: numel(type!.shape.slice(2)) },
      {
        rounding: convRounding(engine, weight.qparams!, groups), dtype, relu, output: { scale, zeroPoint },
        scales: productScales(qparams.scale, weight.qparams!, channels),
        perChannel: weight.qparams!.kind !== "perTensor", bias: biasOf(bias),
      }, // prettier-ignore
    );
    return [new Tensor(dtype, type!.shape, values, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

type ConvAddInputs = readonly [x: Tensor, weight: Tensor, bias: Tensor | null, other: Tensor];

/** rne((acc * a + b + other) * (1 / so) + zo), relu before the last step. Source: oneDNN's sum post-operation. */
function addSums(
  sums: TypedArray,
  inner: number,
  scales: Float32Array,
  bias: TypedArray | null,
  other: Tensor,
  attrs: QuantizedConvAttrs,
): TypedArray {
  const { fround } = Math;
  const { dtype, qparams }: PerTensorType = requireByte("quantizedConvAdd", other);
  const out = allocate(dtype, sums.length);
  const { low, high } = targetOf(dtype, attrs);
  const inverse = fround(1 / attrs.scale);
  const scale = fround(qparams.scale);
  for (let i = 0; i < out.length; i++) {
    const c = Math.floor(i / inner) % scales.length;
    const v = fround(fround(fround(sums[i]!) * scales[c]!) + (bias ? bias[c]! : 0));
    const sum = fround(v + fround(scale * (other.data[i]! - qparams.zeroPoint)));
    const kept = attrs.relu ? Math.max(sum, 0) : sum;
    out[i] = clampNanLow(fround(fround(kept * inverse) + attrs.zeroPoint) + ROUND_BIAS - ROUND_BIAS, low, high);
  }
  return out;
}

export const quantizedConvAddOp = defineOp<ConvAddInputs, QuantizedConvAttrs>({
  name: "quantizedConvAdd",
  infer([x, weight, bias, other], attrs) {
    checkEngine("quantizedConvAdd", attrs.engine);
    const { dtype } = requireByte("quantizedConvAdd", x);
    const shape = convOutputShape("quantizedConvAdd", x.shape, weight.shape, attrs);
    requireWeight("quantizedConvAdd", weight, bias, weight.shape[0]!, 0);
    requireByte("quantizedConvAdd", other);
    if (!sameShape(shape, other.shape)) {
      throw new ShapeError(
        "quantizedConvAdd",
        { convolution: shape, other: other.shape },
        "both summands must have one shape",
      );
    }
    return [quantizedType("quantizedConvAdd", dtype, shape, attrs)];
  },
  forward([x, weight, bias, other], attrs, [type]) {
    const { qparams } = requireByte("quantizedConvAdd", x);
    const scales = productScales(qparams.scale, weight.qparams!, weight.shape[0]!);
    const sums = convSums(x, weight, type!.shape, attrs);
    const values = addSums(sums, numel(type!.shape.slice(2)), scales, bias && bias.data, other, attrs);
    return [new Tensor(type!.dtype, type!.shape, values, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

/**
 * Complete convolution attributes from what a user wrote.
 * @throws ArgumentError, also for "same" padding that would pad one end more than the other.
 */
export function convAttrs(
  where: string,
  kernel: readonly number[],
  rank: SpatialRank,
  options: ConvOptions,
): ConvAttrs {
  const { attrs, rest } = resolveConv(where, kernel, options, rank);
  if (rest.some((r) => r > 0)) {
    throw new ArgumentError(
      where,
      { kernel, padding: "same" },
      "quantized convolutions pad both ends alike: use odd kernels",
    );
  }
  return attrs;
}

function fullAttrs(
  where: string,
  weight: Tensor,
  rank: SpatialRank,
  options: QuantizedConvOptions,
): QuantizedConvAttrs {
  const { scale, zeroPoint, relu = false, engine = DEFAULT_ENGINE } = options;
  return { ...convAttrs(where, weight.shape.slice(2), rank, options), scale, zeroPoint, relu, engine };
}

export type QuantizedConvOptions = ConvOptions & WeightedOptions;

function ofRank(rank: SpatialRank) {
  return (x: Tensor, weight: Tensor, bias: Tensor | null, options: QuantizedConvOptions): Tensor =>
    apply(quantizedConvOp, [x, weight, bias], fullAttrs(`quantizedConv${rank}d`, weight, rank, options));
}

/**
 * Convolution of x [N, C, L] with a qint8 weight [O, C / groups, K] and a float bias (or an int32 one
 * in units of sx * sw), then relu if asked for; the
 * result [N, O, L'] has the dtype of x and the given parameters. @throws ShapeError, DtypeError, ArgumentError
 */
export const quantizedConv1d = ofRank(1);
/** `quantizedConv1d` for x [N, C, H, W]. */
export const quantizedConv2d = ofRank(2);
/** `quantizedConv1d` for x [N, C, D, H, W]. */
export const quantizedConv3d = ofRank(3);

/**
 * conv2d(x) + other (then relu), with one rounding at the end; `other` has the result's shape and its own
 * parameters. PyTorch has it for the onednn engine only, and so it rounds as that engine does.
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function quantizedConvAdd2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  other: Tensor,
  options: QuantizedConvOptions,
): Tensor {
  return apply(quantizedConvAddOp, [x, weight, bias, other], fullAttrs("quantizedConvAdd2d", weight, 2, options));
}
