/**
 * Which multiplication is exact for given weights on a given machine, fastest first.
 *
 * The relaxed dot product reads stored activations as unsigned (`u8-exact`) or signed (`signed`,
 * where activations are stored with their top bit flipped), or saturates sums of two products at 16
 * bits (`saturating`). There it is still exact when no pair of neighbouring weights can produce such a
 * sum, and then the 16-bit form is the fastest. Where it depends on the activations (they are at most 127 in
 * models made with reduce_range, though nothing forces them to be), a product looks before it
 * multiplies. Plain SIMD with 16-bit weights is exact always.
 */

import type { Variant } from "./list.ts";

/**
 * How `i32x4.relaxed_dot_i8x16_i7x16_add_s(weights, activations, sum)` treats activations above 127:
 * - `u8-exact`: as unsigned bytes, exactly (x86 with AVX-VNNI);
 * - `signed`: as signed bytes, exactly (ARM, AVX-VNNI-INT8);
 * - `saturating`: as unsigned bytes, but sums of two products saturate at 16 bits (older x86);
 * - `unusable`: anything else, and every machine without relaxed SIMD.
 */
export type DotClass = "u8-exact" | "signed" | "saturating" | "unusable";

/** What the choice needs to know of a layer's weights (zero points already taken off). */
export interface WeightFacts {
  /** Every weight lies in -128..127. */
  readonly fitsS8: boolean;
  /** Largest sum of the positive parts of two weights that share a pair (k even, k + 1). */
  readonly positivePair: number;
  /** The same of the negative parts, as a positive number. */
  readonly negativePair: number;
}

/** Largest stored activation of a full-range tensor. */
const FULL_RANGE = 255;

/**
 * The fastest variant whose results are exact. `activationMax` is the largest activation that can occur,
 * read as unsigned (127 when the producer clamps for reduce_range).
 */
export function chooseVariant(dot: DotClass, facts: WeightFacts, activationMax: number = FULL_RANGE): Variant {
  if (!facts.fitsS8 || dot === "unusable") return "simd128";
  if (dot === "u8-exact" || dot === "signed") return "relaxed_dot";
  const safe = facts.positivePair * activationMax <= 32767 && facts.negativePair * activationMax <= 32768;
  return safe ? "relaxed_i16" : "simd128";
}

/** The same for products, which can afford to look at their activations. */
export function chooseProductVariant(dot: DotClass, facts: WeightFacts, activationMax: number = FULL_RANGE): Variant {
  const variant = chooseVariant(dot, facts, activationMax);
  return variant === "simd128" && dot === "saturating" && facts.fitsS8 ? "guarded_i16" : variant;
}

/** Mask by which activations are stored: a signed machine needs u - 128, which is u with the top bit flipped. */
export function storageFlip(dot: DotClass): 0 | 0x80 {
  return dot === "signed" ? 0x80 : 0;
}
