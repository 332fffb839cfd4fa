/**
 * Adam (Kingma and Ba, 2015), AMSGrad, and AdamW (Loshchilov and Hutter, 2019), as torch/optim/adam.py.
 *
 * AdamW differs only in where weight decay acts: on the parameter, not on the gradient.
 */

import type { TypedArray } from "../tensor/dtype.ts";
import type { Parameter } from "../tensor/tensor.ts";
import { Optimizer, checkRange } from "./optimizer.ts";
import type { GroupOptions, OptimizerKernel, ParamGroup, ParamsArgument, Slot } from "./optimizer.ts";

export interface AdamOptions extends GroupOptions {
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  amsgrad: boolean;
  maximize: boolean;
}

interface AdamGroup extends AdamOptions {
  readonly decoupled: boolean;
}

const defaults: AdamOptions = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  maximize: false,
};

const kernel: OptimizerKernel<AdamGroup> = {
  arrays: ({ amsgrad }) => ["exp_avg", "exp_avg_sq", ...(amsgrad ? ["max_exp_avg_sq"] : [])],
  run(kernels, n, values, gradient, [m = 0, v = 0, peak = 0], step, { lr, betas, eps, weightDecay, decoupled }) {
    const [beta1, beta2] = betas;
    const [decay, shrink] = decoupled ? [0, 1 - lr * weightDecay] : [weightDecay, 1];
    const stepSize = lr / (1 - beta1 ** step);
    const rootCorrection = Math.sqrt(1 - beta2 ** step);
    kernels.f32_adam_step(
      n, values, gradient, m, v, peak, stepSize, rootCorrection, beta1, beta2, eps, decay, shrink,
    ); // prettier-ignore
  },
};

export class Adam extends Optimizer<AdamGroup> {
  /** @throws ArgumentError for options out of range. */
  constructor(
    params: ParamsArgument<AdamGroup>,
    options: Partial<AdamOptions> & { readonly decoupled?: boolean } = {},
  ) {
    const { lr, eps, weightDecay, betas } = { ...defaults, ...options };
    checkRange("Adam", { lr, eps, weightDecay });
    checkRange("Adam", { beta1: betas[0], beta2: betas[1] }, 0, 1 - Number.EPSILON);
    super(params, { ...defaults, decoupled: false, ...options });
  }

  // m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
  protected update(parameter: Parameter, gradient: TypedArray, slot: Slot, options: ParamGroup<AdamGroup>): void {
    const { lr, betas, eps, weightDecay, amsgrad, maximize, decoupled } = options;
    const round = parameter.dtype === "float64" ? (v: number) => v : Math.fround;
    const [beta1, beta2] = betas;
    const stepSize = lr / (1 - beta1 ** slot.step);
    const rootCorrection = Math.sqrt(1 - beta2 ** slot.step);
    const values = parameter.data;
    const m = slot.array("exp_avg", parameter);
    const v = slot.array("exp_avg_sq", parameter);
    const peak = amsgrad ? slot.array("max_exp_avg_sq", parameter) : null;
    for (let i = 0; i < values.length; i++) {
      let g = maximize ? -gradient[i]! : gradient[i]!;
      if (decoupled) values[i] = values[i]! * (1 - lr * weightDecay);
      else if (weightDecay !== 0) g = round(g + weightDecay * values[i]!);
      m[i] = m[i]! + (1 - beta1) * round(g - m[i]!);
      v[i] = round(v[i]! * beta2) + (1 - beta2) * round(g * g);
      if (peak) peak[i] = Math.max(peak[i]!, v[i]!);
      const denominator = round(round(Math.sqrt(peak ? peak[i]! : v[i]!) / rootCorrection) + eps);
      values[i] = values[i]! - stepSize * round(m[i]! / denominator);
    }
  }

  override kernelFor({ maximize }: ParamGroup<AdamGroup>): OptimizerKernel<AdamGroup> | null {
    return maximize ? null : kernel;
  }
}

export class AdamW extends Adam {
  /** Weight decay defaults to 0.01. @throws ArgumentError for options out of range. */
  constructor(params: ParamsArgument<AdamGroup>, options: Partial<AdamOptions> = {}) {
    super(params, { weightDecay: 1e-2, ...options, decoupled: true });
  }
}
