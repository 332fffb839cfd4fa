/**
 * The specification of f32-norm. Sums by channel are given twice: in double, which is what they mean, and in the kernels'
 * order, block by block in slots, which is what the simd build gives bit for bit. Other results are rounded as the kernels do.
 */

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

/** How sums by channel are cut: lines of `pixels` dense pixels, shared among slots one after the other. */
export interface Slots {
  readonly lines: number;
  readonly pixels: number;
  readonly channels: number;
  readonly slots: number;
}

/** Pixels summed in float32 before they are added in double; shared/lines.as.ts has the kernels' own. */
const BLOCK = 64;

/** Two sums of every slot and channel, [slots * channels] each: float32 within blocks of pixels, double from block to block. */
function sumSlots(
  { lines, pixels, channels, slots }: Slots,
  first: (i: number, c: number, slot: number) => number,
  second: (sum: number, i: number, c: number, slot: number) => number,
): [Float64Array, Float64Array] {
  const sums: [Float64Array, Float64Array] = [new Float64Array(slots * channels), new Float64Array(slots * channels)];
  for (let slot = 0; slot < slots; slot++) {
    const end = Math.floor(((slot + 1) * lines) / slots);
    for (let line = Math.floor((slot * lines) / slots); line < end; line++) {
      for (let block = 0; block < pixels; block += BLOCK) {
        for (let c = 0; c < channels; c++) {
          let [a, b] = [0, 0];
          for (let p = block; p < Math.min(block + BLOCK, pixels); p++) {
            const i = (line * pixels + p) * channels + c;
            a = fround(a + first(i, c, slot));
            b = second(b, i, c, slot);
          }
          sums[0][slot * channels + c]! += a;
          sums[1][slot * channels + c]! += b;
        }
      }
    }
  }
  return sums;
}

/** Sums of x - pivot and of its square, and the pivots: the first pixel of every slot, [slots * channels]. */
export function momentSlotsReference(
  x: Float32Array,
  cut: Slots,
): { sums: Float64Array; squares: Float64Array; pivots: Float32Array } {
  const { lines, pixels, channels, slots } = cut;
  const pivots = Float32Array.from({ length: slots * channels }, (_, i) => {
    const [slot, c] = [Math.floor(i / channels), i % channels];
    const begin = Math.floor((slot * lines) / slots);
    return begin < Math.floor(((slot + 1) * lines) / slots) ? x[begin * pixels * channels + c]! : 0;
  });
  const away = (i: number, c: number, slot: number): number => fround(x[i]! - pivots[slot * channels + c]!);
  const [sums, squares] = sumSlots(cut, away, (sum, i, c, slot) => fround(fround(away(i, c, slot) ** 2) + sum));
  return { sums, squares, pivots };
}

/** Sums of g and of g (x - mean), [slots * channels] each. */
export function productSlotsReference(
  g: Float32Array,
  x: Float32Array,
  mean: Float32Array,
  cut: Slots,
): [Float64Array, Float64Array] {
  return sumSlots(
    cut,
    (i) => g[i]!,
    (sum, i, c) => fround(fround(g[i]! * fround(x[i]! - mean[c]!)) + sum),
  );
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
