/**
 * What is known of one layer, batch by batch: sums and counts, never the values themselves.
 */

import { ShapeError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Grid } from "./grid.ts";
import { StreamingHistogram } from "./value-histogram.ts";
import type { ValueHistogram } from "./value-histogram.ts";

export interface LayerMeasures {
  /** Signal to noise of the quantized output in dB; Infinity when equal. JSON writes that as null. */
  readonly sqnr: number;
  readonly cosine: number;
  readonly maxError: number;
  /**
   * Share of quantized values at an end of their range; null for float outputs. An end that stands for zero does not
   * count: half of what a ReLU gives is there by right.
   */
  readonly saturation: number | null;
  /** Share of float values outside what the integers can express; null for float outputs. */
  readonly clipping: number | null;
  /** Share of zeros among the float and among the quantized values. */
  readonly zeros: readonly [float: number, quantized: number];
  /** Share of quantized values that are zero while the float value is not. */
  readonly lostToZero: number;
  /** Mean square of the float output. */
  readonly signal: number;
  /** Mean squared error of the output. */
  readonly error: number;
  /**
   * Of that, what the layer itself adds: distance from the float layer on the inputs that the quantized one got. Null
   * where the float layer cannot be run on them.
   */
  readonly errorMadeHere: number | null;
  /**
   * And what came in wrong: distance of the float layer on those inputs from the float layer on its own. The two need
   * not add up to the whole: they may cancel or point the same way.
   */
  readonly errorInherited: number | null;
  /** Float values, with the range of the integers over them. */
  readonly histogram: ValueHistogram;
}

function meanSquare(sum: number, count: number): number {
  return sum / Math.max(count, 1);
}

export class Tally {
  private count = 0;
  private readonly sums = { xx: 0, dd: 0, xy: 0, yy: 0, made: 0, inherited: 0 };
  private readonly counts = { saturated: 0, clipped: 0, floatZeros: 0, quantizedZeros: 0, lost: 0 };
  private largest = 0;
  private grid: Grid | null = null;
  private isRerun = true;
  private readonly histogram = new StreamingHistogram();

  /**
   * One batch of the float output, the quantized one as real numbers, and the float layer on the quantized inputs.
   * @throws ShapeError when they differ in size.
   */
  add(float: Tensor, given: Tensor, alone: Tensor | null, grid: Grid | null): void {
    if (float.numel !== given.numel) {
      throw new ShapeError("compare", { float: float.shape, quantized: given.shape }, "outputs must have one shape");
    }
    this.count += float.numel;
    this.grid = grid ?? this.grid;
    this.addErrors(float.data, given.data);
    if (grid) this.addEnds(float.data, given.data, grid);
    if (alone?.numel === float.numel) this.addParts(float.data, given.data, alone.data);
    else this.isRerun = false;
    this.histogram.add(float.data);
  }

  private addErrors(x: ArrayLike<number>, y: ArrayLike<number>): void {
    const { sums, counts } = this;
    for (let i = 0; i < x.length; i++) {
      const [a, b] = [x[i]!, y[i]!];
      const difference = a - b;
      sums.xx += a * a;
      sums.yy += b * b;
      sums.xy += a * b;
      sums.dd += difference * difference;
      this.largest = Math.max(this.largest, Math.abs(difference));
      if (a === 0) counts.floatZeros++;
      if (b === 0) {
        counts.quantizedZeros++;
        if (a !== 0) counts.lost++;
      }
    }
  }

  /** Half a step beyond the ends still rounds to them. */
  private addEnds(x: ArrayLike<number>, y: ArrayLike<number>, { min, max, step }: Grid): void {
    const { counts } = this;
    const half = step / 2;
    const [low, high] = [min === 0 ? -Infinity : min + half, max === 0 ? Infinity : max - half];
    for (let i = 0; i < x.length; i++) {
      const [a, b] = [x[i]!, y[i]!];
      if (a < min - half || a > max + half) counts.clipped++;
      if (b < low || b > high) counts.saturated++;
    }
  }

  private addParts(x: ArrayLike<number>, y: ArrayLike<number>, alone: ArrayLike<number>): void {
    const { sums } = this;
    for (let i = 0; i < x.length; i++) {
      sums.made += (alone[i]! - y[i]!) ** 2;
      sums.inherited += (x[i]! - alone[i]!) ** 2;
    }
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  result(): LayerMeasures {
    const { sums, counts, count, grid } = this;
    const share = (n: number): number => n / Math.max(count, 1);
    const part = (sum: number): number | null => (this.isRerun ? meanSquare(sum, count) : null);
    return {
      sqnr: 20 * Math.log10(Math.sqrt(sums.xx) / Math.sqrt(sums.dd)),
      cosine: sums.xy / Math.sqrt(Math.max(sums.xx, 1e-16) * Math.max(sums.yy, 1e-16)),
      maxError: this.largest,
      saturation: grid && share(counts.saturated),
      clipping: grid && share(counts.clipped),
      zeros: [share(counts.floatZeros), share(counts.quantizedZeros)],
      lostToZero: share(counts.lost),
      signal: meanSquare(sums.xx, count),
      error: meanSquare(sums.dd, count),
      errorMadeHere: part(sums.made),
      errorInherited: part(sums.inherited),
      histogram: this.histogram.result(grid && { min: grid.min, max: grid.max }),
    };
  }
}
