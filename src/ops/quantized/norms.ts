/**
 * Normalization of quantized tensors: batch, layer, group and instance norm.
 *
 * Batch norm with fixed statistics is one multiply-add of the centred integers a channel. The others take exact integer
 * sums for mean and variance and then go on in float32 in the order of the PyTorch kernels, which is what decides the
 * last bit. Sources: ATen/native/quantized/cpu/Normalization.cpp and quantized_normalize_kernel of
 * kernels/QuantizedOpKernels.cpp.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import { allocate } from "../../tensor/dtype.ts";
import type { TypedArray } from "../../tensor/dtype.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";
import { forEachChannelRun } from "../quantize/loops.ts";
import { NO_GRADIENT, quantizedType, requireByte } from "./common.ts";
import type { OutputQParams, PerTensorType } from "./common.ts";
import { addThenRound, blockEnd, requantizeInteger, roundThenAdd, targetOf } from "./requantize.ts";

const { fround } = Math;

type BatchNormInputs = readonly [x: Tensor, weight: Tensor | null, bias: Tensor | null, mean: Tensor, variance: Tensor];
type BatchNormAttrs = OutputQParams & { readonly eps: number; readonly relu: boolean };

/** Factor and offset of one channel: y = alpha * (q - z) + beta, in units of the output scale. */
function batchNormLine(
  [, weight, bias, mean, variance]: BatchNormInputs,
  c: number,
  inputScale: number,
  { eps, scale }: BatchNormAttrs,
): [number, number] {
  const inverse = fround(1 / fround(Math.sqrt(fround(variance.data[c]! + fround(eps)))));
  const w = weight ? weight.data[c]! : 1;
  const b = bias ? bias.data[c]! : 0;
  const alpha = fround(fround(inverse * w) * (inputScale / scale));
  const beta = fround(fround(b - fround(fround(mean.data[c]! * inverse) * w)) / scale);
  return [alpha, beta];
}

export const quantizedBatchNormOp = defineOp<BatchNormInputs, BatchNormAttrs>({
  name: "quantizedBatchNorm",
  infer([x, weight, bias, mean, variance], attrs) {
    const { dtype } = requireByte("quantizedBatchNorm", x);
    for (const param of [weight, bias, mean, variance]) {
      if (param && (param.shape.length !== 1 || param.shape[0] !== x.shape[1])) {
        throw new ShapeError(
          "quantizedBatchNorm",
          { x: x.shape, parameter: param.shape },
          "parameters must have one element a channel",
        );
      }
    }
    return [quantizedType("quantizedBatchNorm", dtype, x.shape, attrs)];
  },
  forward(inputs, attrs, [type]) {
    const [x] = inputs;
    const { dtype, qparams } = requireByte("quantizedBatchNorm", x);
    const target = targetOf(dtype, attrs, attrs.relu);
    const out = allocate(dtype, x.numel);
    const lines = Array.from({ length: x.shape[1]! }, (_, c) => batchNormLine(inputs, c, qparams.scale, attrs));
    forEachChannelRun(x.shape, 1, (start, end, c) => {
      const [alpha, beta] = lines[c]!;
      for (let i = start; i < end; i++) {
        out[i] = requantizeInteger(fround(alpha * (x.data[i]! - qparams.zeroPoint) + beta), 1, target);
      }
    });
    return [new Tensor(dtype, x.shape, out, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

export interface BatchNormParts {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
}

/**
 * Batch norm of x [N, C, ...] by running statistics, then relu if asked for.
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function quantizedBatchNorm(
  x: Tensor,
  { weight, bias, runningMean, runningVar }: BatchNormParts,
  { scale, zeroPoint, eps = 1e-5, relu = false }: OutputQParams & { readonly eps?: number; readonly relu?: boolean },
): Tensor {
  return apply(quantizedBatchNormOp, [x, weight, bias, runningMean, runningVar], { scale, zeroPoint, eps, relu });
}

/** Mean of one group in centred integers, and f32(scale / sqrt(variance + eps)). */
function groupLine(
  q: TypedArray,
  start: number,
  n: number,
  { qparams }: PerTensorType,
  eps: number,
): [mean: number, factor: number] {
  let [sum, squares] = [0, 0];
  for (let i = start; i < start + n; i++) {
    sum += q[i]!;
    squares += q[i]! * q[i]!;
  }
  const scale = fround(qparams.scale);
  const mean = fround(fround(sum) / n);
  const variance = Math.max(fround(fround(fround(squares) / n) - mean * mean), 0);
  const spread = Math.sqrt(fround(fround(variance * scale) * scale) + eps);
  return [fround(mean - qparams.zeroPoint), fround(scale / spread)];
}

type AffineInputs = readonly [x: Tensor, weight: Tensor | null, bias: Tensor | null];

export const quantizedLayerNormOp = defineOp<
  AffineInputs,
  OutputQParams & { readonly normalizedShape: Shape; readonly eps: number }
>({
  name: "quantizedLayerNorm",
  infer([x, weight, bias], attrs) {
    const { dtype } = requireByte("quantizedLayerNorm", x);
    const { normalizedShape } = attrs;
    const last = x.shape.slice(x.shape.length - normalizedShape.length);
    if (!sameShape(last, normalizedShape) || [weight, bias].some((p) => p && !sameShape(p.shape, normalizedShape))) {
      const fields = { x: x.shape, normalizedShape, weight: weight?.shape ?? null, bias: bias?.shape ?? null };
      throw new ShapeError("quantizedLayerNorm", fields, "the last axes of x, weight and bias must be normalizedShape");
    }
    return [quantizedType("quantizedLayerNorm", dtype, x.shape, attrs)];
  },
  forward([x, weight, bias], attrs, [type]) {
    const checked = requireByte("quantizedLayerNorm", x);
    const { zeroPoint } = checked.qparams;
    const n = numel(attrs.normalizedShape);
    const end = blockEnd(n);
    const target = targetOf(checked.dtype, attrs);
    const out = allocate(checked.dtype, x.numel);
    for (let start = 0; start < x.numel; start += n) {
      const [mean, factor] = groupLine(x.data, start, n, checked, attrs.eps);
      for (let i = 0; i < n; i++) {
        const normal = fround(fround(x.data[start + i]! - zeroPoint - mean) * factor);
        const v = fround(normal * (weight ? weight.data[i]! : 1) + (bias ? bias.data[i]! : 0));
        out[start + i] = i < end ? roundThenAdd(v, target) : addThenRound(v, target);
      }
    }
    return [new Tensor(checked.dtype, x.shape, out, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

export interface QuantizedNormOptions extends OutputQParams {
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  readonly eps?: number;
}

/** Layer norm over the last axes, which must be `normalizedShape`. @throws ShapeError, DtypeError, ArgumentError */
export function quantizedLayerNorm(x: Tensor, normalizedShape: Shape, options: QuantizedNormOptions): Tensor {
  const { scale, zeroPoint, eps = 1e-5, weight = null, bias = null } = options;
  return apply(quantizedLayerNormOp, [x, weight, bias], {
    normalizedShape: [...normalizedShape],
    eps,
    scale,
    zeroPoint,
  });
}

function groupShape(x: TensorType, weight: TensorType | null, bias: TensorType | null, numGroups: number): void {
  const channels = x.shape[1] ?? 0;
  if (x.shape.length < 2 || numGroups < 1 || channels % numGroups !== 0) {
    throw new ArgumentError(
      "quantizedGroupNorm",
      { x: x.shape, numGroups },
      "groups must divide the channels (axis 1)",
    );
  }
  if ([weight, bias].some((p) => p && (p.shape.length !== 1 || p.shape[0] !== channels))) {
    throw new ShapeError(
      "quantizedGroupNorm",
      { x: x.shape, weight: weight?.shape ?? null, bias: bias?.shape ?? null },
      "weight and bias must have one element a channel",
    );
  }
}

export const quantizedGroupNormOp = defineOp<
  AffineInputs,
  OutputQParams & { readonly numGroups: number; readonly eps: number }
>({
  name: "quantizedGroupNorm",
  infer([x, weight, bias], attrs) {
    const { dtype } = requireByte("quantizedGroupNorm", x);
    groupShape(x, weight, bias, attrs.numGroups);
    return [quantizedType("quantizedGroupNorm", dtype, x.shape, attrs)];
  },
  forward([x, weight, bias], attrs, [type]) {
    const checked = requireByte("quantizedGroupNorm", x);
    const { zeroPoint } = checked.qparams;
    const channels = x.shape[1]!;
    const inner = numel(x.shape.slice(2));
    const perGroup = channels / attrs.numGroups;
    const target = targetOf(checked.dtype, attrs);
    const out = allocate(checked.dtype, x.numel);
    for (let start = 0, g = 0; start < x.numel; start += perGroup * inner, g = (g + 1) % attrs.numGroups) {
      const [mean, factor] = groupLine(x.data, start, perGroup * inner, checked, attrs.eps);
      for (let i = 0; i < perGroup * inner; i++) {
        const c = g * perGroup + Math.floor(i / inner);
        const slope = fround(factor * (weight ? weight.data[c]! : 1));
        const v = fround(fround(x.data[start + i]! - zeroPoint - mean) * slope + (bias ? bias.data[c]! : 0));
        out[start + i] = roundThenAdd(v, target);
      }
    }
    return [new Tensor(checked.dtype, x.shape, out, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

/** Group norm of x [N, C, ...] with `numGroups` groups of channels. @throws ShapeError, DtypeError, ArgumentError */
export function quantizedGroupNorm(x: Tensor, numGroups: number, options: QuantizedNormOptions): Tensor {
  const { scale, zeroPoint, eps = 1e-5, weight = null, bias = null } = options;
  return apply(quantizedGroupNormOp, [x, weight, bias], { numGroups, eps, scale, zeroPoint });
}

/** Instance norm of x [N, C, ...]: group norm with one channel a group. @throws ShapeError, DtypeError, ArgumentError */
export function quantizedInstanceNorm(x: Tensor, options: QuantizedNormOptions): Tensor {
  return quantizedGroupNorm(x, x.shape[1] ?? 0, options);
}
