/**
 * Instance normalization (Ulyanov, Vedaldi and Lempitsky, 2016): each channel of each sample by itself.
 *
 * With running statistics it is batch normalization of one sample with N * C channels, as PyTorch does it; the
 * new running statistics are the average over the samples.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { batchNorm, batchNormOp } from "./batch-norm.ts";
import { normalization } from "./norm.ts";
import type { NormOptions } from "./norm.ts";
import { apply, dispatch } from "./op.ts";
import { mean } from "./reduce.ts";
import { expand, reshape } from "./shape.ts";

export const instanceNormOp = normalization<{ readonly eps: number }>(
  "instanceNorm",
  (x) => {
    const channelInner = numel(x.slice(2));
    if (x.length < 3 || channelInner < 2) {
      throw new ShapeError("instanceNorm", { x }, "x must be [N, C, ...] with more than one element a channel");
    }
    return { outer: 1, groups: x[0]! * x[1]!, inner: channelInner, channels: x[1]!, channelInner };
  },
  (x) => [x[1]!],
);

export interface InstanceNormOptions extends NormOptions {
  readonly runningMean?: Tensor | null;
  readonly runningVar?: Tensor | null;
  /** False: normalize by the running statistics. */
  readonly useInputStats?: boolean;
  readonly momentum?: number;
}

/** Normalizes by x's own statistics and averages them into the running ones, which are changed in place. */
function normalizeAndTrack(x: Tensor, running: readonly [Tensor, Tensor], options: InstanceNormOptions): Tensor {
  const { weight = null, bias = null, eps = 1e-5, momentum = 0.1 } = options;
  const [batch, channels] = [x.shape[0]!, x.shape[1]!];
  const repeat = (t: Tensor | null): Tensor | null => t && reshape(expand(t, [batch, channels]), [batch * channels]);
  const one = reshape(x, [1, batch * channels, ...x.shape.slice(2)]);
  const [y, newMean, newVar] = dispatch(
    batchNormOp,
    [one, repeat(weight), repeat(bias), repeat(running[0]), repeat(running[1])],
    { training: true, momentum, eps },
  );
  running[0].assign(mean(reshape(newMean!, [batch, channels]), 0));
  running[1].assign(mean(reshape(newVar!, [batch, channels]), 0));
  return reshape(y!, x.shape);
}

/**
 * Normalizes each channel of each sample of x [N, C, ...] over its spatial axes; weight, bias and running
 * statistics are [C].
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function instanceNorm(x: Tensor, options: InstanceNormOptions = {}): Tensor {
  const { weight = null, bias = null, eps = 1e-5, runningMean = null, runningVar = null, useInputStats = true } = options;
  if (!useInputStats) {
    if (!runningMean || !runningVar) throw new ArgumentError("instanceNorm", { useInputStats }, "running statistics are needed");
    return batchNorm(x, { runningMean, runningVar, weight, bias, eps });
  }
  if (runningMean && runningVar) return normalizeAndTrack(x, [runningMean, runningVar], options);
  return apply(instanceNormOp, [x, weight, bias], { eps });
}
