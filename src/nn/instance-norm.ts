/**
 * Instance normalization layers. By default without weight, bias and running statistics, as in PyTorch.
 */

import { withBatch } from "../ops/conv.ts";
import { instanceNorm } from "../ops/instance-norm.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { RunningStatsNorm } from "./running-stats.ts";
import type { RunningStatsOptions } from "./running-stats.ts";

/** What the three instance normalization layers share. */
export abstract class InstanceNorm extends RunningStatsNorm {
  constructor(numFeatures: number, options: RunningStatsOptions = {}) {
    const { eps = 1e-5, momentum = 0.1, affine = false, trackRunningStats = false } = options;
    super(numFeatures, { eps, momentum, affine, trackRunningStats });
  }

  /** @throws ShapeError */
  forward(x: Tensor): Tensor {
    const rank = this.ranks[0]! - 1;
    this.checkInput(x, x.rank - rank - 1);
    const { runningMean, runningVar, weight, bias, eps } = this;
    const useInputStats = this.training || runningMean === null;
    const options = { runningMean, runningVar, weight, bias, eps, useInputStats, momentum: this.momentum ?? 0 };
    return withBatch(x, rank, (batch) => instanceNorm(batch, options));
  }
}

/** Instance normalization of [C, L] or [N, C, L]. */
export class InstanceNorm1d extends InstanceNorm {
  protected get ranks(): readonly number[] {
    return [2, 3];
  }
}

/** Instance normalization of [C, H, W] or [N, C, H, W]. */
export class InstanceNorm2d extends InstanceNorm {
  protected get ranks(): readonly number[] {
    return [3, 4];
  }
}

/** Instance normalization of [C, D, H, W] or [N, C, D, H, W]. */
export class InstanceNorm3d extends InstanceNorm {
  protected get ranks(): readonly number[] {
    return [4, 5];
  }
}
