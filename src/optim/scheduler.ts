/**
 * Learning-rate schedules (torch/optim/lr_scheduler.py), in closed form: the rate is a function of the step.
 *
 * `step()` is called once after each epoch (or batch); the optimizer's groups then hold the new rate.
 */

import { ArgumentError } from "../errors.ts";
import type { GroupOptions, Optimizer } from "./optimizer.ts";

type AnyOptimizer = Optimizer<GroupOptions> | { readonly paramGroups: readonly GroupOptions[] };

/** The rate of a group whose initial rate is `base`, after `step` steps. */
export type Schedule = (base: number, step: number) => number;

export class LRScheduler {
  readonly optimizer: AnyOptimizer;
  lastEpoch = 0;
  private readonly baseRates: readonly number[];
  private readonly schedule: Schedule;

  constructor(optimizer: AnyOptimizer, schedule: Schedule) {
    this.optimizer = optimizer;
    this.schedule = schedule;
    this.baseRates = optimizer.paramGroups.map((group) => group.lr);
    this.update();
  }

  /** Moves on one step and sets the groups' rates. */
  step(): void {
    this.lastEpoch++;
    this.update();
  }

  /** Current rates, one a group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }

  private update(): void {
    this.optimizer.paramGroups.forEach((group, i) => {
      group.lr = this.schedule(this.baseRates[i]!, this.lastEpoch);
    });
  }
}

/** base * fn(step). */
export class LambdaLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, fn: (step: number) => number) {
    super(optimizer, (base, step) => base * fn(step));
  }
}

/** base * gamma^floor(step / stepSize). */
export class StepLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, stepSize: number, gamma = 0.1) {
    if (!(stepSize > 0)) throw new ArgumentError("StepLR", { stepSize }, "stepSize must be positive");
    super(optimizer, (base, step) => base * gamma ** Math.floor(step / stepSize));
  }
}

/** base * gamma^(number of milestones reached). */
export class MultiStepLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, milestones: readonly number[], gamma = 0.1) {
    super(optimizer, (base, step) => base * gamma ** milestones.filter((milestone) => milestone <= step).length);
  }
}

/** base * gamma^step. */
export class ExponentialLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, gamma: number) {
    super(optimizer, (base, step) => base * gamma ** step);
  }
}

/** base * factor until `totalIters`, then base. */
export class ConstantLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, factor = 1 / 3, totalIters = 5) {
    super(optimizer, (base, step) => (step < totalIters ? base * factor : base));
  }
}

/** A straight line from base * startFactor to base * endFactor over `totalIters` steps: warm-up. */
export class LinearLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, startFactor = 1 / 3, endFactor = 1, totalIters = 5) {
    super(optimizer, (base, step) => base * (startFactor + (endFactor - startFactor) * Math.min(1, step / totalIters)));
  }
}

/** base * (1 - step / totalIters)^power until `totalIters`, then 0. */
export class PolynomialLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, totalIters = 5, power = 1) {
    super(optimizer, (base, step) => base * (1 - Math.min(1, step / totalIters)) ** power);
  }
}

/** Half a cosine from base to etaMin over `tMax` steps (Loshchilov and Hutter, 2017). */
export class CosineAnnealingLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, tMax: number, etaMin = 0) {
    super(optimizer, (base, step) => etaMin + ((base - etaMin) * (1 + Math.cos((Math.PI * step) / tMax))) / 2);
  }
}

/** Half cosines from base to etaMin, each `tMult` times as long as the one before (Loshchilov and Hutter, 2017). */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  constructor(optimizer: AnyOptimizer, t0: number, tMult = 1, etaMin = 0) {
    if (!(t0 > 0 && tMult >= 1)) {
      throw new ArgumentError("CosineAnnealingWarmRestarts", { t0, tMult }, "t0 must be positive and tMult at least 1");
    }
    super(optimizer, (base, step) => {
      let [length, at] = [t0, step];
      for (; at >= length; length *= tMult) at -= length;
      return etaMin + ((base - etaMin) * (1 + Math.cos((Math.PI * at) / length))) / 2;
    });
  }
}

export interface OneCycleOptions {
  readonly totalSteps: number;
  readonly maxLr: number;
  /** Share of the steps spent rising. */
  readonly pctStart?: number;
  readonly divFactor?: number;
  readonly finalDivFactor?: number;
}

/** Cosine rise to maxLr, then cosine fall far below the start (Smith and Topin, 2018). */
export class OneCycleLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, options: OneCycleOptions) {
    const { totalSteps, maxLr, pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4 } = options;
    const start = maxLr / divFactor;
    const end = start / finalDivFactor;
    const top = pctStart * totalSteps - 1;
    const cosine = (from: number, to: number, share: number): number =>
      to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
    super(optimizer, (_, step) => {
      if (step <= top) return cosine(start, maxLr, step / top);
      return cosine(maxLr, end, Math.min(1, (step - top) / (totalSteps - 1 - top)));
    });
  }
}

export interface PlateauOptions {
  readonly mode?: "min" | "max";
  readonly factor?: number;
  readonly patience?: number;
  readonly threshold?: number;
  readonly minLr?: number;
}

/** Multiplies the rate by `factor` when a metric has not improved (relatively) for `patience` steps. */
export class ReduceLROnPlateau {
  private readonly optimizer: AnyOptimizer;
  private readonly options: Required<PlateauOptions>;
  private best: number;
  private badSteps = 0;

  constructor(optimizer: AnyOptimizer, options: PlateauOptions = {}) {
    this.options = { mode: "min", factor: 0.1, patience: 10, threshold: 1e-4, minLr: 0, ...options };
    this.optimizer = optimizer;
    this.best = this.options.mode === "min" ? Infinity : -Infinity;
  }

  step(metric: number): void {
    const { mode, factor, patience, threshold, minLr } = this.options;
    const better = mode === "min" ? metric < this.best * (1 - threshold) : metric > this.best * (1 + threshold);
    if (better) {
      this.best = metric;
      this.badSteps = 0;
      return;
    }
    if (++this.badSteps <= patience) return;
    this.badSteps = 0;
    for (const group of this.optimizer.paramGroups) group.lr = Math.max(group.lr * factor, minLr);
  }
}
