/** Functions of two operands, with a number for each element or one a line, are their references' bits. */

import { describe, expect, test } from "vitest";
import { SUB } from "../../src/kernels/f32-binary/kinds.ts";
import { binaryReferences } from "../../src/kernels/f32-binary/reference.ts";
import { LENGTHS, Lines, engines, floats } from "./support.ts";

const SPECIAL = [NaN, Infinity, -Infinity, 0, -0, 1e-40];
const [LOW, HIGH] = [-1.5, 2];

function data(length: number, seed: number): Float32Array {
  return floats(length, seed).map((v, i) => (i % 11 === 5 ? (SPECIAL[(i + seed) % SPECIAL.length] ?? 0) : 4 * v));
}

/** Where line 1 begins in an operand with one number a line. */
const STEP = 4;

describe.each(engines)("$build build: f32 functions of two operands", (engine) => {
  const { kernels: k, memory } = engine;

  test.each(LENGTHS)("%i elements, in lines with gaps", (n) => {
    Lines.use(engine, n, (lines) => {
      const [va, vb] = [data(n, 1), data(n, 2)];
      const ones = Float32Array.of(-0.75, 3);
      const [a, b, one] = [lines.input(va), lines.input(vb), lines.block(ones)];
      const [y, table, count] = [lines.output(), lines.table, lines.count];
      const oneTable = lines.block(new Float32Array(2));
      memory.i32(oneTable, 2).set([0, STEP]);
      binaryReferences.forEach((reference, kind) => {
        for (const [lo, hi] of [
          [-Infinity, Infinity],
          [LOW, HIGH],
        ] as const) {
          const want = (left: (i: number) => number, right: (i: number) => number): Float32Array =>
            Float32Array.from({ length: n }, (_, i) => {
              const v = Math.fround(reference(left(i), right(i)));
              return v < lo ? lo : v > hi ? hi : v;
            });
          const [ofA, ofB] = [(i: number) => va[i]!, (i: number) => vb[i]!];
          const ofLine = (i: number): number => ones[Math.floor(i / lines.length)]!;
          k.f32_binary(0, count, table, table, table, a, b, y, lines.length, kind, 1, 1, lo, hi);
          expect(lines.read(y)).toEqual(want(ofA, ofB));
          k.f32_binary(0, count, table, oneTable, table, a, one, y, lines.length, kind, 1, 0, lo, hi);
          expect(lines.read(y)).toEqual(want(ofA, ofLine));
          k.f32_binary(0, count, oneTable, table, table, one, b, y, lines.length, kind, 0, 1, lo, hi);
          expect(lines.read(y)).toEqual(want(ofLine, ofB));
        }
      });
    });
  });

  test("in place", () => {
    Lines.use(engine, 10, (lines) => {
      const [va, vb] = [data(10, 1), data(10, 2)];
      const [a, b, t] = [lines.input(va), lines.input(vb), lines.table];
      k.f32_binary(0, lines.count, t, t, t, a, b, b, lines.length, SUB, 1, 1, -Infinity, Infinity);
      expect(lines.read(b)).toEqual(vb.map((v, i) => va[i]! - v));
    });
  });
});
