/**
 * Batch normalization layers, with PyTorch's running statistics and state-dict keys.
 */

import { ShapeError } from "../errors.ts";
import { add } from "../ops/arithmetic.ts";
import { batchNorm } from "../ops/batch-norm.ts";
import { ones, scalar, zeros } from "../tensor/create.ts";
import { Parameter } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

export interface BatchNormLayerOptions {
  readonly eps?: number;
  /** Share of a new batch in the running statistics; null averages all batches equally. */
  readonly momentum?: number | null;
  readonly affine?: boolean;
  readonly trackRunningStats?: boolean;
}

/** What the three batch normalization layers share. */
export abstract class BatchNorm extends Module {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    runningMean: "running_mean",
    runningVar: "running_var",
    numBatchesTracked: "num_batches_tracked",
  };

  readonly numFeatures: number;
  readonly eps: number;
  readonly momentum: number | null;
  readonly affine: boolean;
  readonly trackRunningStats: boolean;
  weight: Parameter | null;
  bias: Parameter | null;
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  /** int64 count of training batches seen. */
  numBatchesTracked: Tensor | null;

  constructor(numFeatures: number, options: BatchNormLayerOptions) {
    super();
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options;
    this.numFeatures = numFeatures;
    this.eps = eps;
    this.momentum = momentum;
    this.affine = affine;
    this.trackRunningStats = trackRunningStats;
    this.weight = affine ? new Parameter(ones([numFeatures])) : null;
    this.bias = affine ? new Parameter(zeros([numFeatures])) : null;
    this.runningMean = trackRunningStats ? zeros([numFeatures]) : null;
    this.runningVar = trackRunningStats ? ones([numFeatures]) : null;
    this.numBatchesTracked = trackRunningStats ? scalar(0, "int64") : null;
  }

  /** Numbers of axes the layer takes. */
  protected abstract readonly ranks: readonly number[];

  forward(x: Tensor): Tensor {
    if (!this.ranks.includes(x.rank) || x.shape[1] !== this.numFeatures) {
      throw new ShapeError(
        this.constructor.name,
        { x: x.shape, numFeatures: this.numFeatures },
        `x must have ${this.ranks.join(" or ")} axes, the second of size numFeatures`,
      );
    }
    const { runningMean, runningVar, weight, bias, eps } = this;
    const ownStatistics = this.training || runningMean === null;
    return batchNorm(x, {
      ...(this.training && !this.trackRunningStats ? {} : { runningMean, runningVar }),
      weight,
      bias,
      training: ownStatistics,
      momentum: this.countBatch(),
      eps,
    });
  }

  resetRunningStats(): void {
    this.runningMean?.data.fill(0);
    this.runningVar?.data.fill(1);
    this.numBatchesTracked?.data.fill(0);
  }

  /** Counts a training batch; its share of the running statistics. */
  private countBatch(): number {
    const count = this.numBatchesTracked;
    if (!this.training || !count) return this.momentum ?? 0;
    count.assign(add(count, 1));
    return this.momentum ?? 1 / count.item();
  }
}

/** Batch normalization of [N, C] or [N, C, L]. */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super(numFeatures, options);
  }

  protected get ranks(): readonly number[] {
    return [2, 3];
  }
}

/** Batch normalization of [N, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super(numFeatures, options);
  }

  protected get ranks(): readonly number[] {
    return [4];
  }
}

/** Batch normalization of [N, C, D, H, W]. */
export class BatchNorm3d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super(numFeatures, options);
  }

  protected get ranks(): readonly number[] {
    return [5];
  }
}
