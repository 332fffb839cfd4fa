/**
 * Fake quantization whose scale and zero point are trained (LSQ: Esser et al., 2020; LSQ+: Bhalgat et al., 2020).
 *
 * Two phases: first an observer estimates the parameters (static), then gradients move them (learning).
 * Source: torch/ao/quantization/_learnable_fake_quantize.py; creating per-channel parameters at the first batch, and
 * the names of the range-learning switches, are torchao's.
 */

import { ArgumentError } from "../../errors.ts";
import { maximum } from "../../ops/arithmetic.ts";
import { EPS } from "../../ops/quantize/numerics.ts";
import {
  fakeQuantizeLearnablePerChannelAffine,
  fakeQuantizeLearnablePerTensorAffine,
} from "../../ops/quantize/learnable.ts";
import { noGrad } from "../../tensor/context.ts";
import { full, tensor, zeros } from "../../tensor/create.ts";
import type { DType } from "../../tensor/dtype.ts";
import { rint } from "../../tensor/rounding.ts";
import { isPerChannelScheme, isSymmetricScheme } from "../../tensor/qparams.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import { sameShape } from "../../tensor/shape.ts";
import { Parameter, Tensor } from "../../tensor/tensor.ts";
import type { CalculatedQParams } from "../observers/base.ts";
import { MovingAverageMinMaxObserver } from "../observers/min-max.ts";
import { FakeQuantizeBase, makeObserver } from "./base.ts";
import type { FakeQuantizeOptions, RangedObserver } from "./base.ts";

export interface LearnableFakeQuantizeOptions extends FakeQuantizeOptions {
  /** Initial scale and zero point of every channel. */
  readonly scale?: number;
  readonly zeroPoint?: number;
  /** Number of channels; left out or -1: one, or for per-channel schemes as many as the first batch has. */
  readonly channelLen?: number;
  /** Multiply gradients of scale and zero point by 1 / sqrt(numel * quantMax). */
  readonly useGradScaling?: boolean;
}

/** State: scale, zero_point (parameters); flags, eps, activation_post_process. */
export class LearnableFakeQuantize extends FakeQuantizeBase {
  scale: Parameter;
  zeroPoint: Parameter;
  activationPostProcess: RangedObserver;
  /** 1 while the observer sets the parameters; [1] uint8. */
  staticEnabled: Tensor = tensor([1], { dtype: "uint8" });
  /** 1 while gradients do; [1] uint8. */
  learningEnabled: Tensor = tensor([0], { dtype: "uint8" });
  /** Smallest scale, [1]. */
  eps: Tensor = tensor([EPS]);
  readonly quantMin: number;
  readonly quantMax: number;
  readonly dtype: DType;
  readonly qscheme: QScheme;
  readonly chAxis: number;
  readonly useGradScaling: boolean;
  private readonly sizedByData: boolean;

  /** @throws ArgumentError unless quantMin < quantMax within the dtype. */
  constructor(options: LearnableFakeQuantizeOptions = {}) {
    super("uint8");
    const {
      observer: source = MovingAverageMinMaxObserver,
      scale = 1,
      zeroPoint = 0,
      channelLen = -1,
      ...rest
    } = options;
    const { useGradScaling = false, ...observerArgs } = rest;
    const { quantMin = 0, quantMax = 255 } = observerArgs;
    if (quantMin === null || quantMax === null || quantMin >= quantMax) {
      throw new ArgumentError("LearnableFakeQuantize", { quantMin, quantMax }, "quantMin must be less than quantMax");
    }
    if (channelLen !== -1 && !(Number.isInteger(channelLen) && channelLen > 0)) {
      throw new ArgumentError(
        "LearnableFakeQuantize",
        { channelLen },
        "the number of channels must be a positive integer",
      );
    }
    this.quantMin = quantMin;
    this.quantMax = quantMax;
    this.useGradScaling = useGradScaling;
    this.scale = new Parameter(full([Math.max(channelLen, 1)], scale));
    this.zeroPoint = new Parameter(full([Math.max(channelLen, 1)], zeroPoint));
    const observer = makeObserver("LearnableFakeQuantize", source, { ...observerArgs, quantMin, quantMax });
    this.activationPostProcess = observer;
    this.dtype = observer.dtype;
    this.qscheme = observer.qscheme;
    this.chAxis = observer.chAxis ?? -1;
    this.sizedByData = channelLen === -1 && isPerChannelScheme(this.qscheme);
  }

  /** Gradients move the parameters; the observer rests; rounding is on. */
  enableParamLearning(): this {
    return this.toggleQParamLearning(true).toggleFakeQuant(true).toggleObserverUpdate(false);
  }

  /** The observer sets the parameters; gradients do not; rounding is on. */
  enableStaticEstimate(): this {
    return this.toggleQParamLearning(false).toggleFakeQuant(true).toggleObserverUpdate(true);
  }

  /** The observer sets the parameters; tensors pass unrounded. */
  enableStaticObservation(): this {
    return this.toggleQParamLearning(false).toggleFakeQuant(false).toggleObserverUpdate(true);
  }

  toggleObserverUpdate(enabled = true): this {
    this.staticEnabled.assign([enabled ? 1 : 0]);
    return this;
  }

  toggleQParamLearning(enabled = true): this {
    this.learningEnabled.assign([enabled ? 1 : 0]);
    this.scale.requiresGrad = enabled;
    this.zeroPoint.requiresGrad = enabled;
    return this;
  }

  toggleFakeQuant(enabled = true): this {
    this.fakeQuantEnabled.assign([enabled ? 1 : 0]);
    return this;
  }

  override enableObserver(enabled = true): void {
    this.toggleObserverUpdate(enabled);
  }

  /** The parameters as conversion needs them: scale at least eps, zero point an integer of the range (int64). */
  override calculateQParams(): CalculatedQParams {
    this.limitScale();
    const { quantMin, quantMax } = this;
    const integers = Array.from(this.zeroPoint.data, (z) => Math.min(Math.max(rint(z), quantMin), quantMax));
    const zeroPoint = new Tensor("int64", this.zeroPoint.shape, Float64Array.from(integers));
    return { scale: this.scale.copy(), zeroPoint, observed: true };
  }

  private limitScale(): void {
    this.scale.assign(noGrad(() => maximum(this.scale, this.eps.item())));
  }

  /** Makes the parameters as long as x has channels. Optimizers must be created after the first batch then. */
  private sizeParameters(x: Tensor): void {
    const channels = x.size(this.chAxis);
    if (!this.sizedByData || this.scale.numel === channels) return;
    const grow = (own: Parameter): Parameter => new Parameter(full([channels], own.data[0]!), own.requiresGrad);
    this.scale = grow(this.scale);
    this.zeroPoint = grow(this.zeroPoint);
  }

  private estimate(x: Tensor): void {
    this.activationPostProcess.observe(x);
    const { scale, zeroPoint, observed } = this.activationPostProcess.calculateQParams();
    if (!observed || !sameShape(scale.shape, this.scale.shape)) {
      this.scale.assign(full(this.scale.shape, scale.data[0]!));
      this.zeroPoint.assign(full(this.zeroPoint.shape, zeroPoint.data[0]!));
      return;
    }
    this.scale.assign(scale);
    this.zeroPoint.assign(zeroPoint);
  }

  forward(x: Tensor): Tensor {
    this.sizeParameters(x);
    if (this.staticEnabled.item() === 1) this.estimate(x);
    else this.limitScale();
    if (!this.fakeQuantizes) return x;
    const { scale, zeroPoint, quantMin, quantMax } = this;
    if (isSymmetricScheme(this.qscheme)) zeroPoint.assign(zeros(zeroPoint.shape));
    const factor = this.useGradScaling ? 1 / Math.sqrt(x.numel * quantMax) : 1;
    if (!isPerChannelScheme(this.qscheme)) {
      return fakeQuantizeLearnablePerTensorAffine(x, scale, zeroPoint, quantMin, quantMax, factor);
    }
    return fakeQuantizeLearnablePerChannelAffine(x, scale, zeroPoint, this.chAxis, quantMin, quantMax, factor);
  }

  override prepareLoad(state: ReadonlyMap<string, Tensor>): void {
    for (const key of ["scale", "zeroPoint"] as const) {
      const given = state.get(key === "scale" ? "scale" : "zero_point");
      if (!given || sameShape(given.shape, this[key].shape)) continue;
      this[key] = new Parameter(zeros(given.shape), this[key].requiresGrad);
    }
  }
}
