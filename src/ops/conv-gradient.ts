/**
 * The two gradients of a convolution as operators of their own, and the dispatch of all three contractions
 * to kernels (float32) or plain loops.
 *
 * Convolution is linear in x and in w, so the three operators are each other's gradients: the rules below
 * are the table of which contraction of (x, w, dy) gives which. PyTorch: aten::convolution_backward.
 */

import { convNdBackwardInputF32, convNdBackwardWeightF32, convNdF32 } from "../engine/eager/index.ts";
import { allocate } from "../tensor/dtype.ts";
import type { DType, TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { convolveTo } from "./conv.ts";
import { batchOf, convSizes, isRegular } from "./conv-geometry.ts";
import type { ConvAttrs, ConvSizes } from "./conv-geometry.ts";
import { convInputGradReference, convReference, convWeightGradReference } from "./conv-reference.ts";
import { requireSameFloat } from "./matmul.ts";
import { apply, defineOp } from "./op.ts";

function canUseKernel(dtype: DType, sizes: ConvSizes): boolean {
  return dtype === "float32" && isRegular(sizes) && numel(sizes.size) > 0;
}

function onReference(dtype: DType, shape: Shape, run: (out: TypedArray) => void): Tensor {
  const out = allocate(dtype, numel(shape));
  run(out);
  return new Tensor(dtype, shape, out);
}

/** y = conv(x, w) + bias; `exact` for operands that are integers, whose float32 sums must be exact. */
export function computeConv(
  x: Tensor,
  w: Tensor,
  bias: Tensor | null,
  shape: Shape,
  attrs: ConvAttrs,
  exact = false,
): Tensor {
  const sizes = { ...convSizes(x.shape, w.shape, shape, attrs), exact };
  if (!canUseKernel(x.dtype, sizes)) {
    return onReference(x.dtype, shape, (out) => convReference(x.data, w.data, bias?.data ?? null, out, sizes));
  }
  const start = bias ? (bias.data as Float32Array) : null;
  return new Tensor(x.dtype, shape, convNdF32(x.data as Float32Array, w.data as Float32Array, start, sizes));
}

/** dx of shape `shape` from dy and w; `exact` as for `computeConv`. */
export function computeInputGrad(dy: Tensor, w: Tensor, shape: Shape, attrs: ConvAttrs, exact = false): Tensor {
  const sizes = { ...convSizes(shape, w.shape, dy.shape, attrs), exact };
  if (!canUseKernel(dy.dtype, sizes)) {
    return onReference(dy.dtype, shape, (out) => convInputGradReference(dy.data, w.data, out, sizes));
  }
  return new Tensor(dy.dtype, shape, convNdBackwardInputF32(dy.data as Float32Array, w.data as Float32Array, sizes));
}

/** dw of shape `shape` from x and dy. */
export function computeWeightGrad(x: Tensor, dy: Tensor, shape: Shape, attrs: ConvAttrs): Tensor {
  const sizes = convSizes(x.shape, shape, dy.shape, attrs);
  if (!canUseKernel(x.dtype, sizes)) {
    return onReference(x.dtype, shape, (out) => convWeightGradReference(x.data, dy.data, out, sizes));
  }
  return new Tensor(x.dtype, shape, convNdBackwardWeightF32(dy.data as Float32Array, x.data as Float32Array, sizes));
}

type Pair = readonly [Tensor, Tensor];
type ShapedAttrs = ConvAttrs & { readonly shape: Shape };

function convAttrs({ stride, padding, dilation, groups }: ShapedAttrs): ConvAttrs {
  return { stride, padding, dilation, groups };
}

// dx = A(dy, w): d(dy) = conv(g, w), dw = B(g, dy)
export const convInputGradOp = defineOp<Pair, ShapedAttrs>({
  name: "convInputGrad",
  infer([dy, w], { shape }) {
    requireSameFloat("convInputGrad", dy, w);
    return [{ dtype: dy.dtype, shape: batchOf(dy.shape, shape) }];
  },
  forward: ([dy, w], attrs, [type]) => [computeInputGrad(dy, w, type!.shape, convAttrs(attrs))],
  backward: (g, { inputs: [dy, w], attrs, needs }) => [
    needs[0] ? convolveTo(g, w, dy.shape, convAttrs(attrs)) : null,
    needs[1] ? convWeightGrad(g, dy, w.shape, convAttrs(attrs)) : null,
  ],
});

// dw = B(x, dy): dx = A(dy, g), d(dy) = conv(x, g)
export const convWeightGradOp = defineOp<Pair, ShapedAttrs>({
  name: "convWeightGrad",
  infer([x, dy], { shape }) {
    requireSameFloat("convWeightGrad", x, dy);
    return [{ dtype: x.dtype, shape }];
  },
  forward: ([x, dy], attrs) => [computeWeightGrad(x, dy, attrs.shape, convAttrs(attrs))],
  backward: (g, { inputs: [x, dy], attrs, needs }) => [
    needs[0] ? convInputGrad(dy, g, x.shape, convAttrs(attrs)) : null,
    needs[1] ? convolveTo(x, g, dy.shape, convAttrs(attrs)) : null,
  ],
});

/** Gradient with respect to x, of shape `shape`, of conv(x, w); dy is the output's gradient. */
export function convInputGrad(dy: Tensor, w: Tensor, shape: Shape, attrs: ConvAttrs): Tensor {
  return apply(convInputGradOp, [dy, w], { ...attrs, shape });
}

/** Gradient with respect to w, of shape `shape`, of conv(x, w); dy is the output's gradient. */
export function convWeightGrad(x: Tensor, dy: Tensor, shape: Shape, attrs: ConvAttrs): Tensor {
  return apply(convWeightGradOp, [x, dy], { ...attrs, shape });
}
