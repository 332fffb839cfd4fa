/**
 * Losses over classes.
 */

import { logSoftmax } from "../../ops/activation-softmax.ts";
import { div, mul, sub } from "../../ops/arithmetic.ts";
import { equal } from "../../ops/compare.ts";
import { gather, take } from "../../ops/gather.ts";
import { mean, sum } from "../../ops/reduce.ts";
import { unsqueeze, squeeze } from "../../ops/shape.ts";
import { cast, neg } from "../../ops/unary.ts";
import { where } from "../../ops/where.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";

/** -w[t] x[t] of log probabilities x [N, C, ...] and targets t [N, ...]; ignored targets weigh nothing. */
function negativeLogLikelihood(call: Call, x: Tensor, target: Tensor, weight: Tensor | null): Tensor {
  const ignored = call.has("ignore_index") ? equal(target, call.int("ignore_index")) : null;
  const index = ignored ? where(ignored, sub(target, target), target) : target;
  const picked = neg(squeeze(gather(x, 1, unsqueeze(index, 1)), 1));
  const ones = cast(equal(index, index), x.dtype);
  const weights = weight ? take(weight, index) : ones;
  const counted = ignored ? where(ignored, mul(ones, 0), weights) : weights;
  const losses = mul(picked, counted);
  const reduction = call.string("reduction", "mean");
  if (reduction === "none") return losses;
  if (reduction === "sum") return sum(losses);
  return weight || ignored ? div(sum(losses), sum(counted)) : mean(losses);
}

function softmaxCrossEntropy(call: Call): readonly Tensor[] {
  const logProbabilities = logSoftmax(call.input(0), 1);
  return [negativeLogLikelihood(call, logProbabilities, call.input(1), call.optional(2)), logProbabilities];
}

export const lossRules: OnnxRules = {
  NegativeLogLikelihoodLoss: rule((call) =>
    negativeLogLikelihood(call, call.input(0), call.input(1), call.optional(2)),
  ),
  SoftmaxCrossEntropyLoss: rule(softmaxCrossEntropy),
};
