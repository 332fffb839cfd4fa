/**
 * Folding batch normalization with fixed statistics into the layer before it.
 *
 * With r = 1 / sqrt(var + eps): W' = W (gamma r) over the output channels, b' = (b - mean) r gamma + beta. The order of
 * the float32 steps is PyTorch's (torch/nn/utils/fusion.py), so that folded weights quantize to the same integers.
 */

import { QuantError } from "../errors.ts";
import { add, div, mul, sub } from "../ops/arithmetic.ts";
import { reshape } from "../ops/shape.ts";
import { sqrt } from "../ops/unary.ts";
import { noGrad } from "../tensor/context.ts";
import { ones, zeros } from "../tensor/create.ts";
import { Parameter } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { BatchNorm } from "./batch-norm.ts";
import { ConvTransposeNd } from "./conv-transpose.ts";
import type { ConvNd } from "./conv.ts";
import type { Linear } from "./linear.ts";

/** What of a batch normalization is folded. */
export interface FixedBatchNorm {
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly eps: number;
}

export interface WeightBias {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

interface Parts {
  readonly mean: Tensor;
  readonly inverseStd: Tensor;
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

function partsOf({ runningMean, runningVar, weight, bias, eps }: FixedBatchNorm): Parts {
  if (!runningMean || !runningVar) {
    throw new QuantError(
      "fold",
      { runningMean: null },
      "batch normalization without running statistics cannot be folded",
    );
  }
  return {
    mean: runningMean,
    inverseStd: div(1, sqrt(add(runningVar, eps))),
    gamma: weight ?? ones(runningMean.shape),
    beta: bias ?? zeros(runningMean.shape),
  };
}

/** Where the output channels lie in a weight: one axis, or groups and then channels of a transposed convolution. */
function factorShape(weight: Tensor, transposedGroups: number | null): { view: number[]; factor: number[] } {
  const [first, second, ...kernel] = weight.shape as [number, number, ...number[]];
  const rest = kernel.map(() => 1);
  if (transposedGroups === null)
    return { view: [...weight.shape], factor: [-1, ...weight.shape.slice(1).map(() => 1)] };
  return {
    view: [transposedGroups, first / transposedGroups, second, ...kernel],
    factor: [transposedGroups, 1, second, ...rest],
  };
}

/**
 * Weight and bias of a convolution with batch normalization folded in. `transposedGroups` is the number of groups of a
 * transposed convolution, whose weight is [in, out / groups, ...]; null for an ordinary one.
 * @throws QuantError without running statistics.
 */
export function fuseConvBnWeights(
  weight: Tensor,
  bias: Tensor | null,
  bn: FixedBatchNorm,
  transposedGroups: number | null = null,
): WeightBias {
  const { mean, inverseStd, gamma, beta } = partsOf(bn);
  const { view, factor } = factorShape(weight, transposedGroups);
  const scaled = mul(reshape(weight, view), reshape(mul(gamma, inverseStd), factor));
  return {
    weight: reshape(scaled, weight.shape),
    bias: add(mul(mul(sub(bias ?? zeros(mean.shape), mean), inverseStd), gamma), beta),
  };
}

/** The same for a linear layer. @throws QuantError without running statistics. */
export function fuseLinearBnWeights(weight: Tensor, bias: Tensor | null, bn: FixedBatchNorm): WeightBias {
  const { mean, inverseStd, gamma, beta } = partsOf(bn);
  const scale = mul(gamma, inverseStd);
  return {
    weight: mul(weight, reshape(scale, [-1, 1])),
    bias: add(mul(sub(bias ?? zeros(mean.shape), mean), scale), beta),
  };
}

function requireEval(where: string, ...modules: readonly { readonly training: boolean }[]): void {
  if (modules.some((module) => module.training)) {
    throw new QuantError(
      where,
      { training: true },
      "batch normalization is folded in eval mode only",
      "Call model.eval() first",
    );
  }
}

function withParameters<M extends { weight: Parameter; bias: Parameter | null }>(
  layer: M,
  { weight, bias }: WeightBias,
): M {
  layer.weight = new Parameter(weight.detach(), layer.weight.requiresGrad);
  layer.bias = new Parameter(bias.detach(), layer.bias?.requiresGrad ?? true);
  return layer;
}

/** A copy of an (also transposed) convolution with batch normalization folded in. @throws QuantError in training mode. */
export function fuseConvBnEval<C extends ConvNd | ConvTransposeNd>(conv: C, bn: BatchNorm): C {
  requireEval("fuseConvBn", conv, bn);
  const groups = conv instanceof ConvTransposeNd ? conv.groups : null;
  const folded = noGrad(() => fuseConvBnWeights(conv.weight, conv.bias, bn, groups));
  return withParameters(conv.clone() as C, folded);
}

/** A copy of a linear layer with batch normalization folded in. @throws QuantError in training mode. */
export function fuseLinearBnEval(linear: Linear, bn: BatchNorm): Linear {
  requireEval("fuseLinearBn", linear, bn);
  const folded = noGrad(() => fuseLinearBnWeights(linear.weight, linear.bias, bn));
  return withParameters(linear.clone(), folded);
}
