/**
 * Stochastic gradient descent with momentum, dampening, Nesterov's variant and weight decay
 * (torch/optim/sgd.py). Arithmetic is float32, rounded where PyTorch's kernels round.
 */

import { ArgumentError } from "../errors.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import type { Parameter } from "../tensor/tensor.ts";
import { Optimizer, checkRange } from "./optimizer.ts";
import type { GroupOptions, OptimizerKernel, ParamGroup, ParamsArgument, Slot } from "./optimizer.ts";

export interface SGDOptions extends GroupOptions {
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
  maximize: boolean;
}

const defaults: SGDOptions = { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false };

const kernel: OptimizerKernel<SGDOptions> = {
  arrays: ({ momentum }) => (momentum === 0 ? [] : ["momentum_buffer"]),
  run(kernels, n, values, gradient, [buffer = 0], step, { lr, weightDecay, momentum, dampening, nesterov }) {
    const [isNesterov, isFirst] = [Number(nesterov), Number(step === 1)];
    kernels.f32_sgd_step(n, values, gradient, buffer, lr, weightDecay, momentum, dampening, isNesterov, isFirst);
  },
};

export class SGD extends Optimizer<SGDOptions> {
  /** @throws ArgumentError for options out of range, or Nesterov without momentum or with dampening. */
  constructor(params: ParamsArgument<SGDOptions>, options: Partial<SGDOptions> = {}) {
    const { lr, momentum, weightDecay, nesterov, dampening } = { ...defaults, ...options };
    checkRange("SGD", { lr, momentum, weightDecay });
    if (nesterov && (momentum <= 0 || dampening !== 0)) {
      throw new ArgumentError("SGD", { momentum, dampening }, "nesterov needs momentum and no dampening");
    }
    super(params, { ...defaults, ...options });
  }

  // g' = g + wd p;  b = mu b + (1 - dampening) g';  p -= lr (nesterov ? g' + mu b : b)
  protected update(parameter: Parameter, gradient: TypedArray, slot: Slot, options: ParamGroup<SGDOptions>): void {
    const { lr, momentum, dampening, weightDecay, nesterov, maximize } = options;
    const round = parameter.dtype === "float64" ? (v: number) => v : Math.fround;
    const values = parameter.data;
    const first = slot.step === 1;
    const buffer = momentum === 0 ? null : slot.array("momentum_buffer", parameter);
    for (let i = 0; i < values.length; i++) {
      let g = maximize ? -gradient[i]! : gradient[i]!;
      if (weightDecay !== 0) g = round(g + weightDecay * values[i]!);
      if (buffer) {
        const b = first ? g : round(round(buffer[i]! * momentum) + (1 - dampening) * g);
        buffer[i] = b;
        g = nesterov ? round(g + momentum * b) : b;
      }
      values[i] = values[i]! - lr * g;
    }
  }

  override kernelFor({ maximize }: ParamGroup<SGDOptions>): OptimizerKernel<SGDOptions> | null {
    return maximize ? null : kernel;
  }
}
