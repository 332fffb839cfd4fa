/** Choices of a fuzz run: the same for the same seed. */

import { Generator } from "../../src/tensor/random.ts";

export class Choices {
  private readonly generator: Generator;

  constructor(seed: number) {
    this.generator = new Generator(seed);
  }

  below(n: number): number {
    return this.generator.integer(Math.max(n, 1));
  }

  /** True once in n times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}
