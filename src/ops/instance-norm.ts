/**
 * Instance normalization (Ulyanov, Vedaldi and Lempitsky, 2016): each channel of each sample by itself.
 *
 * Running statistics, where they are kept, are the average over the samples, as in PyTorch.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { noGrad } from "../tensor/context.ts";
import { numel } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { add, mul } from "./arithmetic.ts";
import { batchNorm } from "./batch-norm.ts";
import { normalization } from "./norm.ts";
import type { NormOptions } from "./norm.ts";
import { apply } from "./op.ts";
import { mean } from "./reduce.ts";
import { variance } from "./reduce-moments.ts";

export const instanceNormOp = normalization<{ readonly eps: number }>(
  "instanceNorm",
  (x) => {
    const channelInner = numel(x.slice(2));
    if (x.length < 3 || channelInner < 2) {
      throw new ShapeError("instanceNorm", { x }, "x must be [N, C, ...] with more than one element a channel");
    }
    return { groups: null, inner: channelInner, channels: x[1]!, channelInner };
  },
  (x) => [x[1]!],
);

export interface InstanceNormOptions extends NormOptions {
  readonly runningMean?: Tensor | null;
  readonly runningVar?: Tensor | null;
  /** False: normalize by the running statistics. */
  readonly useInputStats?: boolean;
  /** Share of the new batch in the running statistics, which are changed in place. */
  readonly momentum?: number;
}

/** Averages the samples' means and unbiased variances into the running statistics. */
function track(x: Tensor, running: readonly [Tensor, Tensor], momentum: number): void {
  const spatial = x.shape.slice(2).map((_, i) => i + 2);
  const blend = (target: Tensor, statistics: Tensor): void => {
    target.assign(add(mul(mean(statistics, 0), momentum), mul(target, 1 - momentum)));
  };
  noGrad(() => {
    blend(running[0], mean(x, spatial));
    blend(running[1], variance(x, spatial));
  });
}

/**
 * Normalizes each channel of each sample of x [N, C, ...] over its spatial axes; weight, bias and running
 * statistics are [C].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function instanceNorm(x: Tensor, options: InstanceNormOptions = {}): Tensor {
  const {
    weight = null,
    bias = null,
    eps = 1e-5,
    runningMean = null,
    runningVar = null,
    useInputStats = true,
  } = options;
  if (!useInputStats) {
    if (!runningMean || !runningVar)
      throw new ArgumentError("instanceNorm", { useInputStats }, "running statistics are needed");
    return batchNorm(x, { runningMean, runningVar, weight, bias, eps });
  }
  const y = apply(instanceNormOp, [x, weight, bias], { eps });
  if (runningMean && runningVar) track(x, [runningMean, runningVar], options.momentum ?? 0.1);
  return y;
}
