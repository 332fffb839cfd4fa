/**
 * Seeded random numbers: xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix32.
 *
 * The same seed gives the same numbers on every machine. Streams are not PyTorch's.
 */

export interface GeneratorState {
  readonly words: readonly [number, number, number, number];
}

function rotateLeft(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

export class Generator {
  private words: [number, number, number, number] = [0, 0, 0, 0];

  constructor(seed = 0) {
    this.manualSeed(seed);
  }

  manualSeed(seed: number): this {
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.words = [next(), next(), next(), next()];
    return this;
  }

  state(): GeneratorState {
    return { words: [...this.words] };
  }

  load(state: GeneratorState): this {
    this.words = [...state.words];
    return this;
  }

  /** Uniform integer in 0..2^32-1. */
  uint32(): number {
    const [a, b, c, d] = this.words;
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    const c1 = c ^ a;
    const d1 = d ^ b;
    this.words = [a ^ d1, b ^ c1, c1 ^ t, rotateLeft(d1, 11)];
    return result;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** Uniform integer in 0..bound-1 (bound at most 2^32), without modulo bias. */
  integer(bound: number): number {
    const limit = 4294967296 - (4294967296 % bound);
    let r = this.uint32();
    while (r >= limit) r = this.uint32();
    return r % bound;
  }

  /** Standard normal, by the Box–Muller transform. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A random order of 0..n-1 (Fisher–Yates). */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
