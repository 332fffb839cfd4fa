/** Reductions are their references' bits in both builds. */

import { describe, expect, test } from "vitest";
import { MAXIMUM, MINIMUM, SUM } from "../../src/kernels/f32-reduce/kinds.ts";
import { extremeReference, sumReference } from "../../src/kernels/f32-reduce/reference.ts";
import { LENGTHS, Lines, engines, floats } from "./support.ts";

const OUTER = 3;

describe.each(engines)("$build build: f32 reductions", (engine) => {
  const { kernels: k, memory } = engine;

  test.each(LENGTHS)("of %i", (n) => {
    for (const inner of [1, 2, 3, 4, 5, 8, 11]) {
      const x = floats(OUTER * n * inner, n + inner).map((v, i) => (i % 97 === 50 ? NaN : 5 * v));
      Lines.use(engine, 2, (lines) => {
        const [at, y] = [lines.block(x), lines.block(new Float32Array(OUTER * inner))];
        const result = (kind: number, divisor = 1): Float32Array => {
          k.f32_reduce(0, OUTER, n, inner, at, y, kind, divisor);
          return memory.f32(y, OUTER * inner).slice();
        };
        if (n === 0) {
          expect(result(SUM)).toEqual(new Float32Array(OUTER * inner));
          return;
        }
        expect(result(SUM, 3)).toEqual(sumReference(x, n, inner, 3));
        expect(result(MAXIMUM)).toEqual(extremeReference(x, n, inner, Math.max));
        expect(result(MINIMUM)).toEqual(extremeReference(x, n, inner, Math.min));
      });
    }
  });
});
