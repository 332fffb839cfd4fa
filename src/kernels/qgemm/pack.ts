/**
 * Packing of integer weights into panels of eight output channels, once, when a layer is loaded.
 *
 * The kernels see K as runs of contiguous input bytes, each padded with zero weights to a multiple of
 * four. Dot-product panels are s8 [panel][run][k / 4][8 channels][4]; plain SIMD panels are i16
 * [panel][run][k / 2][8 channels][2].
 * Weight zero points are subtracted here, so no kernel knows about them.
 */

import { ArgumentError } from "../../errors.ts";
import { NR } from "./layout.ts";
import type { Variant } from "./list.ts";
import type { WeightFacts } from "./variant.ts";

/** Where the weights of output channel o, run r, position i are: source[base + o * channelStride + taps[r * runLength + i]]. */
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
export function channelSums(rows: Int16Array, channels: number): { readonly sums: Int32Array; readonly magnitudes: Int32Array } {
  const depth = channels === 0 ? 0 : rows.length / channels;
  const sums = new Int32Array(channels);
  const magnitudes = new Int32Array(channels);
  for (let o = 0; o < channels; o++) {
    for (let k = o * depth; k < (o + 1) * depth; k++) {
      const weight = rows[k] ?? 0;
      sums[o] = (sums[o] ?? 0) + weight;
      magnitudes[o] = (magnitudes[o] ?? 0) + Math.abs(weight);
    }
  }
  return { sums, magnitudes };
}

/** Bytes of one run as the kernels read it. */
export function paddedRun(runLength: number): number {
  return Math.ceil(runLength / 4) * 4;
}

/** Weights as one row a channel, [channels][runs][padded run], zero points taken off. */
export function weightRows(source: WeightSource): Int16Array {
  const { data, channels, runs, runLength, taps, base, channelStride } = source;
  if (taps.length !== runs * runLength) {
    throw new ArgumentError("packWeights", { taps: taps.length, runs, runLength }, "taps must have runs * runLength entries");
  }
  const padded = paddedRun(runLength);
  const rows = new Int16Array(channels * runs * padded);
  for (let o = 0; o < channels; o++) {
    const zero = source.zeroPoints === undefined ? 0 : (source.zeroPoints[source.zeroPoints.length === 1 ? 0 : o] ?? 0);
    for (let r = 0; r < runs; r++) {
      for (let i = 0; i < runLength; i++) {
        const weight = data[base + o * channelStride + (taps[r * runLength + i] ?? 0)];
        if (weight === undefined) throw new ArgumentError("packWeights", { channel: o, run: r, position: i }, "the weights are too short");
        rows[(o * runs + r) * padded + i] = weight - zero;
      }
    }
  }
  return rows;
}

/** What chooseVariant needs to know of the rows. */
export function weightFacts(rows: Int16Array): WeightFacts {
  let [low, high, positivePair, negativePair] = [0, 0, 0, 0];
  for (let k = 0; k + 1 < rows.length; k += 2) {
    const a = rows[k] ?? 0;
    const b = rows[k + 1] ?? 0;
    low = Math.min(low, a, b);
    high = Math.max(high, a, b);
    positivePair = Math.max(positivePair, Math.max(a, 0) + Math.max(b, 0));
    negativePair = Math.max(negativePair, -Math.min(a, 0) - Math.min(b, 0));
  }
  return { fitsS8: low >= -128 && high <= 127, positivePair, negativePair };
}

/** Position of (channel lane, k) inside a panel, in elements of `group` (4 for s8, 2 for i16) k each. */
function positionOf(group: number, lane: number, k: number): number {
  return Math.floor(k / group) * group * NR + lane * group + (k % group);
}

function packPanels(rows: Int16Array, channels: number, packed: Int8Array | Int16Array, group: number): Panels {
  const depth = channels === 0 ? 0 : rows.length / channels;
  const positions = Int32Array.from({ length: NR * depth }, (_, at) => positionOf(group, Math.floor(at / depth), at % depth));
  for (let o = 0; o < channels; o++) {
    const panel = Math.floor(o / NR) * NR * depth;
    const lane = (o % NR) * depth;
    for (let k = 0; k < depth; k++) packed[panel + (positions[lane + k] ?? 0)] = rows[o * depth + k] ?? 0;
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
    wide: variant === "simd128" || variant === "guarded_i16" ? packPanels(rows, channels, new Int16Array(size), 2) : null,
    ...channelSums(rows, channels),
  };
}
