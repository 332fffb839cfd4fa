/** What eager calls never ask of the product kernels: clamps, continued sums, parts of the rows, row blocks. */

import { describe, expect, test } from "vitest";
import { F32_BUDGET } from "../../src/kernels/budget.ts";
import { clampReference } from "../../src/kernels/f32-elementwise/reference.ts";
import { gemmReference } from "../../src/kernels/f32-gemm/reference.ts";
import type { Sums } from "../../src/kernels/f32-gemm/reference.ts";
import { Lines, engines, expectSums, floats } from "./support.ts";

const MARK = 77;
const [LOW, HIGH] = [-0.25, 0.5];

function clamped({ values, magnitudes }: Sums): Sums {
  return { values: clampReference(values, LOW, HIGH), magnitudes };
}

describe.each(engines)("$build build: product kernels", (engine) => {
  const { kernels: k, memory } = engine;

  test.each([
    [7, 5, 11, 6],
    [13, 9, 8, 12],
    [6, 4, 3, 6],
    [20, 17, 24, 600],
  ])("%i x %i x %i, row blocks of %i", (m, depth, n, rowBlock) => {
    Lines.use(engine, 2, (lines) => {
      const [a, b, bias] = [floats(m * depth, 1), floats(depth * n, 2), floats(n, 3)];
      const panel = depth * 32;
      const panels = Math.ceil(n / 8);
      const [x, w, init] = [
        lines.block(a),
        lines.block(new Float32Array(panels * depth * 8)),
        lines.block(new Float32Array(panels * 8)),
      ];
      k.f32_pack(depth, n, lines.block(b), n * 4, 4, panel, w);
      memory.f32(init, n).set(bias);
      const y = lines.block(new Float32Array(m * n + 1).fill(MARK));
      const [table, out, taps] = [
        lines.block(new Float32Array(m)),
        lines.block(new Float32Array(m)),
        lines.block(new Float32Array(1)),
      ];
      k.layout_grid(table, 0, 1, 0, 1, 0, 1, 0, m, depth * 4);
      k.layout_grid(out, 0, 1, 0, 1, 0, 1, 0, m, n * 4);
      const want = clamped(gemmReference(a, b, bias, m, depth, n));
      const read = (): Float32Array => memory.f32(y, m * n).slice();

      k.f32_gemm_6x8(0, m, table, out, x, 1, taps, depth, w, panel, init, 0, y, n, LOW, HIGH, rowBlock);
      expectSums(read(), want, engine, F32_BUDGET);

      // The sum in two parts, continued from y, is the same sum.
      const whole = read();
      const first = Math.floor(depth / 2);
      k.f32_gemm_6x8(0, m, table, out, x, 1, taps, first, w, panel, init, 0, y, n, -Infinity, Infinity, rowBlock);
      k.f32_gemm_6x8(
        0,
        m,
        table,
        out,
        x + first * 4,
        1,
        taps,
        depth - first,
        w + first * 32,
        panel,
        init,
        1,
        y,
        n,
        LOW,
        HIGH,
        rowBlock,
      );
      expect(read()).toEqual(whole);

      // Rows in two calls, as two threads would.
      memory.f32(y, m * n).fill(MARK);
      k.f32_gemm_6x8(4, m, table, out, x, 1, taps, depth, w, panel, init, 0, y, n, LOW, HIGH, rowBlock);
      expect(
        read()
          .subarray(0, 4 * n)
          .every((v) => v === MARK),
      ).toBe(true);
      k.f32_gemm_6x8(0, 4, table, out, x, 1, taps, depth, w, panel, init, 0, y, n, LOW, HIGH, rowBlock);
      expect(read()).toEqual(whole);
      expect(memory.f32(y, m * n + 1)[m * n]).toBe(MARK);

      // One row as a vector.
      k.f32_gemv_1x48(x, depth, w, panel, init, y, n, LOW, HIGH);
      expect(read().subarray(0, n)).toEqual(whole.subarray(0, n));
    });
  });

  test("depthwise clamps and keeps to its rows", () => {
    Lines.use(engine, 2, (lines) => {
      const [channels, rows] = [5, 6];
      const [x, w, bias] = [floats((rows + 1) * channels, 1), floats(2 * channels, 2), floats(channels, 3)];
      const want = Float32Array.from({ length: rows * channels }, (_, i) => {
        const first = Math.fround(bias[i % channels]! + Math.fround(x[i]! * w[i % channels]!));
        return first + Math.fround(x[i + channels]! * w[channels + (i % channels)]!);
      });
      const init = lines.block(new Float32Array(8));
      memory.f32(init, channels).set(bias);
      const table = lines.block(new Float32Array(rows));
      k.layout_grid(table, 0, 1, 0, 1, 0, 1, 0, rows, channels * 4);
      const taps = lines.block(new Float32Array(2));
      memory.i32(taps, 2).set([0, channels * 4]);
      const y = lines.block(new Float32Array(rows * channels).fill(MARK));
      k.f32_depthwise_4x8(1, rows, table, table, lines.block(x), 2, taps, lines.block(w), init, y, channels, LOW, HIGH);
      const got = memory.f32(y, rows * channels).slice();
      expect([...got.subarray(0, channels)]).toEqual(Array.from({ length: channels }, () => MARK));
      const values = clampReference(want, LOW, HIGH).slice(channels);
      expectSums(
        got.slice(channels),
        { values, magnitudes: new Float64Array(values.length).fill(3) },
        engine,
        F32_BUDGET,
      );
    });
  });
});
