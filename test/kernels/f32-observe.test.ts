import { describe, expect, test } from "vitest";
import { fakeQuantizeGradReference, fakeQuantizeReference } from "../../src/kernels/f32-fake-quantize/reference.ts";
import { histogramReference, minMaxReference } from "../../src/kernels/f32-observe/reference.ts";
import { LENGTHS, Lines, engines, floats } from "./support.ts";

const BINS = 2048;

describe.each(engines)("$build build: f32 observers and fake quantize", (engine) => {
  const { kernels: k, memory } = engine;

  function minMax(x: Float32Array): number[] {
    let range: number[] = [];
    Lines.use(engine, x.length, (lines) => {
      const [at, out] = [lines.input(x), lines.block(new Float32Array(2))];
      k.f32_min_max(0, lines.count, lines.table, at, lines.length, out);
      range = [...memory.f32(out, 2)];
    });
    return range;
  }

  test.each(LENGTHS)("range of %i values", (n) => {
    expect(minMax(floats(n, 3))).toEqual(minMaxReference(floats(n, 3)));
  });

  test.each(LENGTHS.filter((n) => n > 0))("a NaN among %i values shows", (n) => {
    for (const at of [0, Math.floor(n / 2), n - 1]) {
      const x = floats(n, 4);
      x[at] = NaN;
      expect(minMax(x)).toEqual([NaN, NaN]);
    }
  });

  test("infinities are values", () => {
    expect(minMax(Float32Array.of(1, -Infinity, Infinity, 2, 3))).toEqual([-Infinity, Infinity]);
  });

  function histogram(x: Float32Array, lo: number, hi: number, bins: number): Uint32Array {
    let sums = new Uint32Array(0);
    Lines.use(engine, x.length, (lines) => {
      const [at, counts] = [lines.input(x), lines.block(new Float32Array(2 * bins))];
      k.f32_histogram(0, lines.count, lines.table, at, lines.length, lo, hi, bins, counts);
      const both = memory.i32(counts, 2 * bins);
      sums = Uint32Array.from({ length: bins }, (_, i) => both[i]! + both[bins + i]!);
    });
    return sums;
  }

  test.each([...LENGTHS, 5000])("histogram of %i values", (n) => {
    const x = floats(n, 5);
    const [lo, hi] = n > 0 ? minMaxReference(x) : [0, 1];
    const [low, high] = [lo, hi > lo ? hi : lo + 1];
    expect(histogram(x, low, high, BINS)).toEqual(histogramReference(x, low, high, BINS));
    expect(histogram(x, -0.3, 0.71, 7)).toEqual(histogramReference(x, Math.fround(-0.3), Math.fround(0.71), 7));
  });

  test("values outside, NaN and infinities count nowhere; the highest in the last bin", () => {
    const x = Float32Array.of(NaN, Infinity, -Infinity, 1, 0, 0.5, 2, -1, 1);
    expect([...histogram(x, 0, 1, 4)]).toEqual([1, 0, 1, 2]);
  });

  const RULES = [
    { scale: 0.02, zeroPoint: 3, low: 0, high: 255, huge: 255 },
    { scale: 0.1, zeroPoint: 0, low: -128, high: 127, huge: -128 },
    { scale: 1e-30, zeroPoint: 127, low: 0, high: 127, huge: 127 },
  ];
  test.each(RULES)("fake quantize %o", (rule) => {
    const { scale, zeroPoint, low, high, huge } = rule;
    for (const n of LENGTHS) {
      Lines.use(engine, n, (lines) => {
        const x = floats(n, 6).map((v, i) => (i % 7 === 3 ? ([NaN, Infinity, -Infinity, 1e30][i % 4] ?? 0) : 8 * v));
        const dy = floats(n, 7);
        const [ax, ady, y, dx] = [lines.input(x), lines.input(dy), lines.output(), lines.output()];
        const [t, count] = [lines.table, lines.count];
        const inverse = Math.fround(1 / Math.fround(scale));
        k.f32_fake_quantize(0, count, t, t, ax, y, lines.length, scale, inverse, zeroPoint, low, high, huge);
        expect(lines.read(y)).toEqual(fakeQuantizeReference(x, rule));
        k.f32_fake_quantize_grad(0, count, t, t, t, ady, ax, dx, lines.length, inverse, zeroPoint, low, high);
        expect(lines.read(dx)).toEqual(fakeQuantizeGradReference(dy, x, rule));
        k.f32_fake_quantize(0, count, t, t, ax, ax, lines.length, scale, inverse, zeroPoint, low, high, huge);
        expect(lines.read(ax)).toEqual(fakeQuantizeReference(x, rule));
      });
    }
  });

  test("ties go to even, before the zero point is added", () => {
    const x = Float32Array.of(0.5, 1.5, 2.5, -0.5, -1.5);
    Lines.use(engine, x.length, (lines) => {
      const at = lines.input(x);
      k.f32_fake_quantize(0, 1, lines.table, lines.table, at, at, x.length, 1, 1, 1, 0, 255, 255);
      expect([...lines.read(at)]).toEqual([0, 2, 2, 0, -1]);
    });
  });
});
