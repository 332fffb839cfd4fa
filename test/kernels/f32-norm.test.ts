import { describe, expect, test } from "vitest";
import {
  batchNormGradReference,
  channelProductsReference,
  channelSquaresReference,
  channelSumsReference,
  layerNormReference,
} from "../../src/kernels/f32-norm/reference.ts";
import { Lines, engines, floats } from "./support.ts";

describe.each(engines)("$build build: f32 norms", (engine) => {
  const { kernels: k, memory } = engine;

  test.each([
    [1, 1],
    [1, 6],
    [3, 4],
    [5, 7],
    [16, 3],
    [18, 2],
  ])("%i channels, 2 lines of %i pixels", (channels, pixels) => {
    const n = 2 * channels * pixels;
    Lines.use(engine, n, (lines) => {
      const [x, dy] = [floats(n, 1), floats(n, 2)];
      const [ax, ady, y] = [lines.input(x), lines.input(dy), lines.output()];
      const entries = Math.ceil(channels / 4) * 4;
      const f64 = (at: number): Float64Array => memory.f64(at, channels);
      const zeros = (): number => lines.block(new Float32Array(2 * entries));
      const [sums, squares, products, dySums, mean] = [zeros(), zeros(), zeros(), zeros(), zeros()];
      const means = channelSumsReference(x, channels).map((sum) => sum / (2 * pixels));
      f64(mean).set(means);
      k.f32_channel_sums(0, 2, lines.table, ax, pixels, channels, sums);
      expect(f64(sums)).toEqual(channelSumsReference(x, channels));
      k.f32_channel_squares(0, 2, lines.table, ax, pixels, channels, mean, squares);
      expect(f64(squares)).toEqual(channelSquaresReference(x, means));
      k.f32_channel_products(0, 2, lines.table, lines.table, ady, ax, pixels, channels, mean, dySums, products);
      expect(f64(dySums)).toEqual(channelSumsReference(dy, channels));
      expect(f64(products)).toEqual(channelProductsReference(dy, x, means));

      const values = [3, 4, 5, 6].map((seed) => floats(channels, seed)) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const [m, a, b, c] = values.map((value) => lines.block(value)) as [number, number, number, number];
      const want = batchNormGradReference(dy, x, ...values);
      k.f32_batch_norm_grad(0, 2, lines.table, lines.table, lines.table, ady, ax, y, pixels, channels, m, a, b, c);
      expect(lines.read(y)).toEqual(want);
      k.f32_batch_norm_grad(0, 2, lines.table, lines.table, lines.table, ady, ax, ady, pixels, channels, m, a, b, c);
      expect(lines.read(ady)).toEqual(want);
    });
  });

  test.each([1, 2, 5, 16])("layer norm of rows of %i", (n) => {
    const rows = 3;
    Lines.use(engine, n, (lines) => {
      const [x, w, b] = [floats(rows * n, 1), floats(n, 2), floats(n, 3)];
      const [ax, aw, ab, y] = [lines.block(x), lines.block(w), lines.block(b), lines.block(x)];
      k.f32_layer_norm(0, rows, n, ax, y, aw, ab, 1e-5);
      expect(memory.f32(y, rows * n).slice()).toEqual(layerNormReference(x, n, w, b, 1e-5));
      k.f32_layer_norm(0, rows, n, ax, ax, 0, 0, 1e-5);
      expect(memory.f32(ax, rows * n).slice()).toEqual(layerNormReference(x, n, null, null, 1e-5));
    });
  });
});
