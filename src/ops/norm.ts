/**
 * Layer, group and root-mean-square normalization.
 *
 * The first two, and instance normalization, are one loop (norm-loops.ts) seen through different views of x.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { allocate, dtypeInfo } from "../tensor/dtype.ts";
import { numel, sameShape } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { add, mul } from "./arithmetic.ts";
import { requireSameFloat } from "./matmul.ts";
import { groupStats, normalizeInto, viewOf } from "./norm-loops.ts";
import type { NormLayout } from "./norm-loops.ts";
import { normGrad } from "./norm-gradient.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Attrs, Op } from "./op.ts";
import { mean } from "./reduce.ts";
import { reshape } from "./shape.ts";
import { rsqrt } from "./unary.ts";

export type AffineInputs = readonly [x: Tensor, weight: Tensor | null, bias: Tensor | null];

/** @throws ShapeError unless weight and bias, where given, have the shape. */
export function checkAffine(where: string, x: Shape, shape: Shape, ...params: readonly (TensorType | null)[]): void {
  for (const param of params) {
    if (param && !sameShape(param.shape, shape)) {
      throw new ShapeError(
        where,
        { x, expected: shape, got: param.shape },
        "weight and bias must have one element a channel",
      );
    }
  }
}

/** Defines a normalization by the layout it sees x in and the shape of its weight. */
export function normalization<A extends Attrs & { readonly eps: number }>(
  name: string,
  layout: (x: Shape, attrs: A) => NormLayout,
  weightShape: (x: Shape, attrs: A) => Shape,
): Op<AffineInputs, A> {
  return defineOp<AffineInputs, A>({
    name,
    infer([x, weight, bias], attrs) {
      requireSameFloat(name, x, weight, bias);
      layout(x.shape, attrs);
      checkAffine(name, x.shape, weightShape(x.shape, attrs), weight, bias);
      return [{ dtype: x.dtype, shape: x.shape }];
    },
    forward([x, weight, bias], attrs) {
      const view = viewOf(layout(x.shape, attrs), x.numel);
      const y = allocate(x.dtype, x.numel);
      normalizeInto(y, x.data, weight?.data ?? null, bias?.data ?? null, groupStats(x.data, view), view, attrs.eps);
      return [new Tensor(x.dtype, x.shape, y)];
    },
    backward(dy, { inputs: [x, weight, bias], attrs }) {
      const [dx, dweight, dbias] = normGrad([dy, x, weight, null, null], {
        layout: layout(x.shape, attrs),
        eps: attrs.eps,
      });
      return [dx, weight && reshape(dweight, weight.shape), bias && reshape(dbias, bias.shape)];
    },
  });
}

export type LayerNormAttrs = { readonly normalizedShape: Shape; readonly eps: number };

export const layerNormOp = normalization<LayerNormAttrs>(
  "layerNorm",
  (x, { normalizedShape }) => {
    if (normalizedShape.length === 0 || !sameShape(x.slice(-normalizedShape.length), normalizedShape)) {
      throw new ShapeError("layerNorm", { x, normalizedShape }, "the last axes of x must be normalizedShape");
    }
    const inner = numel(normalizedShape);
    return { groups: null, inner, channels: inner, channelInner: 1 };
  },
  (_, { normalizedShape }) => normalizedShape,
);

export type GroupNormAttrs = { readonly numGroups: number; readonly eps: number };

export const groupNormOp = normalization<GroupNormAttrs>(
  "groupNorm",
  (x, { numGroups }) => {
    if (x.length < 2 || x[1]! % numGroups !== 0) {
      throw new ShapeError("groupNorm", { x, numGroups }, "x must be [N, C, ...] with C a multiple of numGroups");
    }
    const channelInner = numel(x.slice(2));
    return { groups: null, inner: (x[1]! / numGroups) * channelInner, channels: x[1]!, channelInner };
  },
  (x) => [x[1]!],
);

export interface NormOptions {
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  readonly eps?: number;
}

/**
 * Zero mean and unit variance over the last axes, then an elementwise weight and bias of shape `normalizedShape`.
 * Ba, Kiros and Hinton, 2016. @throws ShapeError, DtypeError
 */
export function layerNorm(x: Tensor, normalizedShape: number | Shape, options: NormOptions = {}): Tensor {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  const shape = typeof normalizedShape === "number" ? [normalizedShape] : [...normalizedShape];
  return apply(layerNormOp, [x, weight, bias], { normalizedShape: shape, eps });
}

/**
 * Normalizes x [N, C, ...] over each of `numGroups` groups of channels; weight and bias are [C].
 * Wu and He, 2018. @throws ShapeError, DtypeError
 */
export function groupNorm(x: Tensor, numGroups: number, options: NormOptions = {}): Tensor {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  if (!Number.isInteger(numGroups) || numGroups < 1)
    throw new ArgumentError("groupNorm", { numGroups }, "numGroups must be a positive integer");
  return apply(groupNormOp, [x, weight, bias], { numGroups, eps });
}

/** Distance from 1 to the next number of a float dtype: PyTorch's default eps of rmsNorm. */
function machineEpsilon(x: Tensor): number {
  return x.dtype === "float64" ? Number.EPSILON : dtypeInfo[x.dtype].bits === 32 ? 2 ** -23 : 2 ** -10;
}

/**
 * x / sqrt(mean(x^2) + eps) * weight over the last axes. `eps` defaults to the dtype's machine epsilon.
 * Zhang and Sennrich, 2019. @throws ShapeError, DtypeError
 */
export function rmsNorm(x: Tensor, normalizedShape: number | Shape, options: Omit<NormOptions, "bias"> = {}): Tensor {
  const { weight = null, eps = machineEpsilon(x) } = options;
  const shape = typeof normalizedShape === "number" ? [normalizedShape] : normalizedShape;
  requireFloat("rmsNorm", x);
  if (shape.length === 0 || !sameShape(x.shape.slice(-shape.length), shape)) {
    throw new ShapeError(
      "rmsNorm",
      { x: x.shape, normalizedShape: shape },
      "the last axes of x must be normalizedShape",
    );
  }
  checkAffine("rmsNorm", x.shape, shape, weight);
  const square = mean(
    mul(x, x),
    shape.map((_, i) => i - shape.length),
    { keepdim: true },
  );
  const y = mul(x, rsqrt(add(square, eps)));
  return weight ? mul(y, weight) : y;
}
