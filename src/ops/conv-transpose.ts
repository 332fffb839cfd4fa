/**
 * Transposed convolutions: the input gradient of a convolution, used as a layer.
 *
 * The weight is [inChannels, outChannels / groups, ...kernel]: that of the convolution which would lead
 * back from y to x. `outputPadding` picks the output size among those that convolution maps to x's.
 */

import type { TypedArray } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { biasGrad, checkBias, convolveTo, withBatch } from "./conv.ts";
import type { ConvInputs } from "./conv.ts";
import { convTransposeOutputShape, perAxis } from "./conv-geometry.ts";
import type { ConvAttrs, ConvTransposeAttrs, PerAxis, SpatialRank } from "./conv-geometry.ts";
import { computeInputGrad, convWeightGrad } from "./conv-gradient.ts";
import { requireSameFloat } from "./matmul.ts";
import { apply, defineOp } from "./op.ts";
import type { Op } from "./op.ts";

export interface ConvTransposeOptions {
  readonly stride?: PerAxis;
  /** Rows and columns cut from both sides of each spatial axis. */
  readonly padding?: PerAxis;
  /** Size added to the end of each spatial axis; smaller than stride or dilation. */
  readonly outputPadding?: PerAxis;
  readonly dilation?: PerAxis;
  readonly groups?: number;
}

function convAttrs({ stride, padding, dilation, groups }: ConvTransposeAttrs): ConvAttrs {
  return { stride, padding, dilation, groups };
}

function addBias(y: TypedArray, bias: TypedArray, plane: number): void {
  for (let i = 0; i < y.length; i++) y[i]! += bias[Math.floor(i / plane) % bias.length]!;
}

// y = A(x, w) + bias, with A the input gradient of conv: dx = conv(dy, w), dw = B(dy, x)
function transposedConvolution(rank: SpatialRank): Op<ConvInputs, ConvTransposeAttrs> {
  const name = `convTranspose${rank}d`;
  return defineOp<ConvInputs, ConvTransposeAttrs>({
    name,
    infer([x, weight, bias], attrs) {
      requireSameFloat(name, x, weight, bias);
      const shape = convTransposeOutputShape(name, x.shape, weight.shape, attrs);
      checkBias(name, bias, shape[1]!);
      return [{ dtype: x.dtype, shape }];
    },
    forward([x, weight, bias], attrs, [type]) {
      const y = computeInputGrad(x, weight, type!.shape, convAttrs(attrs));
      if (bias) addBias(y.data, bias.data, y.numel / (y.shape[0]! * y.shape[1]!));
      return [y];
    },
    backward: (dy, { inputs: [x, weight, bias], attrs, needs }) => [
      needs[0] ? convolveTo(dy, weight, x.shape, convAttrs(attrs)) : null,
      needs[1] ? convWeightGrad(dy, x, weight.shape, convAttrs(attrs)) : null,
      bias && needs[2] ? biasGrad(dy) : null,
    ],
  });
}

export const convTranspose1dOp = transposedConvolution(1);
export const convTranspose2dOp = transposedConvolution(2);
export const convTranspose3dOp = transposedConvolution(3);

const transposedOps = { 1: convTranspose1dOp, 2: convTranspose2dOp, 3: convTranspose3dOp };

/** Complete attributes from options. @throws ArgumentError */
export function resolveConvTranspose(
  where: string,
  options: ConvTransposeOptions,
  rank: SpatialRank,
): ConvTransposeAttrs {
  const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
  return {
    stride: perAxis(where, "stride", stride, rank, 1),
    padding: perAxis(where, "padding", padding, rank, 0),
    dilation: perAxis(where, "dilation", dilation, rank, 1),
    groups,
    outputPadding: perAxis(where, "outputPadding", outputPadding, rank, 0),
  };
}

function convTranspose(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions,
  rank: SpatialRank,
): Tensor {
  const attrs = resolveConvTranspose(`convTranspose${rank}d`, options, rank);
  return withBatch(x, rank, (batch) => apply(transposedOps[rank], [batch, weight, bias], attrs));
}

/**
 * x [N, C, L] (or [C, L]), weight [C, O / groups, K], bias [O] -> [N, O, L'].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function convTranspose1d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return convTranspose(x, weight, bias, options, 1);
}

/**
 * x [N, C, H, W] (or [C, H, W]), weight [C, O / groups, KH, KW], bias [O] -> [N, O, H', W'].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return convTranspose(x, weight, bias, options, 2);
}

/**
 * x [N, C, D, H, W] (or [C, D, H, W]), weight [C, O / groups, KD, KH, KW], bias [O] -> [N, O, D', H', W'].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function convTranspose3d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return convTranspose(x, weight, bias, options, 3);
}
