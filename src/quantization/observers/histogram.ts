/**
 * HistogramObserver: a running histogram, from which the range with the smallest squared quantization error is chosen.
 *
 * Merging counts the other histogram through the bins of the common range, exactly as a batch that widens the range
 * does with the counts so far; so a merge agrees with having seen all data within one bin. Source: HistogramObserver,
 * torch/ao/quantization/observer.py.
 */

import { ArgumentError } from "../../errors.ts";
import { addCounts, histogramEdges, moveCounts, updateHistogram } from "../../ops/quantize/histogram-math.ts";
import { bestRange, histogramTensors, observeHistogram, readHistogram } from "../../ops/quantize/histogram.ts";
import type { Range } from "../../ops/quantize/ranges.ts";
import { noGrad, activeTracer } from "../../tensor/context.ts";
import { scalar, zeros } from "../../tensor/create.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { UniformQuantizationObserverBase, storeBuffer, unobservedQParams } from "./base.ts";
import type { BatchStatistics, CalculatedQParams, ObserverOptions } from "./base.ts";

export interface HistogramOptions extends ObserverOptions {
  readonly bins?: number;
}

/** State: eps, histogram [bins], min_val and max_val 0-d. */
export class HistogramObserver extends UniformQuantizationObserverBase {
  static override readonly stateNames: Readonly<Record<string, string>> = { minVal: "min_val", maxVal: "max_val" };
  readonly bins: number;
  histogram: Tensor;
  minVal: Tensor;
  maxVal: Tensor;
  /** What was searched last, and the range that was found. */
  private found: {
    readonly counts: Float32Array;
    readonly min: number;
    readonly max: number;
    readonly range: readonly [number, number];
  } | null = null;

  /** @throws ArgumentError for per-channel schemes, isDynamic and illegal ranges. */
  constructor(options: HistogramOptions = {}) {
    const where = "HistogramObserver";
    super(where, options);
    if (isPerChannelScheme(this.qscheme)) {
      throw new ArgumentError(where, { qscheme: this.qscheme }, "this observer takes per-tensor schemes only");
    }
    if (this.isDynamic) throw new ArgumentError(where, { isDynamic: true }, "this observer cannot be dynamic");
    this.bins = options.bins ?? 2048;
    this.histogram = zeros([this.bins]);
    this.minVal = scalar(Infinity);
    this.maxVal = scalar(-Infinity);
  }

  override get hasObserved(): boolean {
    return this.minVal.item() !== Infinity || this.maxVal.item() !== -Infinity;
  }

  /** Takes one batch in; infinite values are left out. @throws ArgumentError for NaN. */
  override observe(x: Tensor): void {
    if (x.numel === 0) return;
    this.store(...noGrad(() => observeHistogram(x, this.statistics, this.bins)));
  }

  /** Infinite values and NaN need the values. */
  override observeStatistics(batch: BatchStatistics): boolean {
    const { range } = batch;
    if (!Number.isFinite(range.min) || !Number.isFinite(range.max)) return false;
    const before = this.hasObserved ? readHistogram(this.statistics) : null;
    const after = updateHistogram(before, range, (min, max) => {
      const edges = histogramEdges(range, min, max);
      return batch.counts(this.bins, edges.min, edges.max);
    });
    this.store(...histogramTensors(after));
    return true;
  }

  /** The range the histogram spans so far; null before the first batch. */
  get seenRange(): Range | null {
    return this.hasObserved ? { min: this.minVal.item(), max: this.maxVal.item() } : null;
  }

  private store(histogram: Tensor, min: Tensor, max: Tensor): void {
    this.histogram = storeBuffer(this.histogram, histogram);
    this.minVal = storeBuffer(this.minVal, min);
    this.maxVal = storeBuffer(this.maxVal, max);
    this.countBatch();
  }

  /** A range searched in the histogram, found again as long as nothing new was seen. */
  protected searched(search: (counts: ArrayLike<number>, min: number, max: number) => readonly [number, number]) {
    const [min, max] = [this.minVal.item(), this.maxVal.item()];
    const { data } = this.histogram;
    const same = this.found && this.found.min === min && this.found.max === max;
    if (!same || !this.found!.counts.every((count, i) => count === data[i])) {
      const counts = Float32Array.from(data);
      this.found = { counts, min, max, range: search(counts, min, max) };
    }
    return this.found!.range;
  }

  private get statistics(): readonly [histogram: Tensor, min: Tensor, max: Tensor] {
    return [this.histogram, this.minVal, this.maxVal];
  }

  /** Levels the search spreads the range over: all of the storage dtype's, whatever quantMin and quantMax are. */
  private get targets(): number {
    return 2 ** Math.max(dtypeInfo[this.dtype].bits, 8);
  }

  override calculateQParams(): CalculatedQParams {
    if (!activeTracer() && !this.hasObserved) return unobservedQParams();
    return this.qparamsOf(...noGrad(() => bestRange(this.statistics, this.targets)));
  }

  override resetMinMaxVals(): void {
    this.histogram = zeros([this.bins]);
    this.minVal = scalar(Infinity);
    this.maxVal = scalar(-Infinity);
    this.batches = 0;
  }

  /** @throws ArgumentError when the numbers of bins differ. */
  protected override mergeStatistics(other: this): void {
    if (this.bins !== other.bins) {
      throw new ArgumentError(
        "merge",
        { own: this.bins, other: other.bins },
        "both histograms must have the same number of bins",
      );
    }
    if (!other.hasObserved) return;
    const given = readHistogram(other.statistics);
    if (!this.hasObserved) {
      this.histogram.assign(given.counts);
      this.minVal.assign([given.min]);
      this.maxVal.assign([given.max]);
      return;
    }
    const own = readHistogram(this.statistics);
    const min = Math.min(own.min, given.min);
    const max = Math.max(own.max, given.max);
    this.histogram.assign(addCounts(moveCounts(own, min, max), moveCounts(given, min, max)));
    this.minVal.assign([min]);
    this.maxVal.assign([max]);
  }

  override prepareLoad(state: ReadonlyMap<string, Tensor>): void {
    // Before version 3 of its state, an observer without data saved empty tensors for min and max.
    for (const key of ["minVal", "maxVal"] as const) {
      const given = state.get(key === "minVal" ? "min_val" : "max_val");
      if (given && !sameShape(given.shape, this[key].shape) && given.numel === 1) this[key] = zeros(given.shape);
    }
  }
}
