/**
 * Loss modules: the functions of ops/loss.ts and ops/loss-classes.ts with their options kept.
 */

import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from "../ops/loss.ts";
import type { KlDivOptions, LogitsLossOptions, LossOptions, Reduction, WeightedLossOptions } from "../ops/loss.ts";
import { crossEntropy, nllLoss } from "../ops/loss-classes.ts";
import type { ClassLossOptions, CrossEntropyOptions } from "../ops/loss-classes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

/** forward(input, target) -> loss. */
export abstract class Loss extends Module<[input: Tensor, target: Tensor]> {}

/** Softmax and negative log-likelihood of class indices (or class probabilities). */
export class CrossEntropyLoss extends Loss {
  weight: Tensor | null;
  readonly options: Omit<CrossEntropyOptions, "weight">;

  constructor({ weight = null, ...options }: CrossEntropyOptions = {}) {
    super();
    this.weight = weight;
    this.options = options;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return crossEntropy(input, target, { ...this.options, weight: this.weight });
  }
}

/** Negative log-likelihood of class indices under log-probabilities. */
export class NLLLoss extends Loss {
  weight: Tensor | null;
  readonly options: Omit<ClassLossOptions, "weight">;

  constructor({ weight = null, ...options }: ClassLossOptions = {}) {
    super();
    this.weight = weight;
    this.options = options;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return nllLoss(input, target, { ...this.options, weight: this.weight });
  }
}

/** Binary cross entropy of probabilities. */
export class BCELoss extends Loss {
  weight: Tensor | null;
  readonly reduction: Reduction;

  constructor({ weight = null, reduction = "mean" }: WeightedLossOptions = {}) {
    super();
    this.weight = weight;
    this.reduction = reduction;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropy(input, target, { weight: this.weight, reduction: this.reduction });
  }
}

/** Binary cross entropy of logits. */
export class BCEWithLogitsLoss extends Loss {
  static override readonly stateNames: Readonly<Record<string, string>> = { posWeight: "pos_weight" };

  weight: Tensor | null;
  posWeight: Tensor | null;
  readonly reduction: Reduction;

  constructor({ weight = null, posWeight = null, reduction = "mean" }: LogitsLossOptions = {}) {
    super();
    this.weight = weight;
    this.posWeight = posWeight;
    this.reduction = reduction;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, posWeight, reduction } = this;
    return binaryCrossEntropyWithLogits(input, target, { weight, posWeight, reduction });
  }
}

/** (input - target)^2. */
export class MSELoss extends Loss {
  readonly options: LossOptions;

  constructor(options: LossOptions = {}) {
    super();
    this.options = options;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, this.options);
  }
}

/** |input - target|. */
export class L1Loss extends Loss {
  readonly options: LossOptions;

  constructor(options: LossOptions = {}) {
    super();
    this.options = options;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return l1Loss(input, target, this.options);
  }
}

/** Quadratic below `beta`, linear above. */
export class SmoothL1Loss extends Loss {
  readonly options: LossOptions & { readonly beta?: number };

  constructor(options: LossOptions & { readonly beta?: number } = {}) {
    super();
    this.options = options;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return smoothL1Loss(input, target, this.options);
  }
}

/** Quadratic below `delta`, linear with slope delta above. */
export class HuberLoss extends Loss {
  readonly options: LossOptions & { readonly delta?: number };

  constructor(options: LossOptions & { readonly delta?: number } = {}) {
    super();
    this.options = options;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return huberLoss(input, target, this.options);
  }
}

/** Kullback-Leibler divergence of a target from log-probabilities. */
export class KLDivLoss extends Loss {
  readonly options: KlDivOptions;

  constructor(options: KlDivOptions = {}) {
    super();
    this.options = options;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return klDiv(input, target, this.options);
  }
}
