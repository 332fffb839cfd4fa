/**
 * Observers of the smallest and largest value: for ever (MinMax), or as an exponential moving average over batches
 * (MovingAverage), over the whole tensor or over each channel.
 *
 * Merging widens the range exactly. Two moving averages, whose value depends on the order of batches, merge into
 * their mean weighed by the number of batches each has seen. Source: torch/ao/quantization/observer.py.
 */

import { ArgumentError } from "../../errors.ts";
import { isUntouched, observeMinMax, rangeEnds } from "../../ops/quantize/observe.ts";
import { activeTracer, noGrad } from "../../tensor/context.ts";
import { scalar, tensor, zeros } from "../../tensor/create.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { UniformQuantizationObserverBase, storeBuffer, unobservedQParams } from "./base.ts";
import type { BatchStatistics, CalculatedQParams, ObserverOptions } from "./base.ts";

/** Base of the four: a running minimum and maximum. */
export abstract class RangeObserver extends UniformQuantizationObserverBase {
  static override readonly stateNames: Readonly<Record<string, string>> = { minVal: "min_val", maxVal: "max_val" };
  /** float32, 0-d, or [channels] once there is data. */
  minVal: Tensor;
  maxVal: Tensor;

  constructor(where: string, options: ObserverOptions, perChannel: boolean) {
    super(where, options);
    if (isPerChannelScheme(this.qscheme) !== perChannel) {
      const kind = perChannel ? "per-channel" : "per-tensor";
      throw new ArgumentError(where, { qscheme: this.qscheme }, `this observer takes ${kind} schemes only`);
    }
    this.minVal = perChannel ? zeros([0]) : scalar(Infinity);
    this.maxVal = perChannel ? zeros([0]) : scalar(-Infinity);
  }

  /** Axis of the channels; null for the whole tensor. */
  protected get axis(): number | null {
    return null;
  }

  /** Share of a new batch in the average; null for no averaging. */
  protected get share(): number | null {
    return null;
  }

  override get hasObserved(): boolean {
    return !isUntouched(this.minVal, this.maxVal);
  }

  override observe(x: Tensor): void {
    if (x.numel === 0) return;
    const attrs = { averagingConstant: this.share, axis: this.axis };
    this.setStatistics(...noGrad(() => observeMinMax(x, this.minVal, this.maxVal, attrs)));
  }

  /** The two ends of a range have the range of all that lies between. */
  override get needsRangeOnly(): boolean {
    return this.axis === null;
  }

  override observeStatistics({ range: { min, max } }: BatchStatistics): boolean {
    if (!this.needsRangeOnly) return false;
    this.observe(tensor([min, max]));
    return true;
  }

  override condensed(x: Tensor): Tensor {
    return rangeEnds(x, this.axis);
  }

  /** Takes over statistics computed elsewhere (the fused fake-quantize) as those after one more batch. */
  setStatistics(min: Tensor, max: Tensor): void {
    this.minVal = storeBuffer(this.minVal, min);
    this.maxVal = storeBuffer(this.maxVal, max);
    this.countBatch();
  }

  override calculateQParams(): CalculatedQParams {
    if (!activeTracer() && !this.hasObserved) return unobservedQParams();
    return this.qparamsOf(this.minVal, this.maxVal);
  }

  override resetMinMaxVals(): void {
    const perChannel = this.axis !== null;
    this.minVal = perChannel ? zeros([0]) : scalar(Infinity);
    this.maxVal = perChannel ? zeros([0]) : scalar(-Infinity);
    this.batches = 0;
  }

  protected override mergeStatistics(other: this): void {
    if (!other.hasObserved) return;
    if (!this.hasObserved) {
      this.minVal = other.minVal.copy();
      this.maxVal = other.maxVal.copy();
      return;
    }
    if (!sameShape(this.minVal.shape, other.minVal.shape)) {
      throw new ArgumentError(
        "merge",
        { own: this.minVal.shape, other: other.minVal.shape },
        "both must have the same channels",
      );
    }
    const [low, high] = [other.minVal.data, other.maxVal.data];
    const combine = this.combiner(other);
    this.minVal.assign(Array.from(this.minVal.data, (v, i) => combine(v, low[i]!, Math.min)));
    this.maxVal.assign(Array.from(this.maxVal.data, (v, i) => combine(v, high[i]!, Math.max)));
  }

  /** How two values become one: the wider, or the mean weighed by batches. */
  private combiner(other: this): (own: number, given: number, wider: (a: number, b: number) => number) => number {
    if (this.share === null) return (own, given, wider) => wider(own, given);
    const [mine, theirs] = [Math.max(this.batches, 1), Math.max(other.batches, 1)];
    return (own, given) => (own * mine + given * theirs) / (mine + theirs);
  }

  /** Buffers take the shape of what is loaded. */
  override prepareLoad(state: ReadonlyMap<string, Tensor>): void {
    const [min, max] = [state.get("min_val"), state.get("max_val")];
    if (this.axis === null || !min || !max) return;
    if (!sameShape(min.shape, this.minVal.shape)) this.minVal = zeros(min.shape);
    if (!sameShape(max.shape, this.maxVal.shape)) this.maxVal = zeros(max.shape);
  }
}

function refuseReducedSymmetric(where: string, { dtype = "quint8", qscheme, reduceRange }: ObserverOptions): void {
  if (qscheme !== "per_tensor_symmetric" || !reduceRange || dtype !== "quint8") return;
  throw new ArgumentError(where, { qscheme, reduceRange, dtype }, "a symmetric quint8 range cannot be reduced");
}

/** The smallest and largest value ever seen. State: eps, min_val, max_val. */
export class MinMaxObserver extends RangeObserver {
  /** @throws ArgumentError for per-channel schemes, illegal ranges, and reduced symmetric quint8. */
  constructor(options: ObserverOptions = {}) {
    refuseReducedSymmetric("MinMaxObserver", options);
    super("MinMaxObserver", options, false);
  }
}

export interface MovingAverageOptions extends ObserverOptions {
  /** Share of a new batch; 1 remembers the last batch only. */
  readonly averagingConstant?: number;
}

/** Exponential moving average of each batch's smallest and largest value; the first batch is copied. */
export class MovingAverageMinMaxObserver extends RangeObserver {
  readonly averagingConstant: number;

  /** @throws ArgumentError as MinMaxObserver, and for isDynamic unless averagingConstant is 1. */
  constructor(options: MovingAverageOptions = {}) {
    const where = "MovingAverageMinMaxObserver";
    refuseReducedSymmetric(where, options);
    super(where, options, false);
    this.averagingConstant = options.averagingConstant ?? 0.01;
    if (this.isDynamic && this.averagingConstant !== 1) {
      throw new ArgumentError(
        where,
        { averagingConstant: this.averagingConstant },
        "a dynamic observer must have averagingConstant 1",
      );
    }
  }

  protected override get share(): number {
    return this.averagingConstant;
  }
}

export interface PerChannelOptions extends ObserverOptions {
  /** Axis of the channels; may be negative. */
  readonly chAxis?: number;
}

function perChannelOptions(where: string, options: PerChannelOptions): PerChannelOptions {
  if (options.isDynamic) throw new ArgumentError(where, { isDynamic: true }, "per-channel observers cannot be dynamic");
  return { qscheme: "per_channel_affine", ...options };
}

/** The smallest and largest value ever seen of each channel. State: eps, min_val, max_val. */
export class PerChannelMinMaxObserver extends RangeObserver {
  readonly chAxis: number;

  /** @throws ArgumentError for per-tensor schemes, illegal ranges and isDynamic. */
  constructor(options: PerChannelOptions = {}) {
    super("PerChannelMinMaxObserver", perChannelOptions("PerChannelMinMaxObserver", options), true);
    this.chAxis = options.chAxis ?? 0;
  }

  protected override get axis(): number {
    return this.chAxis;
  }
}

export interface MovingAveragePerChannelOptions extends PerChannelOptions, MovingAverageOptions {}

/** Exponential moving average of each channel's smallest and largest value. */
export class MovingAveragePerChannelMinMaxObserver extends RangeObserver {
  readonly chAxis: number;
  readonly averagingConstant: number;

  /** @throws ArgumentError as PerChannelMinMaxObserver. */
  constructor(options: MovingAveragePerChannelOptions = {}) {
    const where = "MovingAveragePerChannelMinMaxObserver";
    super(where, perChannelOptions(where, options), true);
    this.chAxis = options.chAxis ?? 0;
    this.averagingConstant = options.averagingConstant ?? 0.01;
  }

  protected override get axis(): number {
    return this.chAxis;
  }

  protected override get share(): number {
    return this.averagingConstant;
  }
}
