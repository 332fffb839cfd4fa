/**
 * The loops all normalizations share: y = (x - mean) / sqrt(var + eps) * weight + bias.
 *
 * Two views of the same row-major x say everything: [outer, groups, inner] gives one mean and variance a
 * group (batch norm: a channel; layer norm: a row), and [.., channels, channelInner] gives one weight and
 * bias a channel. Sums are kept in double precision, as PyTorch's CPU kernels do for batch norm, and every
 * result is rounded once.
 */

import type { TypedArray } from "../tensor/dtype.ts";
import { gradientRun, productRun, scaleRun, squareRun, sumRun } from "./norm-runs.ts";

/** How a tensor is cut, said without the batch size: what a graph can keep. */
export type NormLayout = {
  /** Groups of common statistics along their axis, or null: every run of `inner` elements is a group. */
  readonly groups: number | null;
  readonly inner: number;
  readonly channels: number;
  readonly channelInner: number;
};

/** How a tensor is cut into groups of common statistics and into channels of common weight. */
export interface NormView extends NormLayout {
  readonly outer: number;
  readonly groups: number;
}

/** The view of a tensor of `count` elements. */
export function viewOf(layout: NormLayout, count: number): NormView {
  const groups = layout.groups ?? (layout.inner > 0 ? count / layout.inner : 0);
  const outer = groups * layout.inner > 0 ? count / (groups * layout.inner) : 0;
  return { ...layout, groups, outer };
}

/** Mean and variance (biased) of each group, in double precision. */
export interface NormStats {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

function forEachRun(view: NormView, run: (start: number, end: number, group: number) => void): void {
  const { outer, groups, inner } = view;
  for (let o = 0; o < outer; o++) {
    for (let g = 0; g < groups; g++) {
      const start = (o * groups + g) * inner;
      run(start, start + inner, g);
    }
  }
}

/** Two passes: the mean, then the mean squared distance from it. */
export function groupStats(x: TypedArray, view: NormView): NormStats {
  const count = view.outer * view.inner;
  const mean = new Float64Array(view.groups);
  forEachRun(view, (start, end, g) => {
    mean[g]! += sumRun(x, start, end);
  });
  for (let g = 0; g < mean.length; g++) mean[g]! /= count;
  const variance = new Float64Array(view.groups);
  forEachRun(view, (start, end, g) => {
    variance[g]! += squareRun(x, start, end, mean[g]!);
  });
  for (let g = 0; g < variance.length; g++) variance[g]! /= count;
  return { mean, variance };
}

function inverseStd(variance: Float64Array, eps: number): Float64Array {
  return variance.map((v) => 1 / Math.sqrt(v + eps));
}

/**
 * Walks the pieces whose elements share a group: a channel each (`step` 0), or, where channels are innermost, a
 * whole row with one element a channel (`step` 1). `channel` is that of the first element.
 */
function forEachPiece(
  view: NormView,
  piece: (start: number, end: number, group: number, channel: number, step: 0 | 1) => void,
): void {
  const { channels, channelInner } = view;
  forEachRun(view, (start, end, group) => {
    for (let from = start; from < end;) {
      const channel = Math.floor(from / channelInner) % channels;
      const step = channelInner === 1 ? 1 : 0;
      const to = Math.min(end, step ? from + channels - channel : from - (from % channelInner) + channelInner);
      piece(from, to, group, channel, step);
      from = to;
    }
  });
}

/** y for given statistics. */
export function normalizeInto(
  y: TypedArray,
  x: TypedArray,
  weight: TypedArray | null,
  bias: TypedArray | null,
  { mean, variance }: NormStats,
  view: NormView,
  eps: number,
): void {
  const inverse = inverseStd(variance, eps);
  const scale = weight ?? new Float64Array(view.channels).fill(1);
  const shift = bias ?? new Float64Array(view.channels);
  forEachPiece(view, (start, end, g, channel, step) => {
    const k = inverse[g]!;
    const m = mean[g]!;
    if (step === 0) scaleRun(y, x, start, end, m, k * scale[channel]!, shift[channel]!);
    else for (let i = start, c = channel; i < end; i++, c++) y[i] = (x[i]! - m) * (k * scale[c]!) + shift[c]!;
  });
}

/** Where the gradients of one normalization are written. */
export interface NormGradients {
  readonly x: TypedArray;
  readonly weight: Float64Array;
  readonly bias: Float64Array;
}

/**
 * With z = (x - mean) / std and g = dy * weight:
 * dx = (g - mean(g) - z mean(g z)) / std, without the two means when the statistics are fixed;
 * dweight = sum of dy z, dbias = sum of dy.
 */
export function normGradients(
  dy: TypedArray,
  x: TypedArray,
  weight: TypedArray | null,
  stats: NormStats,
  view: NormView,
  { eps, fixed }: { readonly eps: number; readonly fixed: boolean },
  out: NormGradients,
): void {
  const inverse = inverseStd(stats.variance, eps);
  const scale = weight ?? new Float64Array(view.channels).fill(1);
  const sumG = new Float64Array(view.groups);
  const sumGZ = new Float64Array(view.groups);
  forEachPiece(view, (start, end, g, channel, step) => {
    const m = stats.mean[g]!;
    const k = inverse[g]!;
    const add = (c: number, dBias: number, dWeight: number): void => {
      out.bias[c]! += dBias;
      out.weight[c]! += dWeight;
      sumG[g]! += scale[c]! * dBias;
      sumGZ[g]! += scale[c]! * dWeight;
    };
    if (step === 0) add(channel, sumRun(dy, start, end), productRun(dy, x, start, end, m) * k);
    else for (let i = start, c = channel; i < end; i++, c++) add(c, dy[i]!, dy[i]! * (x[i]! - m) * k);
  });
  const count = view.outer * view.inner;
  forEachPiece(view, (start, end, g, channel, step) => {
    const k = inverse[g]!;
    const m = stats.mean[g]!;
    const meanG = fixed ? 0 : sumG[g]! / count;
    const slope = fixed ? 0 : (k * sumGZ[g]!) / count;
    if (step === 0) gradientRun(out.x, dy, x, start, end, m, k * scale[channel]!, k * meanG, k * slope);
    else {
      for (let i = start, c = channel; i < end; i++, c++) {
        out.x[i] = k * (scale[c]! * dy[i]! - meanG - slope * (x[i]! - m));
      }
    }
  });
}
