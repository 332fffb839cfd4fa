/**
 * Ranges that leave outliers out: a part of the values kept (percentile), or the range whose quantized histogram says
 * most about the real one (entropy). Both keep HistogramObserver's histogram.
 */

import { ArgumentError } from "../../errors.ts";
import { activeTracer } from "../../tensor/context.ts";
import { scalar } from "../../tensor/create.ts";
import { entropyRange } from "./entropy-range.ts";
import type { HistogramRange } from "./entropy-range.ts";
import { unobservedQParams } from "./base.ts";
import type { CalculatedQParams } from "./base.ts";
import { HistogramObserver } from "./histogram.ts";
import type { HistogramOptions } from "./histogram.ts";

/**
 * The range that leaves out (1 - kept) / 2 of the values at either end; where in a bin a limit lies is interpolated.
 * A quantile is never further out than the range that was seen.
 */
export function percentileRange(counts: ArrayLike<number>, min: number, max: number, kept: number): HistogramRange {
  const bins = counts.length;
  const width = (max - min) / bins;
  let total = 0;
  for (let i = 0; i < bins; i++) total += counts[i]!;
  const cut = (total * (1 - kept)) / 2;
  const from = (at: (i: number) => number): number => {
    let sum = 0;
    for (let i = 0; i < bins; i++) {
      const count = at(i);
      if (sum + count > cut) return i + (cut - sum) / count;
      sum += count;
    }
    return bins;
  };
  const low = min + from((i) => counts[i]!) * width;
  const high = max - from((i) => counts[bins - 1 - i]!) * width;
  return low <= high ? [low, high] : [min, max];
}

export interface PercentileOptions extends HistogramOptions {
  /** Part of the values inside the range. */
  readonly percentile?: number;
}

/** Leaves (1 - percentile) / 2 of the values out at each end. */
export class PercentileObserver extends HistogramObserver {
  readonly percentile: number;

  /** @throws ArgumentError for a percentile outside 0..1. */
  constructor(options: PercentileOptions = {}) {
    super(options);
    this.percentile = options.percentile ?? 0.99999;
    if (!(this.percentile > 0 && this.percentile <= 1))
      throw new ArgumentError("PercentileObserver", { percentile: this.percentile }, "must be a part of 1");
  }

  /** @throws QuantError in captures: the search reads values. */
  override calculateQParams(): CalculatedQParams {
    if (!activeTracer() && !this.hasObserved) return unobservedQParams();
    const [low, high] = this.searched((counts, min, max) => percentileRange(counts, min, max, this.percentile));
    return this.qparamsOf(scalar(low), scalar(high));
  }
}

/** The range whose quantized histogram says most about the real one. */
export class EntropyObserver extends HistogramObserver {
  /** @throws QuantError in captures: the search reads values. */
  override calculateQParams(): CalculatedQParams {
    if (!activeTracer() && !this.hasObserved) return unobservedQParams();
    const [low, high] = this.searched(entropyRange);
    return this.qparamsOf(scalar(low), scalar(high));
  }
}
