import { describe, expect, test } from "vitest";
import {
  LeastSquaresObserver,
  PerChannelLeastSquaresObserver,
  leastSquaresRange,
} from "../../src/quantization/observers/least-squares.ts";
import { HistogramObserver } from "../../src/quantization/observers/histogram.ts";
import { PerChannelMinMaxObserver } from "../../src/quantization/observers/min-max.ts";
import { fakeQuantizePerChannelAffine, fakeQuantizePerTensorAffine } from "../../src/ops/quantize/fake-quantize.ts";
import { relu } from "../../src/ops/index.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { fromArray, randn } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(5);

function error(a: Tensor, b: Tensor): number {
  return Array.from(a.data, (v, i) => (v - b.data[i]!) ** 2).reduce((sum, v) => sum + v, 0);
}

/** The error over every pair of ends, by definition. */
function bruteForce(histogram: readonly number[], min: number, max: number, steps: number): number[] {
  const bins = histogram.length;
  const width = (max - min) / bins;
  const zero = Math.floor(-min / width);
  const edges = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, i) => min + (from + i) * width);
  const errors = edges(0, zero).flatMap((low) =>
    edges(zero + 1, bins).map((high) => {
      const step = (high - low) / steps;
      const parts = histogram.map((count, i) => {
        const v = min + (i + 0.5) * width;
        const inside = i === zero ? 0 : (step * step) / 12;
        return count * (v < low ? (v - low) ** 2 : v > high ? (v - high) ** 2 : inside);
      });
      return { low, high, error: parts.reduce((a, b) => a + b, 0) };
    }),
  );
  const least = errors.reduce((best, one) => (one.error < best.error ? one : best));
  return [least.low, least.high];
}

describe("ranges of least squared error", () => {
  test("equal the definition", () => {
    for (let run = 0; run < 20; run++) {
      const histogram = Array.from(randn([24]).data, (v, i) =>
        Math.floor(Math.abs(v) * 10 * (i > 4 && i < 18 ? 20 : 1)),
      );
      const range = leastSquaresRange(histogram, -1.5, 4.5, 15);
      const expected = bruteForce(histogram, -1.5, 4.5, 15);
      expect(range[0]).toBeCloseTo(expected[0]!, 12);
      expect(range[1]).toBeCloseTo(expected[1]!, 12);
    }
  });

  test("of a constant is the constant", () => {
    expect(leastSquaresRange([0, 3, 0], 2, 2, 255)).toEqual([2, 2]);
  });

  test("lose less than PyTorch's histogram search behind a relu", () => {
    const x = relu(randn([40000]));
    const errors = [LeastSquaresObserver, HistogramObserver].map((Observer) => {
      const observer = new Observer({ dtype: "uint8" });
      observer.observe(x);
      const { scale, zeroPoint } = observer.calculateQParams();
      return error(x, fakeQuantizePerTensorAffine(x, scale.item(), zeroPoint.item(), 0, 255));
    });
    expect(errors[0]).toBeLessThan(errors[1]!);
  });

  test("of weights in 4 bits lose far less than those of the largest value", () => {
    const weight = randn([6, 200]);
    const options = { dtype: "qint8", qscheme: "per_channel_symmetric", quantMin: -7, quantMax: 7 } as const;
    const errors = [PerChannelLeastSquaresObserver, PerChannelMinMaxObserver].map((Observer) => {
      const observer = new Observer(options);
      observer.observe(weight);
      const { scale, zeroPoint } = observer.calculateQParams();
      return error(weight, fakeQuantizePerChannelAffine(weight, scale, zeroPoint, 0, -7, 7));
    });
    expect(errors[0]).toBeLessThan(0.9 * errors[1]!);
  });

  test("nothing seen gives PyTorch's answer; zeros give the smallest scale", () => {
    expect(new LeastSquaresObserver().calculateQParams().observed).toBe(false);
    const observer = new PerChannelLeastSquaresObserver({ dtype: "qint8", qscheme: "per_channel_symmetric" });
    observer.observe(fromArray([0, 0, 0, 0], [2, 2]));
    expect([...observer.calculateQParams().scale.data].every((s) => s > 0)).toBe(true);
  });
});
