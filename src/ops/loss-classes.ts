/**
 * Losses of classifiers: negative log-likelihood and cross entropy.
 *
 * Inputs are [N, C], [N, C, d1, ...] or [C]; targets name a class each ([N], [N, d1, ...] or 0-d), or, for cross
 * entropy, give probabilities in the input's shape. Source: ATen/native/LossNLL.cpp.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { dtypeInfo, isFloat } from "../tensor/dtype.ts";
import { sameShape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { logSoftmax } from "./activation-softmax.ts";
import { add, div, mul } from "./arithmetic.ts";
import { equal } from "./compare.ts";
import { gather, take } from "./gather.ts";
import { logicalNot } from "./logical.ts";
import { reduceLoss } from "./loss.ts";
import type { Reduction } from "./loss.ts";
import { sum } from "./reduce.ts";
import { reshape, unsqueeze } from "./shape.ts";
import { cast, neg } from "./unary.ts";
import { maskedFill } from "./where.ts";

export interface ClassLossOptions {
  /** Factor of every class, [C]; the mean divides by the sum of the factors used. */
  readonly weight?: Tensor | null;
  /** Targets of this class count nothing. */
  readonly ignoreIndex?: number;
  readonly reduction?: Reduction;
}

export interface CrossEntropyOptions extends ClassLossOptions {
  /** Share of the target that is spread evenly over all classes. */
  readonly labelSmoothing?: number;
}

const IGNORED = -100;

/** The axis of classes. @throws ShapeError when input and target do not fit. */
function classAxis(where: string, input: Tensor, target: Tensor): number {
  const axis = input.rank === 1 ? 0 : 1;
  const expected = input.shape.filter((_, i) => i !== axis);
  if (input.rank === 0 || dtypeInfo[target.dtype].kind !== "int" || !sameShape(target.shape, expected)) {
    throw new ShapeError(
      where,
      { input: input.shape, target: target.shape, targetDType: target.dtype },
      "targets must be integer classes in the input's shape without its class axis",
    );
  }
  return axis;
}

interface Targets {
  readonly ignored: Tensor;
  /** 0 where ignored. */
  readonly classes: Tensor;
  /** Weight of the class; 0 where ignored. */
  readonly weights: Tensor;
}

function targetsOf(input: Tensor, target: Tensor, weight: Tensor | null, ignoreIndex: number): Targets {
  const ignored = equal(target, ignoreIndex);
  const classes = maskedFill(target, ignored, 0);
  const weights = weight ? maskedFill(take(weight, classes), ignored, 0) : cast(logicalNot(ignored), input.dtype);
  return { ignored, classes, weights };
}

function weightedMean(loss: Tensor, weights: Tensor, reduction: Reduction): Tensor {
  return reduction === "mean" ? div(sum(loss), sum(weights)) : reduceLoss(loss, reduction);
}

/**
 * -weight[target] · input[target], for log-probabilities `input`.
 * @throws ShapeError when the shapes do not fit, ArgumentError for a class that does not exist.
 */
export function nllLoss(
  input: Tensor,
  target: Tensor,
  { weight = null, ignoreIndex = IGNORED, reduction = "mean" }: ClassLossOptions = {},
): Tensor {
  const axis = classAxis("nllLoss", input, target);
  const { ignored, classes, weights } = targetsOf(input, target, weight, ignoreIndex);
  const chosen = reshape(gather(input, axis, unsqueeze(classes, axis)), target.shape);
  return weightedMean(neg(maskedFill(mul(chosen, weights), ignored, 0)), weights, reduction);
}

/** Class weights in a shape that broadcasts against the input. */
function alongClasses(weight: Tensor, input: Tensor, axis: number): Tensor {
  return reshape(
    weight,
    input.shape.map((size, i) => (i === axis ? size : 1)),
  );
}

/** Cross entropy with the even distribution: the part of the loss that label smoothing adds. */
function evenLoss(logits: Tensor, target: Tensor, axis: number, options: Required<ClassLossOptions>): Tensor {
  const { weight, ignoreIndex, reduction } = options;
  const weighted = weight ? mul(logits, alongClasses(weight, logits, axis)) : logits;
  const loss = maskedFill(neg(sum(weighted, axis)), equal(target, ignoreIndex), 0);
  return weightedMean(loss, targetsOf(logits, target, weight, ignoreIndex).weights, reduction);
}

function probabilityLoss(
  logits: Tensor,
  target: Tensor,
  { weight, labelSmoothing, reduction }: Required<CrossEntropyOptions>,
): Tensor {
  const axis = logits.rank === 1 ? 0 : 1;
  const classes = logits.size(axis);
  const smooth = labelSmoothing > 0 ? add(mul(target, 1 - labelSmoothing), labelSmoothing / classes) : target;
  const terms = mul(logits, smooth);
  const loss = neg(sum(weight ? mul(terms, alongClasses(weight, logits, axis)) : terms, axis));
  return reduction === "mean" ? div(sum(loss), logits.numel / classes) : reduceLoss(loss, reduction);
}

/**
 * Cross entropy of softmax(input) with the target: integer classes, or probabilities in the input's shape.
 * @throws ShapeError when the shapes do not fit, ArgumentError for a class that does not exist or smoothing outside 0..1.
 */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { weight = null, ignoreIndex = IGNORED, reduction = "mean", labelSmoothing = 0 } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new ArgumentError("crossEntropy", { labelSmoothing }, "labelSmoothing must lie in 0..1");
  }
  const complete = { weight, ignoreIndex, reduction, labelSmoothing };
  if (isFloat(target.dtype)) {
    if (!sameShape(input.shape, target.shape)) {
      throw new ShapeError(
        "crossEntropy",
        { input: input.shape, target: target.shape },
        "probabilities must have the input's shape",
      );
    }
    return probabilityLoss(logSoftmax(input, input.rank === 1 ? 0 : 1), target, complete);
  }
  const axis = classAxis("crossEntropy", input, target);
  const logits = logSoftmax(input, axis);
  const loss = nllLoss(logits, target, complete);
  if (labelSmoothing === 0) return loss;
  const even = evenLoss(logits, target, axis, complete);
  return add(mul(loss, 1 - labelSmoothing), mul(even, labelSmoothing / input.size(axis)));
}
