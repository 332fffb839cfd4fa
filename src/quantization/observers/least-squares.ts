/**
 * Ranges with the least squared error of quantization: what is cut off against how coarse the rest becomes.
 *
 * Values inside a range of n steps of size d err by d^2 / 12 on average, except zeros, which every affine grid has
 * exactly; behind a relu that is half of all values, and a search that charges them too (PyTorch's HistogramObserver)
 * cuts off too much. Values outside err by their distance to the range. Weights are searched on themselves.
 * The idea: Banner et al., "Post training 4-bit quantization of convolutional networks", 2019.
 */

import { activeTracer } from "../../tensor/context.ts";
import { fromArray, scalar } from "../../tensor/create.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { unobservedQParams } from "./base.ts";
import type { CalculatedQParams } from "./base.ts";
import { HistogramObserver } from "./histogram.ts";
import { PerChannelMinMaxObserver } from "./min-max.ts";

/** Sums of w, w v and w v^2 over the bins before each. */
interface Moments {
  readonly count: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
}

function momentsOf(histogram: ArrayLike<number>, center: (bin: number) => number): Moments {
  const bins = histogram.length;
  const moments = {
    count: new Float64Array(bins + 1),
    first: new Float64Array(bins + 1),
    second: new Float64Array(bins + 1),
  };
  for (let i = 0; i < bins; i++) {
    const [w, v] = [histogram[i]!, center(i)];
    moments.count[i + 1] = moments.count[i]! + w;
    moments.first[i + 1] = moments.first[i]! + w * v;
    moments.second[i + 1] = moments.second[i]! + w * v * v;
  }
  return moments;
}

/** Sum of w (v - limit)^2 over bins from..to. */
function distance({ count, first, second }: Moments, from: number, to: number, limit: number): number {
  const [n, s, q] = [count[to]! - count[from]!, first[to]! - first[from]!, second[to]! - second[from]!];
  return q - 2 * limit * s + limit * limit * n;
}

/** Both ends of the range with the least squared error over a histogram of min..max, for `steps` steps. */
export function leastSquaresRange(
  histogram: ArrayLike<number>,
  min: number,
  max: number,
  steps: number,
): [number, number] {
  const bins = histogram.length;
  const width = (max - min) / bins;
  if (!(width > 0)) return [min, max];
  const moments = momentsOf(histogram, (bin) => min + (bin + 0.5) * width);
  const zero = Math.min(Math.max(Math.floor(-min / width), 0), bins - 1);
  const exact = histogram[zero]!;
  // What lies above a high end is the same for every low end.
  const highs = Float64Array.from({ length: bins + 1 }, (_, r) => min + r * width);
  const aboves = highs.map((high, r) => (r > zero ? distance(moments, r, bins, high) : 0));
  let best: [number, number] = [min, max];
  let least = Infinity;
  for (let l = 0; l <= zero; l++) {
    const low = min + l * width;
    const below = distance(moments, 0, l, low);
    if (below > least) break;
    for (let r = bins; r > zero; r--) {
      const above = aboves[r]!;
      if (below + above > least) break;
      const high = highs[r]!;
      const step = (Math.max(high, 0) - Math.min(low, 0)) / steps;
      const error = below + above + ((moments.count[r]! - moments.count[l]! - exact) * step * step) / 12;
      if (error >= least) continue;
      least = error;
      best = [low, high];
    }
  }
  return best;
}

/** A histogram like HistogramObserver's, searched for the range with the least squared error. */
export class LeastSquaresObserver extends HistogramObserver {
  /** @throws QuantError in captures: the search reads values. */
  override calculateQParams(): CalculatedQParams {
    if (!activeTracer() && !this.hasObserved) return unobservedQParams();
    const steps = this.quantMax - this.quantMin;
    const [low, high] = this.searched((counts, min, max) => leastSquaresRange(counts, min, max, steps));
    return this.qparamsOf(scalar(low), scalar(high));
  }
}

/** How far a weight's symmetric range is cut, and in how many steps that is searched. */
const MOST_CUT = 0.5;
const CUTS = 100;

/** Values between two looks at whether their error is too large already. */
const LOOK_EVERY = 32;

/**
 * Squared error of symmetric quantization of `values` with a largest value of `limit`, in levels -levels..levels; where
 * it reaches `most`, that of the first values.
 */
function symmetricError(values: Float64Array, limit: number, levels: number, most: number): number {
  const step = limit / levels;
  let error = 0;
  for (let i = 0; i < values.length && !(error >= most);) {
    for (const end = Math.min(i + LOOK_EVERY, values.length); i < end; i++) {
      const v = values[i]!;
      const q = Math.min(Math.max(Math.floor(v / step + 0.5), -levels), levels);
      error += (v - q * step) ** 2;
    }
  }
  return error;
}

/** The limit with the least squared error. */
function bestLimit(values: Float64Array, levels: number): number {
  const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  let best = largest;
  let least = symmetricError(values, largest, levels, Infinity);
  for (let cut = 1; cut <= CUTS && largest > 0; cut++) {
    const limit = largest * (1 - (MOST_CUT * cut) / CUTS);
    const error = symmetricError(values, limit, levels, least);
    if (error < least) [least, best] = [error, limit];
  }
  return best;
}

/**
 * For weights: each channel's symmetric range with the least squared error, of the last tensor seen. The range is
 * widened by the half step by which the symmetric formula divides (1.3: 127.5 for -128..127).
 */
export class PerChannelLeastSquaresObserver extends PerChannelMinMaxObserver {
  override observe(x: Tensor): void {
    if (x.numel === 0) return;
    const axis = normalizeAxis("PerChannelLeastSquaresObserver", this.chAxis, x.rank);
    const channels = x.shape[axis]!;
    const inner = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const each = x.numel / channels;
    const values = Array.from({ length: channels }, () => new Float64Array(each));
    for (let outer = 0, from = 0; from < x.numel; outer++) {
      for (const channel of values) {
        for (let i = 0; i < inner; i++) channel[outer * inner + i] = x.data[from + i]!;
        from += inner;
      }
    }
    const levels = this.quantMax;
    const stretch = (this.quantMax - this.quantMin) / 2 / levels;
    const limits = values.map((list) => bestLimit(list, levels) * stretch);
    this.setStatistics(
      fromArray(
        limits.map((v) => -v),
        [channels],
      ),
      fromArray(limits, [channels]),
    );
  }
}
