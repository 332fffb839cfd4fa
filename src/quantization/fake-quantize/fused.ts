/**
 * Moving-average observer and fake quantization in one operator: the default of quantization-aware training.
 *
 * While rounding is on, scale and zero point are chosen anew at every step from the running range, by the C++
 * helper's formula, even while observing is off. `calculateQParams`, which conversion asks, uses the observer's
 * formula, so converted weights can differ slightly in scale. Source: FusedMovingAvgObsFakeQuantize,
 * torch/ao/quantization/fake_quantize.py.
 */

import { ArgumentError } from "../../errors.ts";
import { fusedMovingAvgObsFakeQuant } from "../../ops/quantize/fused.ts";
import { ones, zeros } from "../../tensor/create.ts";
import { isSymmetricScheme } from "../../tensor/qparams.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { storeBuffer } from "../observers/base.ts";
import { MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver } from "../observers/min-max.ts";
import { FakeQuantize } from "./base.ts";
import type { FakeQuantizeOptions } from "./base.ts";

/** State as FakeQuantize, with int64 flags. */
export class FusedMovingAvgObsFakeQuantize extends FakeQuantize {
  readonly isSymmetricQuant: boolean;

  /** @throws ArgumentError unless the observer is a moving-average one, and as FakeQuantize. */
  constructor(options: FakeQuantizeOptions = {}) {
    super({ quantMin: 0, quantMax: 255, ...options }, "int64");
    this.movingAverage();
    this.isSymmetricQuant = isSymmetricScheme(this.qscheme);
  }

  private movingAverage(): MovingAverageMinMaxObserver | MovingAveragePerChannelMinMaxObserver {
    const observer: unknown = this.activationPostProcess;
    if (observer instanceof MovingAverageMinMaxObserver) return observer;
    if (observer instanceof MovingAveragePerChannelMinMaxObserver) return observer;
    const name = this.activationPostProcess.constructor.name;
    throw new ArgumentError(
      "FusedMovingAvgObsFakeQuantize",
      { observer: name },
      "the observer must be a moving-average one",
    );
  }

  override forward(x: Tensor): Tensor {
    const observer = this.movingAverage();
    if (!this.fakeQuantizes) {
      if (this.observes) observer.observe(x);
      this.sizeParameters();
      return x;
    }
    const { scale, zeroPoint, quantMin, quantMax } = this;
    const observerOn = this.observes;
    const state = { runningMin: observer.minVal, runningMax: observer.maxVal, scale, zeroPoint };
    const result = fusedMovingAvgObsFakeQuant(x, state, {
      observerOn,
      fakeQuantOn: true,
      averagingConst: observer.averagingConstant,
      quantMin,
      quantMax,
      chAxis: this.isPerChannel ? this.chAxis : null,
      symmetricQuant: this.isSymmetricQuant,
    });
    if (observerOn && x.numel > 0) observer.setStatistics(result.runningMin, result.runningMax);
    this.scale = storeBuffer(this.scale, result.scale);
    this.zeroPoint = storeBuffer(this.zeroPoint, result.zeroPoint);
    return result.output;
  }

  /** Gives every channel seen a place for its parameters, 1 and 0 until rounding starts (PyTorch leaves them undefined). */
  private sizeParameters(): void {
    const { shape } = this.movingAverage().minVal;
    if (!this.isPerChannel || shape[0] === 0 || sameShape(shape, this.scale.shape)) return;
    this.scale = ones(shape);
    this.zeroPoint = zeros(shape, { dtype: this.zeroPoint.dtype });
  }
}
