/**
 * Histograms of running calibration data: counting, and moving counts into a wider range.
 *
 * Bit-exact with ATen's histc and HistogramObserver._upscale_histogram: everything is float32 arithmetic, weighted
 * counts included, which bincount adds up one by one in the dtype of its weights. Source:
 * ATen/native/cpu/HistogramKernel.cpp, ATen/native/SummaryOps.cpp, torch/ao/quantization/observer.py.
 */

import type { TypedArray } from "../../tensor/dtype.ts";
import { rangeOf } from "./ranges.ts";
import type { Range } from "./ranges.ts";

const { fround } = Math;

/** Old bins are cut into this many before they are moved. */
const UPSAMPLE = 16;

export interface Histogram extends Range {
  /** float32 counts. */
  readonly counts: Float32Array;
}

/** Edges as histc takes them: a range without width is the data's own, or one to each side of it. */
export function histogramEdges(data: Range, min: number, max: number): Range {
  if (min !== max) return { min, max };
  return data.min === data.max ? { min: fround(data.min - 1), max: fround(data.max + 1) } : data;
}

/** How many values fall into each of `bins` equal bins of min..max; values outside are ignored. float32. */
export function histc(x: TypedArray, bins: number, min: number, max: number): Float32Array {
  const data = min === max && x.length > 0 ? rangeOf(x, 0, x.length) : { min, max };
  const { min: low, max: high } = histogramEdges(data, min, max);
  const width = fround(high - low);
  const counts = new Float64Array(bins);
  for (let i = 0; i < x.length; i++) {
    const v = x[i]!;
    if (!(v >= low && v <= high)) continue;
    const bin = fround(fround(fround(v - low) * bins) / width) | 0;
    counts[bin < bins ? bin : bins - 1]! += 1;
  }
  return Float32Array.from(counts);
}

/** n float32 values from a to b, by their index: each rounded once, counted from the nearer end. Source: ATen's linspace. */
function linspace(a: number, b: number, n: number): (i: number) => number {
  const step = fround(fround(b - a) / (n - 1));
  const half = Math.floor(n / 2);
  return (i) => fround(i < half ? a + step * i : b - step * (n - 1 - i));
}

/** Counts of a histogram seen through the bins of a wider range. */
export function moveCounts({ counts, min, max }: Histogram, newMin: number, newMax: number): Float32Array {
  const bins = counts.length;
  if (min === newMin && max === newMax) return counts;
  if (min === max) {
    const total = fround(counts.reduce((sum, v) => sum + v, 0));
    return histc(Float32Array.of(min), bins, newMin, newMax).map((v) => v * total);
  }
  const moved = new Float32Array(bins);
  const fine = bins * UPSAMPLE;
  const edge = linspace(min, max, fine + 1);
  const half = fround(0.5 * fround(fround(max - min) / fine));
  const boundary = linspace(newMin, newMax, bins + 1);
  // Midpoints rise, so the boundary left of each is found by walking on from the last one's.
  let bin = -1;
  let next = boundary(0);
  for (let old = 0; old < bins; old++) {
    const part = counts[old]! / UPSAMPLE;
    if (part === 0) continue;
    for (let i = old * UPSAMPLE; i < (old + 1) * UPSAMPLE; i++) {
      const midpoint = fround(edge(i) + half);
      while (bin < bins && next <= midpoint) next = boundary(++bin + 1);
      moved[Math.min(Math.max(bin, 0), bins - 1)]! += part;
    }
  }
  return moved;
}

/** Sum of two counts, rounded once to float32. */
export function addCounts(a: ArrayLike<number>, b: ArrayLike<number>): Float32Array {
  const sums = new Float32Array(a.length);
  for (let i = 0; i < sums.length; i++) sums[i] = a[i]! + b[i]!;
  return sums;
}

/**
 * The histogram after one more batch of finite values with range `batch`. `before` null: this is the first.
 * @param countsOf how many of the batch's values fall into each of the bins of a range, as histc.
 */
export function updateHistogram(
  before: Histogram | null,
  batch: Range,
  countsOf: (min: number, max: number) => Float32Array,
): Histogram {
  const [batchMin, batchMax] = [fround(batch.min), fround(batch.max)];
  if (!before) return { counts: countsOf(batchMin, batchMax), min: batchMin, max: batchMax };
  const min = Math.min(before.min, batchMin);
  const max = Math.max(before.max, batchMax);
  const fresh = countsOf(min, max);
  return { counts: addCounts(fresh, moveCounts(before, min, max)), min, max };
}
