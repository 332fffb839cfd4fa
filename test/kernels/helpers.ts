/** Seeded random operands for kernel tests. */

/** A generator of numbers in [0, 1). */
export type Random = () => number;

/** Mulberry32: 32 bits of state, the same numbers everywhere. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One integer of low..high. */
export function integer(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** A typed array of integers of low..high. */
export function integers<T extends Uint8Array | Int8Array | Int32Array>(
  random: Random,
  length: number,
  low: number,
  high: number,
  Type: new (length: number) => T,
): T {
  const array = new Type(length);
  for (let i = 0; i < length; i++) array[i] = integer(random, low, high);
  return array;
}

/** Signed weights of low..high. */
export function int8(random: Random, length: number, low = -128, high = 127): Int8Array {
  return integers(random, length, low, high, Int8Array);
}

/** f32 numbers in -size..size. */
export function floats(random: Random, length: number, size = 1): Float32Array {
  return Float32Array.from({ length }, () => (random() * 2 - 1) * size);
}
