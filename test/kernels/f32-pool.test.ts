import { describe, expect, test } from "vitest";
import {
  avgPoolGradReference,
  avgPoolReference,
  maxPoolGradReference,
  maxPoolReference,
} from "../../src/kernels/f32-pool/reference.ts";
import type { Divisor, PoolShape } from "../../src/kernels/f32-pool/reference.ts";
import { Lines, engines, floats } from "./support.ts";

function shape(part: Partial<PoolShape>): PoolShape {
  const s = {
    batch: 2, h: 5, w: 6, channels: 3, kernel: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1], ...part,
  } as const; // prettier-ignore
  const out = (i: 0 | 1, size: number): number =>
    Math.floor((size + 2 * s.padding[i] - s.dilation[i] * (s.kernel[i] - 1) - 1) / s.stride[i]) + 1;
  return { ...s, outH: out(0, s.h), outW: out(1, s.w), ...part };
}

const SHAPES = [
  shape({}),
  shape({ kernel: [3, 3], padding: [1, 1], channels: 8 }),
  shape({ kernel: [3, 2], stride: [1, 1], padding: [1, 1], channels: 5 }),
  shape({ kernel: [2, 2], stride: [1, 2], dilation: [2, 2], channels: 4 }),
  shape({ batch: 1, h: 1, w: 1, kernel: [1, 1], stride: [1, 1], channels: 1 }),
  shape({ h: 3, w: 3, outH: 2, outW: 2 }), // ceil mode: the last window hangs over
  shape({ batch: 0, channels: 4 }),
];

const DIVISORS: readonly Divisor[] = [{ kind: "inside" }, { kind: "padded" }, { kind: "fixed", value: 3 }];

describe.each(engines)("$build build: f32 pools", (engine) => {
  const { kernels: k, memory } = engine;

  test.each(SHAPES)("%o", (s) => {
    const { batch, h, w, channels, outH, outW, kernel, stride, padding, dilation } = s;
    const rows = batch * outH;
    const x = floats(batch * h * w * channels, 1).map((v, i) => (i % 17 === 5 ? NaN : Math.fround(4 * v)));
    const clean = floats(x.length, 2);
    const dy = floats(rows * outW * channels, 3);
    const [row, outRow] = [w * channels * 4, outW * channels * 4];
    Lines.use(engine, dy.length, (lines) => {
      const [ax, aclean, ady] = [lines.block(x), lines.block(clean), lines.block(dy)];
      const [y, dx] = [lines.block(dy), lines.block(x)];
      const read = (at: number, length: number): Float32Array => memory.f32(at, length).slice();
      const image = [
        h * row,
        row,
        h,
        w,
        channels,
        kernel[0],
        kernel[1],
        stride[0],
        stride[1],
        padding[0],
        padding[1],
      ] as const;
      const result = [y, outH * outRow, outRow] as const;
      const gradient = [ady, outH * outRow, outRow] as const;
      k.f32_max_pool(0, rows, outH, outW, ax, ...image, dilation[0], dilation[1], ...result);
      expect(read(y, dy.length)).toEqual(maxPoolReference(x, s));
      k.fill_f32(dx, 0, x.length);
      k.f32_max_pool_grad(rows, outH, outW, ax, dx, ...image, dilation[0], dilation[1], ...gradient);
      expect(read(dx, x.length)).toEqual(maxPoolGradReference(dy, x, s));
      if (dilation[0] > 1) return; // averages have no dilation
      for (const divisor of DIVISORS) {
        const counts = [Number(divisor.kind === "padded"), divisor.kind === "fixed" ? divisor.value : 0] as const;
        k.f32_avg_pool(0, rows, outH, outW, aclean, ...image, ...counts, ...result);
        expect(read(y, dy.length)).toEqual(avgPoolReference(clean, s, divisor));
        k.fill_f32(dx, 0, x.length);
        k.f32_avg_pool_grad(rows, outH, outW, dx, ...image, ...counts, ...gradient);
        expect(read(dx, x.length)).toEqual(avgPoolGradReference(dy, s, divisor));
      }
    });
  });
});
