/**
 * What batch and instance normalization layers share: affine parameters, running statistics and their
 * state-dict keys.
 */

import { ShapeError } from "../errors.ts";
import { add } from "../ops/arithmetic.ts";
import { ones, scalar, zeros } from "../tensor/create.ts";
import { Parameter } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

export interface RunningStatsOptions {
  readonly eps?: number;
  /** Share of a new batch in the running statistics; null averages all batches equally. */
  readonly momentum?: number | null;
  readonly affine?: boolean;
  readonly trackRunningStats?: boolean;
}

export abstract class RunningStatsNorm extends Module {
  static override readonly optionalState = ["numBatchesTracked"];
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

  constructor(numFeatures: number, options: Required<RunningStatsOptions>) {
    super();
    const { eps, momentum, affine, trackRunningStats } = options;
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
  protected abstract get ranks(): readonly number[];

  /** @throws ShapeError unless x has a legal number of axes and numFeatures channels at `axis`. */
  protected checkInput(x: Tensor, axis = 1): void {
    if (this.ranks.includes(x.rank) && x.shape[axis] === this.numFeatures) return;
    throw new ShapeError(
      this.constructor.name,
      { x: x.shape, numFeatures: this.numFeatures },
      `x must have ${this.ranks.join(" or ")} axes and numFeatures channels`,
    );
  }

  resetRunningStats(): void {
    this.runningMean?.data.fill(0);
    this.runningVar?.data.fill(1);
    this.numBatchesTracked?.data.fill(0);
  }

  /** Counts a training batch; its share of the running statistics. */
  protected countBatch(): number {
    const count = this.numBatchesTracked;
    if (!this.training || !count) return this.momentum ?? 0;
    count.assign(add(count, 1));
    return this.momentum ?? 1 / count.item();
  }
}
