import { describe, expect, test } from "vitest";
import {
  channelAffineReference,
  clampGradReference,
  clampReference,
} from "../../src/kernels/f32-elementwise/reference.ts";
import { Lines, LENGTHS, engines, floats } from "./support.ts";

const SPECIAL = [NaN, Infinity, -Infinity, 0, -0, 1e-40];

function data(length: number, seed: number): Float32Array {
  return floats(length, seed).map((v, i) => (i % 11 === 5 ? (SPECIAL[(i + seed) % SPECIAL.length] ?? 0) : 4 * v));
}

describe.each(engines)("$build build: f32 elementwise", (engine) => {
  const { kernels: k } = engine;

  test.each(LENGTHS)("%i elements, in lines with gaps", (n) => {
    Lines.use(engine, n, (lines) => {
      const [a, dy] = [lines.input(data(n, 1)), lines.input(data(n, 3))];
      const [va, vd] = [data(n, 1), data(n, 3)];
      const y = lines.output();
      const [ta, t] = [lines.table, lines.count];
      k.f32_clamp(0, t, ta, ta, a, y, lines.length, 0, 6);
      expect(lines.read(y)).toEqual(clampReference(va, 0, 6));
      k.f32_clamp_grad(0, t, ta, ta, ta, dy, a, y, lines.length, 0, 3);
      expect(lines.read(y)).toEqual(clampGradReference(vd, va, 0, 3));
      k.f32_clamp_grad_sum(0, t, ta, ta, ta, ta, dy, a, a, y, lines.length, 0, 3);
      const sum = vd.map((v, i) => v + va[i]!);
      expect(lines.read(y)).toEqual(clampGradReference(sum, va, 0, 3));
      k.f32_clamp(0, t, ta, ta, a, a, lines.length, -1, 2);
      expect(lines.read(a)).toEqual(clampReference(va, -1, 2));
    });
  });

  test.each([1, 3, 4, 5, 8, 11])("channel affine, %i channels", (channels) => {
    const pixels = 3;
    Lines.use(engine, 2 * pixels * channels, (lines) => {
      const [scale, shift] = [floats(channels, 4), floats(channels, 5)];
      const values = data(2 * pixels * channels, 6);
      const [x, y] = [lines.input(values), lines.output()];
      const [s, b] = [lines.block(scale), lines.block(shift)];
      k.f32_channel_affine(0, 2, lines.table, lines.table, x, y, pixels, channels, s, b, 0, Infinity);
      expect(lines.read(y)).toEqual(channelAffineReference(values, scale, shift, 0, Infinity));
      const r = data(values.length, 7);
      const residual = lines.input(r);
      k.f32_channel_affine_add(
        0,
        2,
        lines.table,
        lines.table,
        lines.table,
        x,
        residual,
        y,
        pixels,
        channels,
        s,
        b,
        0,
        2,
      );
      const sum = channelAffineReference(values, scale, shift, -Infinity, Infinity).map((v, i) => v + r[i]!);
      expect(lines.read(y)).toEqual(clampReference(sum, 0, 2));
    });
  });
});
