/**
 * Convolutions over one, two and three spatial axes: y = conv(x, w) + bias, as in torch.nn.functional.
 *
 * Loops and kernels are behind conv-gradient.ts. Padding "same" that is odd in total pads the end once
 * more first, so that the operator itself only knows symmetric padding.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { convOutputShape, perAxis } from "./conv-geometry.ts";
import type { ConvAttrs, PerAxis, SpatialRank } from "./conv-geometry.ts";
import { computeConv, convInputGrad, convWeightGrad } from "./conv-gradient.ts";
import { requireSameFloat } from "./matmul.ts";
import { apply, defineOp } from "./op.ts";
import type { Op } from "./op.ts";
import { narrow } from "./slicing.ts";
import { pad } from "./pad.ts";
import { sum } from "./reduce.ts";
import { squeeze, unsqueeze } from "./shape.ts";

export interface ConvOptions {
  readonly stride?: PerAxis;
  /** Zeros on both sides of each spatial axis; "same" keeps the size (stride 1 only), "valid" is 0. */
  readonly padding?: PerAxis | "same" | "valid";
  readonly dilation?: PerAxis;
  readonly groups?: number;
}

export type ConvInputs = readonly [x: Tensor, weight: Tensor, bias: Tensor | null];

/** @throws ShapeError unless there is one bias a channel. */
export function checkBias(where: string, bias: TensorType | null, channels: number): void {
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== channels)) {
    throw new ShapeError(where, { bias: bias.shape, channels }, "bias must have one element an output channel");
  }
}

/** Sum of a gradient over everything but its channels. */
export function biasGrad(dy: Tensor): Tensor {
  return sum(dy, [0, ...dy.shape.slice(2).map((_, i) => i + 2)]);
}

function convolution(rank: SpatialRank): Op<ConvInputs, ConvAttrs> {
  const name = `conv${rank}d`;
  return defineOp<ConvInputs, ConvAttrs>({
    name,
    infer([x, weight, bias], attrs) {
      requireSameFloat(name, x, weight, bias);
      const shape = convOutputShape(name, x.shape, weight.shape, attrs);
      checkBias(name, bias, shape[1]!);
      return [{ dtype: x.dtype, shape }];
    },
    forward: ([x, weight, bias], attrs, [type]) => [computeConv(x, weight, bias, type!.shape, attrs)],
    backward: (dy, { inputs: [x, weight, bias], attrs, needs }) => [
      needs[0] ? convInputGrad(dy, weight, x.shape, attrs) : null,
      needs[1] ? convWeightGrad(x, dy, weight.shape, attrs) : null,
      bias && needs[2] ? biasGrad(dy) : null,
    ],
  });
}

export const conv1dOp = convolution(1);
export const conv2dOp = convolution(2);
export const conv3dOp = convolution(3);

const convOps = { 1: conv1dOp, 2: conv2dOp, 3: conv3dOp };

/** The convolution of the rank the attributes have. */
export function convolve(x: Tensor, weight: Tensor, bias: Tensor | null, attrs: ConvAttrs): Tensor {
  return apply(convOps[attrs.stride.length as SpatialRank], [x, weight, bias], attrs);
}

/**
 * `convolve`, cropped to an output of shape `shape`: a transposed convolution can leave a rest at the end
 * that the convolution leading back sees and its input never had.
 */
export function convolveTo(x: Tensor, weight: Tensor, shape: Shape, attrs: ConvAttrs): Tensor {
  let y = convolve(x, weight, null, attrs);
  for (let axis = 2; axis < shape.length; axis++) {
    if (y.shape[axis] !== shape[axis]) y = narrow(y, axis, 0, shape[axis]!);
  }
  return y;
}

/** Padding of "same": before (and after) each axis, and what is missing after it. */
function samePadding(where: string, kernel: readonly number[], stride: readonly number[], dilation: readonly number[]) {
  if (stride.some((s) => s !== 1))
    throw new ArgumentError(where, { stride, padding: "same" }, '"same" padding needs stride 1');
  const total = kernel.map((k, i) => dilation[i]! * (k - 1));
  return { padding: total.map((t) => Math.floor(t / 2)), rest: total.map((t) => t % 2) };
}

/** Complete attributes from options, and what must still be added after each axis of x. */
export function resolveConv(where: string, kernel: readonly number[], options: ConvOptions, rank: SpatialRank) {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const strides = perAxis(where, "stride", stride, rank, 1);
  const dilations = perAxis(where, "dilation", dilation, rank, 1);
  const pads =
    padding === "same"
      ? samePadding(where, kernel, strides, dilations)
      : { padding: perAxis(where, "padding", padding === "valid" ? 0 : padding, rank, 0), rest: [] };
  const attrs: ConvAttrs = { stride: strides, padding: pads.padding, dilation: dilations, groups };
  return { attrs, rest: pads.rest };
}

/** Runs `f` on a batch of one where x has no batch axis. */
export function withBatch(x: Tensor, rank: number, f: (x: Tensor) => Tensor): Tensor {
  return x.rank === rank + 1 ? squeeze(f(unsqueeze(x, 0)), 0) : f(x);
}

function conv(x: Tensor, weight: Tensor, bias: Tensor | null, options: ConvOptions, rank: SpatialRank): Tensor {
  const { attrs, rest } = resolveConv(`conv${rank}d`, weight.shape.slice(2), options, rank);
  return withBatch(x, rank, (batch) => {
    const padded = rest.some((r) => r > 0)
      ? pad(
          batch,
          [...rest].reverse().flatMap((r) => [0, r]),
        )
      : batch;
    return convolve(padded, weight, bias, attrs);
  });
}

/**
 * x [N, C, L] (or [C, L]), weight [O, C / groups, K], bias [O] -> [N, O, L'].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function conv1d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  return conv(x, weight, bias, options, 1);
}

/**
 * x [N, C, H, W] (or [C, H, W]), weight [O, C / groups, KH, KW], bias [O] -> [N, O, H', W'].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function conv2d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  return conv(x, weight, bias, options, 2);
}

/**
 * x [N, C, D, H, W] (or [C, D, H, W]), weight [O, C / groups, KD, KH, KW], bias [O] -> [N, O, D', H', W'].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function conv3d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  return conv(x, weight, bias, options, 3);
}
