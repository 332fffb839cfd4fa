/**
 * What the accumulators of integer products must hold, from a layer's integer weights alone.
 *
 * Processors without a full integer dot product (x86 before VNNI) multiply unsigned activations with signed weights and
 * add neighbouring products in 16 bits, clipping silently; all of them add the rest in 32 bits. Neighbours are
 * neighbours along the sum: channels of one kernel tap, then the next tap. Both alignments are looked at, because
 * padding of rows differs among engines. Source: Intel's vpmaddubsw, and src/kernels/qgemm/variant.ts.
 */

import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export interface WeightSums {
  /** Largest sum of the positive parts of two neighbouring weights, and of the negative parts, as a positive number. */
  readonly positivePair: number;
  readonly negativePair: number;
  /** The same of all weights of an output channel. */
  readonly positiveSum: number;
  readonly negativeSum: number;
}

interface Layout {
  readonly channels: number;
  readonly inputs: number;
  readonly taps: number;
  /** Where the weight of output channel o, input i and tap t is. */
  readonly at: (o: number, i: number, t: number) => number;
}

/** Weights are [out, in, ...kernel], of transposed convolutions [in, out, ...kernel]. */
function layoutOf({ shape, numel }: Tensor, isTransposed: boolean): Layout {
  const [first, second = 1] = shape as [number, number?];
  const taps = numel / Math.max(first * second, 1);
  if (isTransposed) return { channels: second, inputs: first, taps, at: (o, i, t) => (i * second + o) * taps + t };
  return { channels: first, inputs: second, taps, at: (o, i, t) => (o * second + i) * taps + t };
}

function zeroPointOf({ qparams }: Tensor, channel: number): number {
  if (!qparams) return 0;
  return qparams.kind === "perTensor" ? qparams.zeroPoint : (qparams.zeroPoints[channel] ?? 0);
}

/** The sums of a quantized weight. */
export function weightSums(weight: Tensor, isTransposed = false): WeightSums {
  const { channels, inputs, taps, at } = layoutOf(weight, isTransposed);
  let [positivePair, negativePair, positiveSum, negativeSum] = [0, 0, 0, 0];
  for (let o = 0; o < channels; o++) {
    const zero = zeroPointOf(weight, o);
    let [before, positive, negative] = [0, 0, 0];
    for (let t = 0; t < taps; t++) {
      for (let i = 0; i < inputs; i++) {
        const w = weight.data[at(o, i, t)]! - zero;
        positivePair = Math.max(positivePair, Math.max(before, 0) + Math.max(w, 0));
        negativePair = Math.max(negativePair, Math.max(-before, 0) + Math.max(-w, 0));
        if (w > 0) positive += w;
        else negative -= w;
        before = w;
      }
    }
    positiveSum = Math.max(positiveSum, positive);
    negativeSum = Math.max(negativeSum, negative);
  }
  return { positivePair, negativePair, positiveSum, negativeSum };
}

const INT16_MAX = 32_767;
const INT32_MAX = 2 ** 31 - 1;

/** Why sums may leave their bits, as a clause; null when they cannot. */
export interface Excess {
  readonly code: "saturating-pair" | "int32-overflow";
  readonly cause: string;
}

/**
 * What is too large for activations of 0..activationMax (unsigned bytes; signed ones count from -128): whole sums for 32
 * bits, and, on processors with 16-bit pairs, pairs of products for 16.
 */
export function excessOf(sums: WeightSums, activationMax: number, hasPairs: boolean): Excess | null {
  const sum = Math.max(sums.positiveSum, sums.negativeSum);
  if (sum * activationMax > INT32_MAX) {
    return {
      code: "int32-overflow",
      cause: `activations of ${activationMax} times the ${sum} that an output channel's weights add up to exceed ${INT32_MAX}, the largest 32-bit sum`,
    };
  }
  const pair = Math.max(sums.positivePair * activationMax, sums.negativePair * activationMax - 1);
  if (!hasPairs || pair <= INT16_MAX) return null;
  const weights = Math.max(sums.positivePair, sums.negativePair);
  return {
    code: "saturating-pair",
    cause: `two neighbouring products can reach ${activationMax} x ${weights} = ${activationMax * weights}, and avx2 clips their sum at ${INT16_MAX} without notice`,
  };
}

interface Range {
  readonly dtype?: unknown;
  readonly quantMax?: unknown;
}

/** Largest unsigned activation an observer lets through; 255 when there is none to hold them back. */
export function activationMaxOf(observer: object | null | undefined): number {
  const { dtype, quantMax } = (observer ?? {}) as Range;
  if (typeof quantMax !== "number") return 255;
  return dtype === "qint8" || dtype === "int8" ? quantMax + 128 : quantMax;
}

/** Whether parameters are one a channel. */
export function isPerChannel(observer: { readonly qscheme?: QScheme } | null | undefined): boolean {
  return observer?.qscheme !== undefined && isPerChannelScheme(observer.qscheme);
}
