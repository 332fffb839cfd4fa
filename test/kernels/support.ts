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
