/**
 * Fake quantization by parameters known in advance, as for the outputs of sigmoid and tanh.
 * Source: FixedQParamsFakeQuantize, torch/ao/quantization/fake_quantize.py.
 */

import { ArgumentError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { FactoryLike } from "../factory.ts";
import type { CalculatedQParams, ObserverBase } from "../observers/base.ts";
import { FixedQParamsObserver } from "../observers/passive.ts";
import { FakeQuantize } from "./base.ts";

export interface FixedQParamsFakeQuantizeOptions {
  /** A constructor of FixedQParamsObserver. */
  readonly observer: FactoryLike<ObserverBase>;
}

/** Scale and zero point are the observer's own tensors and never change. */
export class FixedQParamsFakeQuantize extends FakeQuantize {
  /** @throws ArgumentError unless the observer is a FixedQParamsObserver with a per-tensor scheme. */
  constructor(options: FixedQParamsFakeQuantizeOptions) {
    super({ observer: options.observer });
    const observer: ObserverBase = this.activationPostProcess;
    if (!(observer instanceof FixedQParamsObserver) || this.isPerChannel) {
      throw new ArgumentError(
        "FixedQParamsFakeQuantize",
        { observer: observer.constructor.name, qscheme: this.qscheme },
        "the observer must be a per-tensor FixedQParamsObserver",
      );
    }
    this.scale = observer.scale;
    this.zeroPoint = observer.zeroPoint;
  }

  protected override updateQParams(_x: Tensor): void {}

  override calculateQParams(): CalculatedQParams {
    return { scale: this.scale, zeroPoint: this.zeroPoint, observed: true };
  }
}
