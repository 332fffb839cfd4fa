/** Ranges that leave outliers out, against their definitions. */

import { describe, expect, test } from "vitest";
import { percentileRange } from "../../src/quantization/observers/clipping.ts";
import { entropyRange } from "../../src/quantization/observers/entropy-range.ts";
import { Generator } from "../../src/tensor/random.ts";
import { randn } from "../../src/tensor/create.ts";

const LEVELS = 128;
const STRIDE = 4;

/** Sum of p log(p / q) of a clipped histogram, straight from the paper. */
function divergence(counts: readonly number[], from: number, to: number): number {
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  const kept = counts.slice(from, to);
  const real = [...kept];
  real[0]! += sum(counts.slice(0, from));
  real[real.length - 1]! += sum(counts.slice(to));
  const levels = Math.min(LEVELS, kept.length);
  const level = (i: number): number => Math.ceil(((i + 1) * levels) / kept.length) - 1;
  const groups = Array.from({ length: levels }, () => ({ mass: 0, full: 0 }));
  kept.forEach((count, i) => (groups[level(i)]!.mass += count));
  real.forEach((count, i) => (groups[level(i)]!.full += Number(count > 0)));
  const [total, inside] = [sum(counts), sum(kept)];
  return sum(
    real.map((count, i) => {
      if (count === 0) return 0;
      const { mass, full } = groups[level(i)]!;
      const [p, q] = [count / total, mass / full / inside];
      return q === 0 ? Infinity : p * Math.log(p / q);
    }),
  );
}

/** Every candidate by definition. */
function bruteForce(histogram: readonly number[], min: number, max: number): [low: number, high: number] {
  const bins = histogram.length;
  const width = (max - min) / bins;
  const zero = Math.min(Math.max(Math.floor(-min / width), 0), bins - 1);
  const counts = [...histogram];
  counts[zero] = Math.min(counts[zero]!, Math.max(counts[zero - 1] ?? 0, counts[zero + 1] ?? 0));
  const widest = Math.max(zero, bins - zero);
  let [least, from, to] = [Infinity, 0, bins];
  for (let half = Math.min(LEVELS, widest); half <= widest; half += STRIDE) {
    const reach = half + STRIDE > widest ? widest : half;
    const [low, high] = [Math.max(zero - reach, 0), Math.min(zero + reach, bins)];
    const error = divergence(counts, low, high);
    if (error < least) [least, from, to] = [error, low, high];
  }
  return [min + from * width, min + to * width];
}

/** Counts of a bell, long tails, gaps, fractions as widening leaves them. */
function histogram(seed: number, bins: number, min: number, max: number): number[] {
  const noise = randn([bins], { generator: new Generator(seed) }).data;
  return Array.from(noise, (v, i) => {
    const x = min + ((i + 0.5) * (max - min)) / bins;
    const bell = 1e6 * Math.exp(-x * x * (1 + (seed % 3)));
    const count = Math.floor(bell * (1 + 0.1 * v)) + (Math.abs(v) > 1.5 ? 3 : 0);
    return Math.max(0, seed % 2 ? count / 16 ** (i % 3) : count);
  });
}

describe("the range of least divergence", () => {
  const shapes: readonly (readonly [min: number, max: number])[] = [
    [-4, 4],
    [0, 6],
    [-1, 5],
    [-6, 0.5],
    [0.5, 3],
  ];
  test.each(shapes)("over %f..%f is the definition's", (min, max) => {
    const found = new Set<string>();
    for (let seed = 0; seed < 12; seed++) {
      const counts = histogram(seed, 256 + 37 * seed, min, max);
      const range = entropyRange(counts, min, max);
      expect(range, `seed ${seed}`).toEqual(bruteForce(counts, min, max));
      found.add(range.join());
    }
    expect(found.size).toBeGreaterThan(1);
  });

  test("of next to no bins, of one value and of nothing", () => {
    for (const counts of [[5], [0, 7, 0], [1, 0, 2, 0, 3], [0, 0, 0, 0]])
      expect(entropyRange(counts, -1, 2), counts.join()).toEqual(bruteForce(counts, -1, 2));
    expect(entropyRange([3, 0], 2, 2)).toEqual([2, 2]);
  });
});

describe("percentiles", () => {
  test("leave the same part out at both ends, within a bin too", () => {
    const [low, high] = percentileRange([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 10, 0.7);
    expect(low).toBeCloseTo(1.5, 12);
    expect(high).toBeCloseTo(8.5, 12);
  });

  test("of all values are the range", () => {
    expect(percentileRange([2, 0, 3], -3, 3, 1)).toEqual([-3, 3]);
  });
});
