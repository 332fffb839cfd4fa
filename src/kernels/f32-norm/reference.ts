/** The specification of f32-norm: sums in double, which the kernels come close to; other results rounded as the kernels do. */

const { fround } = Math;

/** sum over p of term(x index), by channel. */
function sumByChannel(length: number, channels: number, term: (i: number, c: number) => number): Float64Array {
  const sums = new Float64Array(channels);
  for (let i = 0; i < length; i++) sums[i % channels]! += term(i, i % channels);
  return sums;
}

export interface Moments {
  readonly mean: Float64Array;
  /** Biased. */
  readonly variance: Float64Array;
  readonly lows: Float32Array;
  readonly highs: Float32Array;
}

export function channelMomentsReference(x: Float32Array, channels: number): Moments {
  const pixels = x.length / channels;
  const all = Array.from({ length: channels }, (_, c) =>
    Array.from({ length: pixels }, (_, p) => x[p * channels + c]!),
  );
  const mean = sumByChannel(x.length, channels, (i) => x[i]! / pixels);
  return {
    mean,
    variance: sumByChannel(x.length, channels, (i, c) => (x[i]! - mean[c]!) ** 2 / pixels),
    lows: Float32Array.from(all, (values) => Math.min(...values)),
    highs: Float32Array.from(all, (values) => Math.max(...values)),
  };
}

/** Per-channel affine function, and the open interval its value must lie in for a gradient to pass. */
export interface Gate {
  readonly scale: Float32Array;
  readonly shift: Float32Array;
  readonly low: number;
  readonly high: number;
}

export function gatedReference(dy: Float32Array, x: Float32Array, { scale, shift, low, high }: Gate): Float32Array {
  return dy.map((d, i) => {
    const c = i % scale.length;
    const y = fround(fround(x[i]! * scale[c]!) + shift[c]!);
    return y > low && y < high ? d : 0;
  });
}

/** Sums of g and of g (x - mean). */
export function channelProductsReference(g: Float32Array, x: Float32Array, mean: Float64Array): Float64Array[] {
  const channels = mean.length;
  return [
    sumByChannel(x.length, channels, (i) => g[i]!),
    sumByChannel(x.length, channels, (i, c) => g[i]! * (x[i]! - mean[c]!)),
  ];
}

/** g * a + ((x - mean) * b + k) with per-channel values, each step rounded. */
export function batchNormGradReference(
  g: Float32Array,
  x: Float32Array,
  mean: Float32Array,
  a: Float32Array,
  b: Float32Array,
  k: Float32Array,
): Float32Array {
  const channels = mean.length;
  return g.map((d, i) => {
    const c = i % channels;
    const rest = fround(fround(fround(x[i]! - mean[c]!) * b[c]!) + k[c]!);
    return fround(d * a[c]!) + rest;
  });
}

/** Sum in four parts by index modulo 4, as four lanes add. */
function lanesSum(row: Float32Array, term: (v: number) => number): number {
  const parts: [number, number, number, number] = [0, 0, 0, 0];
  row.forEach((v, i) => {
    parts[i % 4]! += term(v);
  });
  return parts[0] + parts[1] + (parts[2] + parts[3]);
}

/** Layer norm of rows of n. */
export function layerNormReference(
  x: Float32Array,
  n: number,
  weight: Float32Array | null,
  bias: Float32Array | null,
  eps: number,
): Float32Array {
  const y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += n) {
    const row = x.subarray(start, start + n);
    const mean = lanesSum(row, (v) => v) / n;
    const squares = lanesSum(row, (v) => (v - mean) * (v - mean));
    const scale = fround(1 / Math.sqrt(squares / n + eps));
    row.forEach((v, i) => {
      const scaled = fround(fround(fround(v - mean) * scale) * (weight?.[i] ?? 1));
      y[start + i] = bias ? scaled + bias[i]! : scaled;
    });
  }
  return y;
}
