import { describe, expect, test } from "vitest";
import {
  batchNormGradReference,
  channelMomentsReference,
  channelProductsReference,
  gatedReference,
  layerNormReference,
} from "../../src/kernels/f32-norm/reference.ts";
import { Lines, engines, floats } from "./support.ts";

/** Sums of slots are added in another order than one sum over all. */
function expectClose(got: readonly number[], want: Float64Array): void {
  got.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 12));
}

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
      const c4 = Math.ceil(channels / 4) * 4;
      const means = channelMomentsReference(x, channels).sums.map((sum) => sum / (2 * pixels));
      const gate = { scale: floats(channels, 7), shift: floats(channels, 8), low: -0.25, high: 0.5 };
      const [mean, scale, shift] = [2 * c4, c4, c4].map((count) => lines.block(new Float32Array(count)));
      memory.f64(mean!, channels).set(means);
      memory.f32(scale!, channels).set(gate.scale);
      memory.f32(shift!, channels).set(gate.shift);
      const out = lines.block(new Float32Array(3 * 6 * c4));
      const t = lines.table;
      for (const slots of [1, 2, 3]) {
        const slotSum = (at: number, slotBytes: number): number[] =>
          Array.from({ length: channels }, (_, c) => {
            const parts = Array.from({ length: slots }, (_, slot) => memory.f64(at + slot * slotBytes, channels)[c]!);
            return parts.reduce((sum, part) => sum + part, 0);
          });
        const moments = channelMomentsReference(x, channels);
        for (let slot = 0; slot < slots; slot++)
          k.f32_channel_moments(slot, slot + 1, slots, 2, t, ax, pixels, channels, out);
        expectClose(slotSum(out, 24 * c4), moments.sums);
        expectClose(slotSum(out + 8 * c4, 24 * c4), moments.squares);
        if (slots === 1) {
          expect(memory.f64(out, channels)).toEqual(moments.sums);
          expect(memory.f32(out + 16 * c4, channels)).toEqual(moments.lows);
          expect(memory.f32(out + 20 * c4, channels)).toEqual(moments.highs);
        }
        const g = gatedReference(dy, x, gate);
        const [sums, products] = channelProductsReference(g, x, means);
        k.f32_channel_products(
          0, slots, slots, 2, t, t, ady, ax, pixels, channels, mean!, scale!, shift!, gate.low, gate.high, out,
        ); // prettier-ignore
        expectClose(slotSum(out, 16 * c4), sums!);
        expectClose(slotSum(out + 8 * c4, 16 * c4), products!);
      }

      const values = [3, 4, 5, 6].map((seed) => floats(channels, seed)) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const [m, a, b, c] = values.map((value) => lines.block(value)) as [number, number, number, number];
      const want = batchNormGradReference(gatedReference(dy, x, gate), x, ...values);
      for (const to of [y, ady]) {
        k.f32_batch_norm_grad(
          0, 2, t, t, t, ady, ax, to, pixels, channels, m, a, b, c, scale!, shift!, gate.low, gate.high,
        ); // prettier-ignore
        expect(lines.read(to)).toEqual(want);
      }
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
