/**
 * Ranges that leave outliers out: a part of the values kept (percentile), or the range whose quantized histogram says
 * most about the real one (entropy). Both keep HistogramObserver's histogram.
 */

import { ArgumentError } from "../../errors.ts";
import { activeTracer } from "../../tensor/context.ts";
import { scalar } from "../../tensor/create.ts";
import { unobservedQParams } from "./base.ts";
import type { CalculatedQParams } from "./base.ts";
import { HistogramObserver } from "./histogram.ts";
import type { HistogramOptions } from "./histogram.ts";

/** Both ends of the range of a histogram over min..max. */
export type HistogramRange = readonly [low: number, high: number];

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

/** Levels that the searched range is compared in; more than 8-bit integers tell little about the shape. */
const LEVELS = 128;
/** Every which range is tried; the histogram has some thousand bins, and the minimum is flat. */
const STRIDE = 4;

/** Sum of p log(p / q) over the bins from..to, p with the outliers at its ends, q spread over its level's full bins. */
function divergence(counts: ArrayLike<number>, from: number, to: number, below: number, above: number): number {
  const length = to - from;
  const levels = Math.min(LEVELS, length);
  let [sum, inside] = [0, 0];
  const p = (i: number): number => counts[i]! + (i === from ? below : 0) + (i === to - 1 ? above : 0);
  for (let i = from; i < to; i++) inside += counts[i]!;
  const total = inside + below + above;
  if (inside === 0) return Infinity;
  for (let level = 0; level < levels; level++) {
    const start = from + Math.floor((level * length) / levels);
    const end = from + Math.floor(((level + 1) * length) / levels);
    let [mass, full] = [0, 0];
    for (let i = start; i < end; i++) {
      mass += counts[i]!;
      if (p(i) > 0) full++;
    }
    for (let i = start; i < end; i++) {
      const real = p(i) / total;
      if (real === 0) continue;
      if (mass === 0) return Infinity;
      sum += real * Math.log(real / (mass / full / inside));
    }
  }
  return sum;
}

/**
 * The range around zero with the least Kullback-Leibler divergence between the histogram, clipped to it, and the same
 * in 128 levels. Source: Migacz, "8-bit inference with TensorRT", 2017; for ranges that are not symmetric both ends
 * move at once until one is reached. Zeros are exact in every range; behind a relu they are half of all values and would
 * make the narrowest range the best: their bin counts no more than its neighbours.
 */
export function entropyRange(histogram: ArrayLike<number>, min: number, max: number): HistogramRange {
  const bins = histogram.length;
  const width = (max - min) / bins;
  if (!(width > 0)) return [min, max];
  const zero = Math.min(Math.max(Math.floor(-min / width), 0), bins - 1);
  const counts = Float64Array.from(histogram);
  counts[zero] = Math.min(counts[zero]!, Math.max(counts[zero - 1] ?? 0, counts[zero + 1] ?? 0));
  const before = new Float64Array(bins + 1);
  for (let i = 0; i < bins; i++) before[i + 1] = before[i]! + counts[i]!;
  let best: HistogramRange = [min, max];
  let least = Infinity;
  const widest = Math.max(zero, bins - zero);
  for (let half = Math.min(LEVELS, widest); half <= widest; half += STRIDE) {
    const reach = half + STRIDE > widest ? widest : half;
    const [from, to] = [Math.max(zero - reach, 0), Math.min(zero + reach, bins)];
    const error = divergence(counts, from, to, before[from]!, before[bins]! - before[to]!);
    if (error >= least) continue;
    least = error;
    best = [min + from * width, min + to * width];
  }
  return best;
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
