/** What float kernel tests share: repeatable data, both builds, and comparison with a reference. */

import { expect } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import type { Sums } from "../../src/kernels/f32-gemm/reference.ts";

/** An engine for each build this host has. */
export const engines: readonly Engine[] = (hasRelaxedSimd() ? (["simd", "relaxed"] as const) : (["simd"] as const)).map(
  (build) => new Engine({ build, winograd: false }),
);

/** `length` floats in [-1, 1) from a linear congruential generator. */
export function floats(length: number, seed: number): Float32Array {
  let state = seed >>> 0 || 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  });
}

/**
 * Expects `got` to be the reference's bits in the simd build, and within `budget` times the sum of absolute
 * products in the relaxed build.
 */
export function expectSums(got: Float32Array, want: Sums, engine: Engine, budget: number): void {
  expect(got.length).toBe(want.values.length);
  if (engine.build === "simd") {
    expect(got).toEqual(want.values);
    return;
  }
  let worst = 0;
  got.forEach((value, i) => {
    const difference = Math.abs(value - (want.values[i] ?? NaN));
    worst = Math.max(worst, difference === 0 ? 0 : difference / (want.magnitudes[i] ?? 0));
  });
  expect(worst).toBeLessThanOrEqual(budget);
}

/** Expects the largest difference to be within `budget` times the largest magnitude of the reference. */
export function expectClose(got: Float32Array, want: Sums, budget: number): void {
  expect(got.length).toBe(want.values.length);
  let worst = 0;
  got.forEach((value, i) => {
    worst = Math.max(worst, Math.abs(value - (want.values[i] ?? NaN)));
  });
  expect(worst).toBeLessThanOrEqual(budget * Math.max(0, ...want.magnitudes));
}

/** Lengths around vectors of 4 and unrolls of 8 and 16. */
export const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33, 100];

/**
 * Arrays cut into two lines (one when the length is odd) with a gap between them, as in a bordered image. The gaps are
 * checked to stay untouched when results are read.
 */
export class Lines {
  static readonly gap = 5;
  static readonly mark = 123.25;
  readonly engine: Engine;
  readonly count: number;
  /** Floats of one line. */
  readonly length: number;
  readonly table: number;
  private readonly alloc: (bytes: number) => number;

  private constructor(engine: Engine, total: number, alloc: (bytes: number) => number) {
    this.engine = engine;
    this.alloc = alloc;
    this.count = total % 2 === 0 ? 2 : 1;
    this.length = total / this.count;
    this.table = alloc(this.count * 4);
    engine.memory.i32(this.table, this.count).set(Array.from({ length: this.count }, (_, i) => i * this.stride * 4));
  }

  static use(engine: Engine, total: number, body: (lines: Lines) => void): void {
    engine.memory.scope((alloc) => {
      body(new Lines(engine, total, alloc));
    });
  }

  /** Floats from one line to the next. */
  get stride(): number {
    return this.length + Lines.gap;
  }

  /** A plain array in memory, followed by marks that are no numbers of use. */
  block(values: Float32Array): number {
    const at = this.alloc(values.length * 4);
    this.engine.memory.f32(at, values.length).set(values);
    return at;
  }

  output(): number {
    const at = this.alloc(this.count * this.stride * 4);
    this.engine.memory.f32(at, this.count * this.stride).fill(Lines.mark);
    return at;
  }

  input(values: Float32Array): number {
    const at = this.output();
    for (let line = 0; line < this.count; line++) {
      const part = values.subarray(line * this.length, (line + 1) * this.length);
      this.engine.memory.f32(at + line * this.stride * 4, this.length).set(part);
    }
    return at;
  }

  read(at: number): Float32Array {
    const out = new Float32Array(this.count * this.length);
    const all = this.engine.memory.f32(at, this.count * this.stride);
    all.forEach((value, i) => {
      const [line, inside] = [Math.floor(i / this.stride), i % this.stride];
      if (inside < this.length) out[line * this.length + inside] = value;
      else expect(value).toBe(Lines.mark);
    });
    return out;
  }
}
