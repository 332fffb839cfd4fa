/**
 * Dropout layers: active while training, identities otherwise.
 */

import { ArgumentError } from "../errors.ts";
import { alphaDropout, dropout, dropout1d, dropout2d, dropout3d } from "../ops/dropout.ts";
import type { DropoutOptions } from "../ops/dropout.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

/** What the dropout layers share: the probability `p` of dropping. */
export abstract class DropoutNd extends Module {
  readonly p: number;

  /** @throws ArgumentError for a probability outside 0..1 */
  constructor(p = 0.5) {
    super();
    if (!(p >= 0 && p <= 1)) throw new ArgumentError(this.constructor.name, { p }, "the probability must be in 0..1");
    this.p = p;
  }

  protected abstract get drop(): (x: Tensor, options: DropoutOptions) => Tensor;

  forward(x: Tensor): Tensor {
    return this.drop(x, { p: this.p, training: this.training });
  }
}

/** Zeroes single elements. */
export class Dropout extends DropoutNd {
  protected get drop(): typeof dropout {
    return dropout;
  }
}

/** Zeroes whole channels of [N, C, L]. */
export class Dropout1d extends DropoutNd {
  protected get drop(): typeof dropout1d {
    return dropout1d;
  }
}

/** Zeroes whole channels of [N, C, H, W]. */
export class Dropout2d extends DropoutNd {
  protected get drop(): typeof dropout2d {
    return dropout2d;
  }
}

/** Zeroes whole channels of [N, C, D, H, W]. */
export class Dropout3d extends DropoutNd {
  protected get drop(): typeof dropout3d {
    return dropout3d;
  }
}

/** Dropout that keeps mean and variance behind SELU. */
export class AlphaDropout extends DropoutNd {
  protected get drop(): typeof alphaDropout {
    return alphaDropout;
  }
}
