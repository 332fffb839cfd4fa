/**
 * Losses between numbers: mse, l1, smooth l1, Huber, binary cross entropy, Kullback-Leibler.
 *
 * All are made of other operators, so their gradients are too. `reduction` is PyTorch's: the mean over all
 * elements (default), their sum, or none.
 */

import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { logSigmoid } from "./activation-smooth.ts";
import { add, div, inferBroadcast, maximum, mul, sub } from "./arithmetic.ts";
import { equal, less, lessEqual } from "./compare.ts";
import { floatsOf, zipTo, zipWith } from "./loops.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import { mean, sum } from "./reduce.ts";
import { abs, exp, log } from "./unary.ts";
import { where } from "./where.ts";

export type Reduction = "mean" | "sum" | "none";

export interface LossOptions {
  readonly reduction?: Reduction;
}

export interface WeightedLossOptions extends LossOptions {
  /** Factor of every element; broadcasts. */
  readonly weight?: Tensor | null;
}

export function reduceLoss(loss: Tensor, reduction: Reduction = "mean"): Tensor {
  return reduction === "mean" ? mean(loss) : reduction === "sum" ? sum(loss) : loss;
}

/** (input - target)^2. @throws ShapeError */
export function mseLoss(input: Tensor, target: Tensor, { reduction }: LossOptions = {}): Tensor {
  const error = sub(input, target);
  return reduceLoss(mul(error, error), reduction);
}

/** |input - target|. @throws ShapeError */
export function l1Loss(input: Tensor, target: Tensor, { reduction }: LossOptions = {}): Tensor {
  return reduceLoss(abs(sub(input, target)), reduction);
}

/** e^2 / (2 beta) for an error e below beta, else |e| - beta / 2. @throws ShapeError, ArgumentError for a negative beta */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  { beta = 1, reduction }: LossOptions & { beta?: number } = {},
): Tensor {
  if (beta < 0) throw new ArgumentError("smoothL1Loss", { beta }, "beta must not be negative");
  if (beta === 0) return l1Loss(input, target, { reduction });
  const error = abs(sub(input, target));
  const loss = where(less(error, beta), div(mul(mul(error, error), 0.5), beta), sub(error, beta / 2));
  return reduceLoss(loss, reduction);
}

/** e^2 / 2 for an error e up to delta, else delta (|e| - delta / 2). @throws ShapeError, ArgumentError unless delta is positive */
export function huberLoss(
  input: Tensor,
  target: Tensor,
  { delta = 1, reduction }: LossOptions & { delta?: number } = {},
): Tensor {
  if (!(delta > 0)) throw new ArgumentError("huberLoss", { delta }, "delta must be positive");
  const error = abs(sub(input, target));
  const loss = where(lessEqual(error, delta), mul(mul(error, error), 0.5), mul(sub(error, delta / 2), delta));
  return reduceLoss(loss, reduction);
}

/** Logarithms are kept above this, as in PyTorch, so that a certain but wrong answer costs a finite amount. */
const LOWEST_LOG = -100;
const SMALLEST_SLOPE = 1e-12;

// (x - t) / (x (1 - x)) for the probability; the target's is ln(1 - x) - ln(x)
export const binaryCrossEntropyOp = defineOp<readonly [Tensor, Tensor]>({
  name: "binaryCrossEntropy",
  infer([x, target]) {
    requireFloat("binaryCrossEntropy", x, target);
    return [inferBroadcast("binaryCrossEntropy", x, target)];
  },
  forward([x, target], _, [type]) {
    for (const p of floatsOf(x)) {
      if (p < 0 || p > 1)
        throw new ArgumentError("binaryCrossEntropy", { value: p }, "inputs must be probabilities, in 0..1");
    }
    const loss = zipWith(
      (p, t) => (t - 1) * Math.max(Math.log1p(-p), LOWEST_LOG) - t * Math.max(Math.log(p), LOWEST_LOG),
    );
    return [zipTo(type!, x, target, loss)];
  },
  backward: (dy, { inputs: [x, target], needs }) => [
    needs[0] ? mul(dy, div(sub(x, target), maximum(mul(sub(1, x), x), SMALLEST_SLOPE))) : null,
    needs[1] ? mul(dy, sub(maximum(log(sub(1, x)), LOWEST_LOG), maximum(log(x), LOWEST_LOG))) : null,
  ],
});

/**
 * -(t ln x + (1 - t) ln(1 - x)) of probabilities x. The gradient is finite at 0 and 1.
 * @throws ArgumentError for an input outside 0..1, ShapeError
 */
export function binaryCrossEntropy(
  input: Tensor,
  target: Tensor,
  { weight = null, reduction }: WeightedLossOptions = {},
): Tensor {
  const loss = apply(binaryCrossEntropyOp, [input, target], {});
  return reduceLoss(weight ? mul(loss, weight) : loss, reduction);
}

export interface LogitsLossOptions extends WeightedLossOptions {
  /** Factor of the positive class; broadcasts. */
  readonly posWeight?: Tensor | null;
}

/** Binary cross entropy of sigmoid(input), without overflow. @throws ShapeError */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  { weight = null, posWeight = null, reduction }: LogitsLossOptions = {},
): Tensor {
  const positive = logSigmoid(input);
  const weighted = posWeight ? mul(positive, add(mul(sub(posWeight, 1), target), 1)) : positive;
  const loss = sub(mul(sub(1, target), input), weighted);
  return reduceLoss(weight ? mul(loss, weight) : loss, reduction);
}

export interface KlDivOptions {
  /** `batchmean` divides the sum by the size of axis 0, which is the divergence itself. */
  readonly reduction?: Reduction | "batchmean";
  /** Whether the target is given as logarithms too. */
  readonly logTarget?: boolean;
}

/** t (ln t - input) for log-probabilities `input` and probabilities t; 0 where t is 0. @throws ShapeError */
export function klDiv(
  input: Tensor,
  target: Tensor,
  { reduction = "mean", logTarget = false }: KlDivOptions = {},
): Tensor {
  const entropy = logTarget ? mul(exp(target), target) : mul(target, log(where(equal(target, 0), 1, target)));
  const loss = sub(entropy, mul(logTarget ? exp(target) : target, input));
  return reduction === "batchmean" ? div(sum(loss), input.shape[0] ?? 1) : reduceLoss(loss, reduction);
}
