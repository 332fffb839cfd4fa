/** Weighted sums of lines are their reference's bits in both builds. */

import { describe, expect, test } from "vitest";
import { tapsReference } from "../../src/kernels/f32-interpolate/reference.ts";
import { LENGTHS, Lines, engines, floats } from "./support.ts";

const [SIZE, OUT] = [5, 4];

describe.each(engines)("$build build: f32 taps", (engine) => {
  const { kernels: k, memory } = engine;

  test.each(LENGTHS)("lines of %i", (n) => {
    for (const count of [1, 2, 4]) {
      const x = floats(SIZE * n, n + count);
      const weight = floats(OUT * count, 3);
      const index = Int32Array.from({ length: OUT * count }, (_, i) => (i * 7) % SIZE);
      Lines.use(engine, 2, (lines) => {
        const [at, y, weights] = [lines.block(x), lines.block(new Float32Array(OUT * n)), lines.block(weight)];
        const offsets = lines.block(new Float32Array(index.length));
        memory.i32(offsets, index.length).set(index.map((i) => i * n * 4));
        k.f32_taps(0, OUT, count, offsets, weights, at, y, n * 4, n);
        expect(memory.f32(y, OUT * n).slice()).toEqual(tapsReference(x, n, index, weight, count));
      });
    }
  });
});
