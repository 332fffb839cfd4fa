import { describe, expect, test } from "vitest";
import { EXP_BUDGET } from "../../src/kernels/budget.ts";
import { softmaxReference } from "../../src/kernels/f32-softmax/reference.ts";
import { LENGTHS, Lines, engines, floats } from "./support.ts";

function expectNear(got: Float32Array, want: Float32Array): void {
  const scale = want.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
  let worst = 0;
  got.forEach((v, i) => {
    worst = Math.max(worst, Math.abs(v - want[i]!));
  });
  expect(worst / scale).toBeLessThanOrEqual(EXP_BUDGET);
}

describe.each(engines)("$build build: softmax", (engine) => {
  const { kernels: k, memory } = engine;

  test.each(LENGTHS.filter((n) => n > 0))("softmax of rows of %i", (n) => {
    const rows = 3;
    const x = floats(rows * n, 1).map((v) => 12 * v);
    Lines.use(engine, n, (lines) => {
      const [ax, y] = [lines.block(x), lines.block(x)];
      for (const logarithm of [false, true]) {
        k.f32_softmax(0, rows, n, ax, y, Number(logarithm));
        expectNear(memory.f32(y, x.length).slice(), softmaxReference(x, n, logarithm));
      }
      k.f32_softmax(0, rows, n, ax, ax, 0);
      expectNear(memory.f32(ax, x.length).slice(), softmaxReference(x, n, false));
    });
  });

  test("masked entries are exactly 0, NaN spoils its row only", () => {
    const x = Float32Array.of(1, -Infinity, 1, 0, NaN, 0, -200, 0, 0);
    Lines.use(engine, x.length, (lines) => {
      const at = lines.block(x);
      k.f32_softmax(0, 3, 3, at, at, 0);
      expect([...memory.f32(at, 9)]).toEqual([0.5, 0, 0.5, NaN, NaN, NaN, 0, 0.5, 0.5]);
    });
  });
});
