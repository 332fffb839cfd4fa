/**
 * Weight-only quantization: packing of 8-bit and 4-bit weights with per-channel or per-group scales. Activations stay f32; only the memory traffic of the weights shrinks.
 */

import { ArgumentError } from "../../errors.ts";

export interface WeightOnlyProblem {
  /** 8: integers -128..127. 4: integers low..low + 15. */
  readonly bits: 4 | 8;
  readonly channels: number;
  readonly depth: number;
  /** Elements of k that share a scale; depth for one scale a channel. Even for 4 bits unless it covers depth. */
  readonly groupSize: number;
  /** Integers, [channels][depth]. */
  readonly values: ArrayLike<number>;
  /** [channels][groups]. */
  readonly scales: ArrayLike<number>;
  /** Integers, [channels][groups]; 0 when absent. */
  readonly zeroPoints?: ArrayLike<number>;
  /** Smallest 4-bit integer, -8 or 0. */
  readonly low?: number;
  /** [channels]; 0 when absent. */
  readonly bias?: ArrayLike<number>;
}

export interface PackedWeightOnly {
  readonly bits: 4 | 8;
  readonly channels: number;
  readonly depth: number;
  readonly groupSize: number;
  /** Panels, then the bias padded to whole panels at `biasOffset`. */
  readonly bytes: Uint8Array;
  readonly biasOffset: number;
}

/** Channels of a panel. */
export const NR = 8;
const HEAD = 48;
const ZEROS = 32;

/** Bytes of the integers of `k` steps of a panel. */
function integerBytes(bits: 4 | 8, k: number): number {
  return bits === 8 ? k * NR : Math.ceil(k / 2) * NR;
}

function panelBytes({ bits, depth, groupSize }: WeightOnlyProblem): number {
  let bytes = 0;
  for (let k = 0; k < depth; k += groupSize) bytes += HEAD + integerBytes(bits, Math.min(groupSize, depth - k));
  return bytes;
}

/** Writes one channel's share of a panel. */
function packChannel(problem: WeightOnlyProblem, o: number, view: DataView, panel: number): void {
  const { bits, depth, groupSize, values, scales, zeroPoints, low = 0 } = problem;
  const groups = Math.ceil(depth / groupSize);
  const shift = bits === 4 ? -low : 0;
  let at = panel;
  for (let g = 0; g < groups; g++) {
    view.setFloat32(at + (o % NR) * 4, scales[o * groups + g] ?? NaN, true);
    view.setInt16(at + ZEROS + (o % NR) * 2, (zeroPoints?.[o * groups + g] ?? 0) + shift, true);
    const length = Math.min(groupSize, depth - g * groupSize);
    for (let i = 0; i < length; i++) {
      const q = (values[o * depth + g * groupSize + i] ?? 0) + shift;
      if (bits === 8) view.setInt8(at + HEAD + i * NR + (o % NR), q);
      else {
        const byte = at + HEAD + (i >> 1) * NR + (o % NR);
        view.setUint8(byte, view.getUint8(byte) | (q << (4 * (i & 1))));
      }
    }
    at += HEAD + integerBytes(bits, length);
  }
}

/** @throws ArgumentError for 4-bit weights in groups of odd size. */
export function packWeightOnly(problem: WeightOnlyProblem): PackedWeightOnly {
  const { bits, channels, depth, groupSize, bias } = problem;
  if (bits === 4 && groupSize % 2 === 1 && groupSize < depth)
    throw new ArgumentError("packWeightOnly", { groupSize, depth }, "groups of 4-bit weights must be of even size");
  const panels = Math.ceil(channels / NR);
  const size = panelBytes(problem);
  const biasOffset = panels * size;
  const view = new DataView(new ArrayBuffer(biasOffset + panels * NR * 4));
  for (let o = 0; o < channels; o++) {
    packChannel(problem, o, view, Math.floor(o / NR) * size);
    view.setFloat32(biasOffset + o * 4, bias?.[o] ?? 0, true);
  }
  return { bits, channels, depth, groupSize, bytes: new Uint8Array(view.buffer), biasOffset };
}
