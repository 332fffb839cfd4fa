/**
 * Fake quantization as modules: while training, an observer keeps the parameters up to date and the tensor is rounded
 * to the grid it will have as integers. Both parts can be switched off, and stay on in eval mode until they are.
 * Source: FakeQuantizeBase and FakeQuantize, torch/ao/quantization/fake_quantize.py.
 */

import { ArgumentError } from "../../errors.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import { fakeQuantizePerChannelAffine, fakeQuantizePerTensorAffine } from "../../ops/quantize/fake-quantize.ts";
import { full, ones, zeros } from "../../tensor/create.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { factoryOf, toFactory } from "../factory.ts";
import type { FactoryLike, ModuleFactory, OptionsClass } from "../factory.ts";
import { storeBuffer } from "../observers/base.ts";
import type { CalculatedQParams, ObserverBase } from "../observers/base.ts";
import type { HistogramOptions } from "../observers/histogram.ts";
import { MovingAverageMinMaxObserver } from "../observers/min-max.ts";
import type { MovingAveragePerChannelOptions } from "../observers/min-max.ts";

/** An observer with a range of integers: what fake quantization can be built around. */
export type RangedObserver = ObserverBase & {
  readonly qscheme: QScheme;
  readonly quantMin: number;
  readonly quantMax: number;
  readonly chAxis?: number;
};

/** The observer's class or constructor, the range, and options handed on to the observer. */
export interface FakeQuantizeOptions extends MovingAveragePerChannelOptions, HistogramOptions {
  readonly observer?: FactoryLike<ObserverBase>;
}

/** Makes the observer inside. @throws ArgumentError when quantMin..quantMax does not fit the dtype. */
export function makeObserver(
  where: string,
  source: FactoryLike<ObserverBase>,
  args: FakeQuantizeOptions,
): RangedObserver {
  const factory = toFactory(source);
  const { quantMin, quantMax } = args;
  if (typeof quantMin === "number" && typeof quantMax === "number") {
    const dtype = (factory.args["dtype"] ?? args.dtype ?? "quint8") as DType;
    const { min, max } = dtypeInfo[dtype];
    if (quantMin > quantMax || quantMin < min || quantMax > max) {
      throw new ArgumentError(
        where,
        { quantMin, quantMax, dtype },
        "quantMin..quantMax must be a range within the dtype",
      );
    }
  }
  const observer = factory(args);
  if (!("qscheme" in observer && "quantMin" in observer)) {
    throw new ArgumentError(
      where,
      { observer: observer.constructor.name },
      "the observer must compute a scale and a zero point",
    );
  }
  return observer as RangedObserver;
}

/** Both flags, and their switches. */
export abstract class FakeQuantizeBase extends Module {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    fakeQuantEnabled: "fake_quant_enabled",
    observerEnabled: "observer_enabled",
    staticEnabled: "static_enabled",
    learningEnabled: "learning_enabled",
    zeroPoint: "zero_point",
    activationPostProcess: "activation_post_process",
  };
  /** 1 while tensors are rounded; [1]. */
  fakeQuantEnabled: Tensor;
  /** 1 while statistics are taken; [1]. */
  observerEnabled: Tensor;

  constructor(flagDType: DType) {
    super();
    this.fakeQuantEnabled = full([1], 1, { dtype: flagDType });
    this.observerEnabled = full([1], 1, { dtype: flagDType });
  }

  /**
   * Set before a capture to record the operators inside, with state updates as assignments: for training steps that
   * are compiled. Switches are then part of the graph, and per-channel modules must have seen one batch.
   */
  captureInside = false;

  /** Captured graphs call a fake-quantize as a whole, unless `captureInside` says otherwise. */
  override get isGraphLeaf(): boolean {
    return !this.captureInside;
  }

  abstract calculateQParams(): CalculatedQParams;

  enableFakeQuant(enabled = true): void {
    this.fakeQuantEnabled.assign([enabled ? 1 : 0]);
  }

  disableFakeQuant(): void {
    this.enableFakeQuant(false);
  }

  enableObserver(enabled = true): void {
    this.observerEnabled.assign([enabled ? 1 : 0]);
  }

  disableObserver(): void {
    this.enableObserver(false);
  }

  /** All switches as one text: what decides the way forward takes. */
  get switches(): string {
    return this.ownTensors()
      .flatMap(([name, tensor]) => (name.endsWith("Enabled") ? [tensor.item()] : []))
      .join("");
  }

  protected get fakeQuantizes(): boolean {
    return this.fakeQuantEnabled.item() === 1;
  }

  protected get observes(): boolean {
    return this.observerEnabled.item() === 1;
  }

  /** A constructor with some options set; chainable, later options win. */
  static withArgs<T extends AnyModule, O>(this: OptionsClass<T, O>, args: Partial<O>): ModuleFactory<T, O> {
    return factoryOf(this, args);
  }

  /** A constructor that asks functions for options, at each construction. */
  static withCallableArgs<T extends AnyModule, O>(
    this: OptionsClass<T, O>,
    args: { readonly [K in keyof O]?: () => O[K] },
  ): ModuleFactory<T, O> {
    return factoryOf(this, {}, args);
  }
}

/**
 * Observe, take over the parameters, round. Parameters follow the observer even while rounding is off.
 * State: fake_quant_enabled, observer_enabled (uint8), scale, zero_point, activation_post_process.
 */
export class FakeQuantize extends FakeQuantizeBase {
  /** float32, [1] or [channels]. */
  scale: Tensor;
  /** int32; float32 for float_qparams. */
  zeroPoint: Tensor;
  activationPostProcess: RangedObserver;
  readonly dtype: DType;
  readonly qscheme: QScheme;
  readonly isDynamic: boolean;
  /** Axis of the channels; -1 for per tensor. */
  readonly chAxis: number;
  readonly isPerChannel: boolean;

  /** @throws ArgumentError when quantMin..quantMax does not fit the dtype, or as the observer does. */
  constructor(options: FakeQuantizeOptions = {}, flagDType: DType = "uint8") {
    super(flagDType);
    const { observer: source = MovingAverageMinMaxObserver, ...given } = options;
    const args = { isDynamic: false, ...given };
    const observer = makeObserver(new.target.name, source, args);
    this.activationPostProcess = observer;
    this.dtype = observer.dtype;
    this.qscheme = observer.qscheme;
    this.isDynamic = observer.isDynamic;
    this.chAxis = observer.chAxis ?? -1;
    this.isPerChannel = isPerChannelScheme(observer.qscheme);
    this.scale = ones([1]);
    const floatZeroPoint = observer.qscheme === "per_channel_affine_float_qparams";
    this.zeroPoint = zeros([1], { dtype: floatZeroPoint ? "float32" : "int32" });
  }

  /** The range in force: the observer's, which reduceRange may have halved. */
  get quantMin(): number {
    return this.activationPostProcess.quantMin;
  }

  get quantMax(): number {
    return this.activationPostProcess.quantMax;
  }

  override calculateQParams(): CalculatedQParams {
    return this.activationPostProcess.calculateQParams();
  }

  /** Observes x and takes the observer's parameters over. */
  protected updateQParams(x: Tensor): void {
    this.activationPostProcess.observe(x);
    const { scale, zeroPoint } = this.calculateQParams();
    this.storeQParams(scale, zeroPoint);
  }

  protected storeQParams(scale: Tensor, zeroPoint: Tensor): void {
    this.scale = storeBuffer(this.scale, scale);
    this.zeroPoint = storeBuffer(this.zeroPoint, zeroPoint);
  }

  /** x rounded to the grid, or x itself while rounding is off. */
  forward(x: Tensor): Tensor {
    if (this.observes) this.updateQParams(x);
    if (!this.fakeQuantizes) return x;
    const { scale, zeroPoint, quantMin, quantMax } = this;
    if (!this.isPerChannel) return fakeQuantizePerTensorAffine(x, scale, zeroPoint, quantMin, quantMax);
    return fakeQuantizePerChannelAffine(x, scale, zeroPoint, this.chAxis, quantMin, quantMax);
  }

  /** Buffers take the shape of what is loaded. */
  override prepareLoad(state: ReadonlyMap<string, Tensor>): void {
    const [scale, zeroPoint] = [state.get("scale"), state.get("zero_point")];
    if (scale && !sameShape(scale.shape, this.scale.shape)) this.scale = ones(scale.shape);
    if (zeroPoint && !sameShape(zeroPoint.shape, this.zeroPoint.shape)) {
      this.zeroPoint = zeros(zeroPoint.shape, { dtype: this.zeroPoint.dtype });
    }
  }
}
