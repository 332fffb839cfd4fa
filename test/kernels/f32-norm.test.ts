import { describe, expect, test } from "vitest";
import {
  batchNormGradReference,
  channelMomentsReference,
  channelProductsReference,
  gatedReference,
  layerNormReference,
  momentSlotsReference,
  productSlotsReference,
} from "../../src/kernels/f32-norm/reference.ts";
import { F32_BUDGET } from "../../src/kernels/budget.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { Lines, engines, expectSums, floats } from "./support.ts";

/** Sums of every slot are the reference's bits; those of products in the relaxed build within its budget of what was added. */
function expectSlots(got: readonly number[], want: Float64Array, engine: Engine, magnitude: number | null): void {
  if (magnitude === null || engine.build === "simd") expect(got).toEqual([...want]);
  else got.forEach((v, i) => expect(Math.abs(v - want[i]!)).toBeLessThanOrEqual(F32_BUDGET * magnitude));
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
    [5, 150],
  ])("%i channels, 2 lines of %i pixels", (channels, pixels) => {
    const n = 2 * channels * pixels;
    Lines.use(engine, n, (lines) => {
      const [x, dy] = [floats(n, 1), floats(n, 2)];
      const [ax, ady, y] = [lines.input(x), lines.input(dy), lines.output()];
      const c4 = Math.ceil(channels / 4) * 4;
      const want = channelMomentsReference(x, channels);
      const means = Float32Array.from(want.mean);
      const gate = { scale: floats(channels, 7), shift: floats(channels, 8), low: -0.25, high: 0.5 };
      const [mean, scale, shift] = [means, gate.scale, gate.shift].map((vector) => {
        const at = lines.block(new Float32Array(c4));
        memory.f32(at, channels).set(vector);
        return at;
      });
      const t = lines.table;
      const g = gatedReference(dy, x, gate);
      const wantSums = channelProductsReference(g, x, Float64Array.from(means));
      for (const slots of [1, 2, 3]) {
        const bytes = slots * 28 * c4;
        const [whole, pieces] = [0, 0].map(() => lines.block(new Float32Array(bytes / 4)));
        k.f32_channel_moments(0, slots, slots, 2, t, ax, pixels, channels, whole!);
        for (let slot = 0; slot < slots; slot++)
          k.f32_channel_moments(slot, slot + 1, slots, 2, t, ax, pixels, channels, pieces!);
        expect(memory.u8(pieces!, bytes)).toEqual(memory.u8(whole!, bytes));
        const cut = { lines: 2, pixels, channels, slots };
        const bySlot = (step: number, offset: number): number[] =>
          Array.from({ length: slots }, (_, slot) => [
            ...memory.f64(whole! + (slot * step + offset) * c4, channels),
          ]).flat();
        const moments = momentSlotsReference(x, cut);
        expectSlots(bySlot(28, 0), moments.sums, engine, null);
        expectSlots(bySlot(28, 8), moments.squares, engine, Math.max(...moments.squares));
        for (let c = 0; c < channels; c++) {
          const parts = Array.from({ length: slots }, (_, slot) => {
            const count = pixels * (Math.floor(((slot + 1) * 2) / slots) - Math.floor((slot * 2) / slots));
            const at = whole! + slot * 28 * c4;
            const [sum, square] = [memory.f64(at, c4)[c]!, memory.f64(at + 8 * c4, c4)[c]!];
            const [pivot, low, high] = [16, 20, 24].map((offset) => memory.f32(at + offset * c4, c4)[c]!);
            return { sum, square, count, pivot: pivot!, low: low!, high: high! };
          });
          const total = 2 * pixels;
          const m = parts.reduce((sum, part) => sum + part.sum + part.count * part.pivot, 0) / total;
          const squares = parts.map((part) => {
            const d = m - part.pivot;
            return part.square - 2 * d * part.sum + part.count * d * d;
          });
          expect(m).toBeCloseTo(want.mean[c]!, 6);
          expect(squares.reduce((sum, v) => sum + v, 0) / total).toBeCloseTo(want.variance[c]!, 6);
          expect(Math.min(...parts.map(({ low }) => low))).toBe(want.lows[c]);
          expect(Math.max(...parts.map(({ high }) => high))).toBe(want.highs[c]);
        }
        k.f32_channel_products(
          0, slots, slots, 2, t, t, ady, ax, pixels, channels, mean!, scale!, shift!, gate.low, gate.high, whole!,
        ); // prettier-ignore
        const [gradients, products] = productSlotsReference(g, x, means, cut);
        expectSlots(bySlot(16, 0), gradients, engine, null);
        expectSlots(bySlot(16, 8), products, engine, 2 * pixels);
        wantSums.forEach((sums, which) => {
          const at = (slot: number): number => whole! + (slot * 16 + which * 8) * c4;
          for (let c = 0; c < channels; c++) {
            const parts = Array.from({ length: slots }, (_, slot) => memory.f64(at(slot), c4)[c]!);
            expect(parts.reduce((sum, v) => sum + v, 0)).toBeCloseTo(sums[c]!, 5);
          }
        });
      }

      const values = [3, 4, 5, 6].map((seed) => floats(channels, seed)) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const [m, a, b, c] = values.map((value) => lines.block(value)) as [number, number, number, number];
      const wantGradient = batchNormGradReference(g, x, ...values);
      for (const to of [y, ady]) {
        k.f32_batch_norm_grad(
          0, 2, t, t, t, ady, ax, to, pixels, channels, m, a, b, c, scale!, shift!, gate.low, gate.high,
        ); // prettier-ignore
        expectSums(
          lines.read(to),
          { values: wantGradient, magnitudes: Float64Array.from(wantGradient, () => 4) },
          engine,
          F32_BUDGET,
        );
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
