/**
 * Batch normalization layers, with PyTorch's running statistics and state-dict keys.
 */

import { batchNorm } from "../ops/batch-norm.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { RunningStatsNorm } from "./running-stats.ts";
import type { RunningStatsOptions } from "./running-stats.ts";

/** What the three batch normalization layers share. */
export abstract class BatchNorm extends RunningStatsNorm {
  constructor(numFeatures: number, options: RunningStatsOptions = {}) {
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options;
    super(numFeatures, { eps, momentum, affine, trackRunningStats });
  }

  /** @throws ShapeError */
  forward(x: Tensor): Tensor {
    this.checkInput(x);
    const { runningMean, runningVar, weight, bias, eps } = this;
    return batchNorm(x, {
      runningMean,
      runningVar,
      weight,
      bias,
      training: this.training || runningMean === null,
      momentum: this.countBatch(),
      eps,
    });
  }
}

/** Batch normalization of [N, C] or [N, C, L]. */
export class BatchNorm1d extends BatchNorm {
  protected get ranks(): readonly number[] {
    return [2, 3];
  }
}

/** Batch normalization of [N, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  protected get ranks(): readonly number[] {
    return [4];
  }
}

/** Batch normalization of [N, C, D, H, W]. */
export class BatchNorm3d extends BatchNorm {
  protected get ranks(): readonly number[] {
    return [5];
  }
}
