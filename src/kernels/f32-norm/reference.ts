/** The specification of f32-norm: sums in double over pixels in order, results rounded as the kernels do. */

const { fround } = Math;

/** sum over p of term(x index), by channel. */
function sumByChannel(length: number, channels: number, term: (i: number, c: number) => number): Float64Array {
  const sums = new Float64Array(channels);
  for (let i = 0; i < length; i++) sums[i % channels]! += term(i, i % channels);
  return sums;
}

export function channelSumsReference(x: Float32Array, channels: number): Float64Array {
  return sumByChannel(x.length, channels, (i) => x[i]!);
}

export function channelSquaresReference(x: Float32Array, mean: Float64Array): Float64Array {
  return sumByChannel(x.length, mean.length, (i, c) => (x[i]! - mean[c]!) * (x[i]! - mean[c]!));
}

export function channelProductsReference(dy: Float32Array, x: Float32Array, mean: Float64Array): Float64Array {
  return sumByChannel(x.length, mean.length, (i, c) => dy[i]! * (x[i]! - mean[c]!));
}

/** dy * a + (x - mean) * b + k with per-channel values, each step rounded. */
export function batchNormGradReference(
  dy: Float32Array,
  x: Float32Array,
  mean: Float32Array,
  a: Float32Array,
  b: Float32Array,
  k: Float32Array,
): Float32Array {
  const channels = mean.length;
  return dy.map((d, i) => {
    const c = i % channels;
    const sum = fround(fround(d * a[c]!) + fround(fround(x[i]! - mean[c]!) * b[c]!));
    return sum + k[c]!;
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
