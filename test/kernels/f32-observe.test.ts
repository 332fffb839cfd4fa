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

  /** Lines in two parts, as two threads take them. */
  function histogram(x: Float32Array, lo: number, hi: number, bins: number): { sums: Float32Array; range: number[] } {
    let sums = new Float32Array(0);
    let range: number[] = [];
    Lines.use(engine, x.length, (lines) => {
      const part = new Float32Array(16 + 4 * (bins + 3));
      part.set([Infinity, -Infinity]);
      const [at, out] = [lines.input(x), lines.block(Float32Array.of(...part, ...part))];
      for (let line = 0; line < lines.count; line++) {
        const own = out + (line % 2) * part.byteLength;
        k.f32_histogram(line, line + 1, lines.table, at, lines.length, lo, hi, bins, own);
      }
      const counts = lines.block(new Float32Array(bins + 3));
      k.f32_histogram_counts(bins, 2, part.byteLength, out, counts);
      sums = memory.f32(counts, bins).slice();
      const ends = [0, 1].map((i) => memory.f32(out + i * part.byteLength, 2));
      range = [Math.min(...ends.map((end) => end[0]!)), Math.max(...ends.map((end) => end[1]!))];
    });
    return { sums, range };
  }

  test.each([...LENGTHS, 5000])("range and histogram of %i values", (n) => {
    const x = floats(n, 5);
    const [lo, hi] = n > 0 ? minMaxReference(x) : [0, 1];
    for (const [low, high, bins] of [
      [lo, hi > lo ? hi : lo + 1, BINS],
      [-3.5, 2.25, 7],
    ] as const) {
      const { sums, range } = histogram(x, low, high, bins);
      expect(sums).toEqual(Float32Array.from(histogramReference(x, low, high, bins)));
      expect(range).toEqual(minMaxReference(x));
    }
  });

  test("the highest value counts in the last bin; NaN and what lies outside show in the range", () => {
    expect([...histogram(Float32Array.of(1, 0, 0.5, 1), 0, 1, 4).sums]).toEqual([1, 0, 1, 2]);
    expect(histogram(Float32Array.of(2, -1, 0.5, 1, 1e30), 0, 1, 4).range).toEqual([-1, Math.fround(1e30)]);
    expect(histogram(Float32Array.of(0, NaN, 1, 0, 1, 0), 0, 1, 4).range).toEqual([NaN, NaN]);
    expect(histogram(Float32Array.of(0, -Infinity, 1, Infinity), 0, 1, 4).range).toEqual([-Infinity, Infinity]);
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

  const ROW_LENGTHS = [1, 3, 4, 9, 18];

  test.each(ROW_LENGTHS)("rows of %i: range, rounding and its gradient, scaling and dot products", (n) => {
    const rows = 3;
    const [x, dy] = [floats(rows * n, 8).map((v) => 4 * v), floats(rows * n, 9)];
    if (n > 3) x[n + 2] = NaN;
    const scales = [0.02, 0.1, 0.5];
    const rules = scales.map((scale, r) => ({ scale, zeroPoint: r - 1, low: -100, high: 90, huge: -100 }));
    const factors = Float32Array.from(scales, (v) => v * 3);
    Lines.use(engine, 1, (lines) => {
      const [ax, ady, af] = [lines.block(x), lines.block(dy), lines.block(factors)];
      const [y, out] = [lines.block(x), lines.block(new Float32Array(2 * rows))];
      const parameters = rules.flatMap(({ scale, zeroPoint }) => [scale, 1 / Math.fround(scale), zeroPoint]);
      const at = lines.block(Float32Array.from(parameters));
      const row = (values: Float32Array, r: number): Float32Array => values.subarray(r * n, (r + 1) * n);
      const read = (): Float32Array => memory.f32(y, rows * n).slice();
      k.f32_rows_min_max(rows, n, ax, out);
      expect([...memory.f32(out, 2 * rows)]).toEqual(rules.flatMap((_, r) => minMaxReference(row(x, r))));
      k.f32_rows_fake_quantize(rows, n, ax, y, at, -100, 90);
      rules.forEach((rule, r) => expect(row(read(), r)).toEqual(fakeQuantizeReference(row(x, r), rule)));
      k.f32_rows_fake_quantize_grad(rows, n, ady, ax, y, at, -100, 90);
      rules.forEach((rule, r) =>
        expect(row(read(), r)).toEqual(fakeQuantizeGradReference(row(dy, r), row(x, r), rule)),
      );
      k.f32_rows_mul(rows, n, ady, af, y);
      expect(read()).toEqual(dy.map((v, i) => v * factors[Math.floor(i / n)]!));
      k.f32_rows_dot(rows, n, ady, ady, out);
      const dots = rules.map((_, r) => row(dy, r).reduce((sum, v) => sum + Math.fround(v * v), 0));
      expect([...memory.f32(out, rows)]).toEqual(dots.map(Math.fround));
    });
  });

  test.each([1, 4, 6])("an affine function of each of %i channels, clamped and rounded in one pass", (channels) => {
    const pixels = 3;
    Lines.use(engine, 2 * channels * pixels, (lines) => {
      const x = floats(2 * channels * pixels, 10);
      const [scale, shift] = [floats(channels, 11), floats(channels, 12)];
      const rule = { scale: 0.01, zeroPoint: 5, low: 0, high: 60, huge: 60 };
      const [ax, y] = [lines.input(x), lines.output()];
      const [s, b] = [lines.block(scale), lines.block(shift)];
      const t = lines.table;
      const inverse = Math.fround(1 / Math.fround(0.01));
      k.f32_channel_fake_quantize(0, 2, t, t, ax, y, pixels, channels, s, b, -0.2, 0.7, 0.01, inverse, 5, 0, 60);
      const affine = x.map((v, i) => {
        const c = i % channels;
        const a = Math.fround(Math.fround(v * scale[c]!) + shift[c]!);
        return Math.min(Math.max(a, Math.fround(-0.2)), Math.fround(0.7));
      });
      expect(lines.read(y)).toEqual(fakeQuantizeReference(affine, rule));
    });
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
