/**
 * Batch normalization (Ioffe and Szegedy, 2015) over [N, C, ...], with PyTorch's running statistics.
 *
 * The operator is pure. In training it returns the new running statistics beside y, and the caller assigns
 * them to its buffers: `Tensor.assign` of a tensor is something a capture can record, a hidden write is not.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { allocate } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { fromDoubles } from "./loops.ts";
import { requireSameFloat } from "./matmul.ts";
import { checkAffine } from "./norm.ts";
import { fixedStats, normGrad } from "./norm-gradient.ts";
import { groupStats, normalizeInto, viewOf } from "./norm-loops.ts";
import type { NormLayout, NormStats } from "./norm-loops.ts";
import { defineOp, dispatch } from "./op.ts";

type BatchNormInputs = readonly [
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
];

/** `training`: normalize by the batch's own statistics, and average them into the running ones. */
export type BatchNormAttrs = { readonly training: boolean; readonly momentum: number; readonly eps: number };

function layoutOf(x: Shape): NormLayout {
  const inner = numel(x.slice(2));
  return { groups: x[1]!, inner, channels: x[1]!, channelInner: inner };
}

function checkInputs(
  [x, weight, bias, mean, variance]: readonly [TensorType, ...(TensorType | null)[]],
  { training }: BatchNormAttrs,
): void {
  if (x.shape.length < 2) throw new ShapeError("batchNorm", { x: x.shape }, "x must be [N, C] or [N, C, ...]");
  checkAffine("batchNorm", x.shape, [x.shape[1]!], weight ?? null, bias ?? null, mean ?? null, variance ?? null);
  if (!mean !== !variance)
    throw new ArgumentError("batchNorm", {}, "runningMean and runningVar must be given together");
  if (!training && !mean)
    throw new ArgumentError("batchNorm", { training }, "running statistics are needed outside training");
  if (training && numel(x.shape) / x.shape[1]! <= 1) {
    throw new ShapeError("batchNorm", { x: x.shape }, "more than one value a channel is needed in training");
  }
}

/** momentum * statistic + (1 - momentum) * running, the variance unbiased; in double, rounded once, as PyTorch's CPU kernel. */
export function newRunning(
  running: readonly [Tensor, Tensor],
  stats: NormStats,
  count: number,
  momentum: number,
): Tensor[] {
  const blend = (before: Tensor, now: Float64Array): Tensor =>
    fromDoubles(
      before,
      now.map((v, i) => momentum * v + (1 - momentum) * before.data[i]!),
    );
  // PyTorch keeps the mean and the sum of squared distances in the parameters' dtype before blending.
  const stored = (values: Float64Array): Float64Array => Float64Array.from(fromDoubles(running[0], values).data);
  const unbiased = stored(stats.variance.map((v) => v * count)).map((v) => v / (count - 1));
  return [blend(running[0], stored(stats.mean)), blend(running[1], unbiased)];
}

export const batchNormOp = defineOp<BatchNormInputs, BatchNormAttrs>({
  name: "batchNorm",
  infer(inputs, attrs) {
    const [x, weight, bias, mean, variance] = inputs;
    requireSameFloat("batchNorm", x, weight, bias, mean, variance);
    checkInputs(inputs, attrs);
    const y = { dtype: x.dtype, shape: x.shape };
    const statistics = { dtype: x.dtype, shape: [x.shape[1]!] };
    return attrs.training && mean ? [y, statistics, statistics] : [y];
  },
  forward([x, weight, bias, mean, variance], { training, momentum, eps }) {
    const view = viewOf(layoutOf(x.shape), x.numel);
    const stats = training ? groupStats(x.data, view) : fixedStats(mean!.data, variance!.data);
    const y = allocate(x.dtype, x.numel);
    normalizeInto(y, x.data, weight?.data ?? null, bias?.data ?? null, stats, view, eps);
    const result = new Tensor(x.dtype, x.shape, y);
    if (!training || !mean || !variance) return [result];
    return [result, ...newRunning([mean, variance], stats, view.outer * view.inner, momentum)];
  },
  backward(_, { inputs: [x, weight, bias, mean, variance], attrs: { training, eps }, grads }) {
    const dy = grads[0];
    if (!dy) return [null, null, null, null, null];
    const fixed = training ? ([null, null] as const) : ([mean, variance] as const);
    const [dx, dweight, dbias] = normGrad([dy, x, weight, ...fixed], { layout: layoutOf(x.shape), eps });
    return [dx, weight && dweight, bias && dbias, null, null];
  },
});

export interface BatchNormOptions {
  readonly runningMean?: Tensor | null;
  readonly runningVar?: Tensor | null;
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  readonly training?: boolean;
  /** Share of the new batch in the running statistics. */
  readonly momentum?: number;
  readonly eps?: number;
}

/**
 * Normalizes each channel of x [N, C, ...]; weight, bias and statistics are [C]. In training by the batch's
 * mean and biased variance, and `runningMean` / `runningVar` are updated in place (the variance unbiased);
 * otherwise by the running statistics.
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const { runningMean = null, runningVar = null, weight = null, bias = null } = options;
  const { training = false, momentum = 0.1, eps = 1e-5 } = options;
  const outputs = dispatch(batchNormOp, [x, weight, bias, runningMean, runningVar], { training, momentum, eps });
  const [y, newMean, newVar] = outputs;
  if (newMean && newVar) {
    runningMean!.assign(newMean);
    runningVar!.assign(newVar);
  }
  return y!;
}
