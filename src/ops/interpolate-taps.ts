/**
 * Which input positions an interpolated output position reads along one axis, and with what weights.
 *
 * Interpolation is separable, so an axis at a time is enough. Positions follow ATen/native/UpSample.h; for
 * float32 they are computed in float32, because a position that rounds across an integer picks another pixel.
 */

export type InterpolateMode = "nearest" | "nearest-exact" | "linear" | "bilinear" | "trilinear" | "bicubic";

/** `count` taps an output position: y[o] = sum over t of weight[o * count + t] * x[index[o * count + t]]. */
export interface Taps {
  readonly count: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

export interface AxisOptions {
  readonly mode: InterpolateMode;
  readonly alignCorners: boolean;
  /** The factor the user gave, or null when the size was given. */
  readonly scale: number | null;
  /** Rounding of every step: Math.fround for float32. */
  readonly round: (v: number) => number;
}

type Source = (o: number) => number;

/** Distance in the input between neighbouring output positions. */
function stepOf(size: number, out: number, { alignCorners, scale, round }: AxisOptions): number {
  if (alignCorners) return out > 1 ? round((size - 1) / (out - 1)) : 0;
  return round(scale !== null && scale > 0 ? 1 / scale : size / out);
}

function nearestTaps(size: number, out: number, options: AxisOptions): Taps {
  const { mode, round } = options;
  const step = stepOf(size, out, { ...options, alignCorners: false });
  const source: Source = mode === "nearest" ? (o) => round(o * step) : (o) => round((o + 0.5) * step);
  const index = Int32Array.from({ length: out }, (_, o) => Math.min(Math.floor(source(o)), size - 1));
  return { count: 1, index, weight: new Float64Array(out).fill(1) };
}

/** Centres of pixels, or with alignCorners the pixels' corners, map onto each other. */
function sourceOf(size: number, out: number, options: AxisOptions): Source {
  const { alignCorners, round } = options;
  const step = stepOf(size, out, options);
  return alignCorners ? (o) => round(step * o) : (o) => round(round(step * (o + 0.5)) - 0.5);
}

function linearTaps(size: number, out: number, options: AxisOptions): Taps {
  const { round } = options;
  const source = sourceOf(size, out, options);
  const index = new Int32Array(out * 2);
  const weight = new Float64Array(out * 2);
  for (let o = 0; o < out; o++) {
    const at = size === out ? o : Math.max(source(o), 0);
    const low = Math.min(Math.floor(at), size - 1);
    const part = Math.min(Math.max(round(at - low), 0), 1);
    index.set([low, Math.min(low + 1, size - 1)], o * 2);
    weight.set([round(1 - part), part], o * 2);
  }
  return { count: 2, index, weight };
}

/** Keys' cubic kernel with a = -0.75, as PyTorch and OpenCV. */
const CUBIC_A = -0.75;

function near(t: number): number {
  return ((CUBIC_A + 2) * t - (CUBIC_A + 3)) * t * t + 1;
}

function far(t: number): number {
  return ((CUBIC_A * t - 5 * CUBIC_A) * t + 8 * CUBIC_A) * t - 4 * CUBIC_A;
}

function cubicTaps(size: number, out: number, options: AxisOptions): Taps {
  const { round } = options;
  const source = sourceOf(size, out, options);
  const index = new Int32Array(out * 4);
  const weight = new Float64Array(out * 4);
  for (let o = 0; o < out; o++) {
    const at = source(o);
    const low = Math.floor(at);
    const t = round(at - low);
    const clamp = (i: number): number => Math.min(Math.max(i, 0), size - 1);
    index.set([clamp(low - 1), clamp(low), clamp(low + 1), clamp(low + 2)], o * 4);
    weight.set([far(t + 1), near(t), near(1 - t), far(2 - t)], o * 4);
  }
  return { count: 4, index, weight };
}

/** Taps of one axis that goes from `size` to `out` positions. */
export function tapsOf(size: number, out: number, options: AxisOptions): Taps {
  const { mode } = options;
  if (mode === "nearest" || mode === "nearest-exact") return nearestTaps(size, out, options);
  return (mode === "bicubic" ? cubicTaps : linearTaps)(size, out, options);
}

/** y [outer, out, inner] from x [outer, size, inner]. */
export function applyTaps(
  x: Float64Array,
  outer: number,
  size: number,
  inner: number,
  out: number,
  taps: Taps,
): Float64Array {
  const { count, index, weight } = taps;
  const y = new Float64Array(outer * out * inner);
  for (let a = 0; a < outer; a++) {
    for (let o = 0; o < out; o++) {
      const to = (a * out + o) * inner;
      for (let t = o * count; t < (o + 1) * count; t++) {
        const from = (a * size + index[t]!) * inner;
        const w = weight[t]!;
        for (let i = 0; i < inner; i++) y[to + i]! += w * x[from + i]!;
      }
    }
  }
  return y;
}

/** The transpose of `applyTaps`: x [outer, size, inner] from y [outer, out, inner]. */
export function spreadTaps(
  y: Float64Array,
  outer: number,
  size: number,
  inner: number,
  out: number,
  taps: Taps,
): Float64Array {
  const { count, index, weight } = taps;
  const x = new Float64Array(outer * size * inner);
  for (let a = 0; a < outer; a++) {
    for (let o = 0; o < out; o++) {
      const from = (a * out + o) * inner;
      for (let t = o * count; t < (o + 1) * count; t++) {
        const to = (a * size + index[t]!) * inner;
        const w = weight[t]!;
        for (let i = 0; i < inner; i++) x[to + i]! += w * y[from + i]!;
      }
    }
  }
  return x;
}
