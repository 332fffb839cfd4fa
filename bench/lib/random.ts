/**
 * Values that every process makes alike from a seed: a bench must give all candidates the same numbers, and sends
 * none of them through a pipe. A plain 32-bit mix (Steele et al., 2014, SplitMix); quality beyond "no pattern" is not needed.
 */

/** A function that gives 32 random bits at every call. */
function bits(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
}

/** Floats in -1..1. */
export function randomFloats(length: number, seed: number): Float32Array {
  const next = bits(seed);
  return Float32Array.from({ length }, () => (next() / 2 ** 32) * 2 - 1);
}

/** Integers in low..high. */
export function randomBytes(length: number, seed: number, low = 0, high = 255): Uint8Array {
  const next = bits(seed);
  return Uint8Array.from({ length }, () => low + (next() % (high - low + 1)));
}

/** Integers in -127..127, as symmetric weights have. */
export function randomWeights(length: number, seed: number): Int8Array {
  const next = bits(seed);
  return Int8Array.from({ length }, () => (next() % 255) - 127);
}
