/**
 * Packing of integer weights into panels of eight output channels, once, when a layer is loaded.
 *
 * The kernels see K as runs of contiguous input bytes, each padded with zero weights to a multiple of
 * four. Dot-product panels are s8 [panel][run][k / 4][8 channels][4]; plain SIMD panels are i16
 * [panel][run][k / 2][8 channels][2].
 * Weight zero points are subtracted here, so no product kernel knows about them. The kernels of ../qpack do the same.
 */

import { ArgumentError } from "../../errors.ts";
import { NR } from "./layout.ts";
import type { Variant } from "./list.ts";
import type { WeightFacts } from "./variant.ts";

/** A tap that takes no weight: what is read there does not count. */
export const NO_WEIGHT = -1;

/** Where the weights of output channel o, run r, position i are: source[base + o * channelStride + taps[r * runLength + i]], or NO_WEIGHT. */
export interface WeightSource {
  readonly data: Int8Array | Uint8Array;
  /** One for all channels, or one a channel; 0 when absent. */
  readonly zeroPoints?: ArrayLike<number>;
  readonly channels: number;
  readonly base: number;
  readonly channelStride: number;
  readonly runs: number;
  readonly runLength: number;
  readonly taps: Int32Array;
}

/** Panels in memory order. */
export interface Panels {
  readonly bytes: Uint8Array;
  readonly panelBytes: number;
}

export interface PackedWeights {
  readonly variant: Variant;
  /** s8 panels; absent in plain SIMD. */
  readonly narrow: Panels | null;
  /** i16 panels; only for plain SIMD and the guarded variant. */
  readonly wide: Panels | null;
  /** Sum of (weight - zero point) of every channel. */
  readonly sums: Int32Array;
  /** Sum of their absolute values. */
  readonly magnitudes: Int32Array;
}

/** Sums and magnitudes of rows, one a channel. */
export function channelSums(
  rows: Int16Array,
  channels: number,
): { readonly sums: Int32Array; readonly magnitudes: Int32Array } {
  const depth = channels === 0 ? 0 : rows.length / channels;
  const sums = new Int32Array(channels);
  const magnitudes = new Int32Array(channels);
  for (let o = 0, k = 0; o < channels; o++) {
    let sum = 0;
    let magnitude = 0;
    for (const end = k + depth; k < end; k++) {
      const weight = rows[k]!;
      sum += weight;
      magnitude += weight < 0 ? -weight : weight;
    }
    sums[o] = sum;
    magnitudes[o] = magnitude;
  }
  return { sums, magnitudes };
}

/** Bytes of one run as the kernels read it. */
export function paddedRun(runLength: number): number {
  return Math.ceil(runLength / 4) * 4;
}

/** Zero point of a channel's weights. */
export function zeroPointOf({ zeroPoints }: WeightSource, channel: number): number {
  return zeroPoints?.[zeroPoints.length === 1 ? 0 : channel] ?? 0;
}

/** Weights as one row a channel, [channels][runs][padded run], zero points taken off. */
export function weightRows(source: WeightSource): Int16Array {
  checkSource(source);
  const { data, channels, runs, runLength, taps, base, channelStride } = source;
  const padded = paddedRun(runLength);
  const rows = new Int16Array(channels * runs * padded);
  for (let o = 0, at = 0; o < channels; o++) {
    const zero = zeroPointOf(source, o);
    const first = base + o * channelStride;
    for (let tap = 0; tap < taps.length; at += padded) {
      for (let i = 0; i < runLength; i++, tap++) {
        const place = taps[tap]!;
        if (place !== NO_WEIGHT) rows[at + i] = data[first + place]! - zero;
      }
    }
  }
  return rows;
}

/** @throws ArgumentError when the taps or the weights do not fit. */
export function checkSource({ data, channels, runs, runLength, taps, base, channelStride }: WeightSource): void {
  if (taps.length !== runs * runLength) {
    throw new ArgumentError(
      "packWeights",
      { taps: taps.length, runs, runLength },
      "taps must have runs * runLength entries",
    );
  }
  let farthest = 0;
  for (let i = 0; i < taps.length; i++) if (taps[i]! > farthest) farthest = taps[i]!;
  if (channels > 0 && taps.length > 0 && base + (channels - 1) * channelStride + farthest >= data.length) {
    throw new ArgumentError(
      "packWeights",
      { weights: data.length, channels, runs, runLength },
      "the weights are too short",
    );
  }
}

/** What chooseVariant needs to know of the rows. */
export function weightFacts(rows: Int16Array): WeightFacts {
  let low = 0;
  let high = 0;
  let positivePair = 0;
  let negativePair = 0;
  for (let k = 0; k < rows.length; k += 2) {
    const a = rows[k]!;
    const b = rows[k + 1]!;
    const positive = (a > 0 ? a : 0) + (b > 0 ? b : 0);
    const negative = a + b - positive;
    if (a < low) low = a;
    if (b < low) low = b;
    if (a > high) high = a;
    if (b > high) high = b;
    if (positive > positivePair) positivePair = positive;
    if (-negative > negativePair) negativePair = -negative;
  }
  return { fitsS8: low >= -128 && high <= 127, positivePair, negativePair };
}

/** [panel][k / group][8 channels][group]. */
function packPanels(rows: Int16Array, channels: number, packed: Int8Array | Int16Array, group: number): Panels {
  const depth = channels === 0 ? 0 : rows.length / channels;
  const step = NR * group;
  for (let o = 0, k = 0; o < channels; o++) {
    let at = Math.floor(o / NR) * NR * depth + (o % NR) * group;
    for (const end = k + depth; k < end; k += group, at += step) {
      for (let i = 0; i < group; i++) packed[at + i] = rows[k + i]!;
    }
  }
  return { bytes: new Uint8Array(packed.buffer), panelBytes: NR * depth * packed.BYTES_PER_ELEMENT };
}

/** Panels of the rows; missing channels of the last panel are zero. */
export function packWeights(rows: Int16Array, channels: number, variant: Variant): PackedWeights {
  const depth = channels === 0 ? 0 : rows.length / channels;
  const size = Math.ceil(channels / NR) * NR * depth;
  return {
    variant,
    narrow: variant === "simd128" ? null : packPanels(rows, channels, new Int8Array(size), 4),
    wide:
      variant === "simd128" || variant === "guarded_i16" ? packPanels(rows, channels, new Int16Array(size), 2) : null,
    ...channelSums(rows, channels),
  };
}
