/** Functions of one operand: those of one exponential within EXP_BUDGET, the others their references' bits. */

import { describe, expect, test } from "vitest";
import { EXP_BUDGET } from "../../src/kernels/budget.ts";
import { ERF, EXP, LOG, SOFTPLUS } from "../../src/kernels/f32-unary/kinds.ts";
import { exponentialReferences, fittedReferences, simpleReferences } from "../../src/kernels/f32-unary/reference.ts";
import { LENGTHS, Lines, engines, floats } from "./support.ts";

const [A, B, C] = [0.75, -1.25, 1.5];

function data(length: number, seed: number): Float32Array {
  return floats(length, seed).map((v, i) => (i % 5 === 0 ? 80 * v : 6 * v));
}

function expectNear(got: number, want: number): void {
  if (Math.abs(want) <= 3.4e38)
    expect(Math.abs(got - want)).toBeLessThanOrEqual(EXP_BUDGET * Math.max(1, Math.abs(want)));
  else expect(got).toEqual(want);
}

describe.each(engines)("$build build: f32 functions of one operand", (engine) => {
  const { kernels: k } = engine;

  test.each(exponentialReferences.map((f, kind) => [kind, f] as const))("of one exponential: %i", (kind, reference) => {
    const b = kind === SOFTPLUS ? 2.5 : B;
    for (const n of LENGTHS) {
      const x = data(n, 3);
      Lines.use(engine, n, (lines) => {
        const [at, t] = [lines.input(x), lines.table];
        k.f32_exponential(0, lines.count, t, t, at, at, lines.length, kind, A, b, C);
        lines.read(at).forEach((v, i) => expectNear(v, reference(x[i]!, A, b, C)));
      });
    }
  });

  test("of one exponential, over their whole range", () => {
    const x = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 250);
    exponentialReferences.forEach((reference, kind) => {
      Lines.use(engine, x.length, (lines) => {
        const [at, t] = [lines.input(x), lines.table];
        k.f32_exponential(0, 1, t, t, at, at, x.length, kind, A, B, C);
        lines.read(at).forEach((v, i) => expectNear(v, reference(x[i]!, A, B, C)));
      });
    });
  });

  test("exponentials reach from 0 to Infinity, NaN stays NaN", () => {
    const x = Float32Array.of(-Infinity, -200, -95, 88.5, 89, Infinity, NaN);
    Lines.use(engine, x.length, (lines) => {
      const [at, t] = [lines.input(x), lines.table];
      k.f32_exponential(0, 1, t, t, at, at, x.length, EXP, 0, 0, 0);
      const [none, tiny, denormal, large, ...rest] = lines.read(at);
      expect([none, tiny, ...rest]).toEqual([0, 0, Infinity, Infinity, NaN]);
      expect(denormal! / Math.exp(-95)).toBeCloseTo(1, 4);
      expect(large! / Math.exp(88.5)).toBeCloseTo(1, 5);
    });
  });

  test.each(simpleReferences.map((f, kind) => [kind, f] as const))("of a few operations: %i", (kind, reference) => {
    for (const n of LENGTHS) {
      const x = data(n, 4).map((v, i) => [v, Math.trunc(v) + 0.5, NaN, 0, -0][i % 5]!);
      Lines.use(engine, n, (lines) => {
        const [at, t] = [lines.input(x), lines.table];
        k.f32_unary(0, lines.count, t, t, at, at, lines.length, kind, A, B);
        expect(lines.read(at)).toEqual(x.map((v) => reference(v, A, B, C)));
      });
    }
  });

  test.each(fittedReferences.map((f, i) => [ERF + i, f] as const))("fitted: %i", (kind, reference) => {
    const ends = Float32Array.of(0, -1, Infinity, NaN, 1, 0.5, 2, 1e-30, 3e38, 0.99999, 1.00001, -5, -9, 4, -4);
    const grid = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 250);
    const x = Float32Array.from([...ends, ...grid, ...floats(200, 5).map((v) => Math.exp(20 * v))]);
    Lines.use(engine, x.length, (lines) => {
      const [at, t] = [lines.input(x), lines.table];
      k.f32_unary(0, lines.count, t, t, at, at, lines.length, kind, 0, 0);
      lines.read(at).forEach((v, i) => expectNear(v, reference(x[i]!, 0, 0, 0)));
    });
  });

  test("of a logarithm: -Infinity of 0, NaN below", () => {
    const x = Float32Array.of(0, -0, -1, -Infinity);
    Lines.use(engine, x.length, (lines) => {
      const [at, t] = [lines.input(x), lines.table];
      k.f32_unary(0, lines.count, t, t, at, at, lines.length, LOG, 0, 0);
      expect([...lines.read(at)]).toEqual([-Infinity, -Infinity, NaN, NaN]);
    });
  });
});
