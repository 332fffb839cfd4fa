import { describe, expect, test } from "vitest";
import { convNdBackwardInputF32, convNdF32 } from "../../src/engine/eager/conv.ts";
import { convNdBackwardWeightF32 } from "../../src/engine/eager/conv-weight.ts";
import type { ConvShape } from "../../src/engine/f32/geometry.ts";
import { conv3d } from "../../src/engine/f32/geometry.ts";
import { matmulF32 } from "../../src/engine/eager/matmul.ts";
import { EngineError } from "../../src/errors.ts";
import { F32_BUDGET } from "../../src/kernels/budget.ts";
import { convWeightGradReference } from "../../src/kernels/f32-conv-weight/reference.ts";
import { convInputGradReference, convReference, gemmReference } from "../../src/kernels/f32-gemm/reference.ts";
import { engines, expectSums, floats } from "./support.ts";

/** [m, k, n]: at, below and above the 6x8 tile, the 1x48 row, the unroll of 4 and the block of 512. */
const MATRICES = [
  [1, 1, 1],
  [1, 7, 48],
  [1, 5, 100],
  [1, 64, 41],
  [2, 3, 4],
  [5, 9, 7],
  [6, 8, 8],
  [7, 13, 17],
  [12, 600, 9],
  [13, 4, 24],
  [97, 5, 3],
] as const;

function transpose(a: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(a, (_, i) => a[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}

function shape(part: Partial<ConvShape>): ConvShape {
  const rank = part.size?.length ?? 2;
  const all = (value: number): number[] => Array.from({ length: rank }, () => value);
  return {
    batch: 1,
    inChannels: 3,
    outChannels: 5,
    groups: 1,
    size: all(6),
    kernel: all(3),
    stride: all(1),
    padding: all(1),
    dilation: all(1),
    ...part,
  };
}

const CONVOLUTIONS: Readonly<Record<string, ConvShape>> = {
  "3x3": shape({ batch: 2, size: [5, 7] }),
  "single element": shape({ inChannels: 1, outChannels: 1, size: [1, 1], kernel: [1, 1], padding: [0, 0] }),
  "empty batch": shape({ batch: 0 }),
  "1x1, 16 to 24 channels": shape({ inChannels: 16, outChannels: 24, kernel: [1, 1], padding: [0, 0], size: [3, 5] }),
  "stride 2": shape({ inChannels: 8, outChannels: 9, stride: [2, 2], size: [7, 8] }),
  "stride 2, 1x1": shape({ kernel: [1, 1], stride: [2, 2], padding: [0, 0] }),
  "stride 3, kernel 2": shape({ kernel: [2, 2], stride: [3, 3], padding: [1, 0], size: [8, 9] }),
  "dilation 2": shape({ dilation: [2, 2], padding: [2, 2] }),
  "dilation and stride": shape({ dilation: [2, 3], stride: [2, 2], padding: [3, 1], size: [9, 10] }),
  "more padding than kernel": shape({ kernel: [1, 2], padding: [2, 3] }),
  groups: shape({ batch: 2, inChannels: 6, outChannels: 10, groups: 2 }),
  depthwise: shape({ batch: 2, inChannels: 11, outChannels: 11, groups: 11 }),
  "depthwise, stride 2": shape({ inChannels: 8, outChannels: 8, groups: 8, stride: [2, 2], size: [7, 7] }),
  "depthwise, dilation 2": shape({ inChannels: 4, outChannels: 4, groups: 4, dilation: [2, 1], padding: [2, 0] }),
  "depthwise, multiplier 2": shape({ inChannels: 3, outChannels: 6, groups: 3 }),
  "one axis": shape({ batch: 2, size: [11], kernel: [4], stride: [2] }),
  "three axes": shape({ size: [3, 4, 5], kernel: [2, 3, 2], stride: [1, 2, 1] }),
};

describe.each(engines)("$build build: f32 products", (engine) => {
  test.each(MATRICES)("matrix %i x %i x %i", (m, k, n) => {
    const [a, b, bias] = [floats(m * k, 1), floats(k * n, 2), floats(n, 3)];
    const want = gemmReference(a, b, bias, m, k, n);
    const out = (): Float32Array => new Float32Array(m * n);
    expectSums(matmulF32(a, b, out(), { m, k, n }, bias, engine), want, engine, F32_BUDGET);
    const both = { m, k, n, transA: true, transB: true };
    expectSums(matmulF32(transpose(a, m, k), transpose(b, k, n), out(), both, bias, engine), want, engine, F32_BUDGET);
  });

  test("batches, in place", () => {
    const [a, b] = [floats(3 * 16, 4), floats(3 * 16, 5)];
    const want = [0, 1, 2].map(
      (i) => gemmReference(a.slice(i * 16, i * 16 + 16), b.slice(i * 16, i * 16 + 16), null, 4, 4, 4).values,
    );
    const got = matmulF32(a, b, a, { batch: 3, m: 4, k: 4, n: 4 }, null, engine);
    expect(got).toBe(a);
    want.forEach((values, i) => {
      got.subarray(i * 16, i * 16 + 16).forEach((value, j) => {
        expect(value).toBeCloseTo(values[j] ?? NaN, 5);
      });
    });
  });

  test("empty sums and empty results", () => {
    const none = new Float32Array(0);
    expect([...matmulF32(none, none, new Float32Array(2), { m: 1, k: 0, n: 2 }, null, engine)]).toEqual([0, 0]);
    expect(matmulF32(none, new Float32Array(6), none, { m: 0, k: 2, n: 3 }, null, engine).length).toBe(0);
  });

  test.each(Object.entries(CONVOLUTIONS))("convolution: %s", (_, convolution) => {
    const c = conv3d(convolution);
    const x = floats(c.batch * c.inChannels * c.inPixels, 6);
    const w = floats((c.outChannels * c.inChannels * c.points) / c.groups, 7);
    const dy = floats(c.batch * c.outChannels * c.outPixels, 8);
    const bias = floats(c.outChannels, 9);
    expectSums(convNdF32(x, w, bias, convolution, engine), convReference(x, w, bias, c), engine, F32_BUDGET);
    expectSums(
      convNdBackwardInputF32(dy, w, convolution, engine),
      convInputGradReference(dy, w, c),
      engine,
      F32_BUDGET,
    );
    expectSums(
      convNdBackwardWeightF32(dy, x, convolution, engine),
      convWeightGradReference(dy, x, c),
      engine,
      F32_BUDGET,
    );
  });

  test("NaN and infinity go through", () => {
    const got = matmulF32(
      Float32Array.of(NaN, Infinity),
      Float32Array.of(1),
      new Float32Array(2),
      { m: 2, k: 1, n: 1 },
      null,
      engine,
    );
    expect([...got]).toEqual([NaN, Infinity]);
  });

  test("leaves no block behind", () => {
    expect(engine.memory.usedBytes).toBe(0);
  });
});

describe("bad shapes", () => {
  test.each([
    shape({ inChannels: 3, groups: 2 }),
    shape({ kernel: [9, 9] }),
    shape({ stride: [0, 1] }),
    shape({ kernel: [3] }),
    shape({ size: [2, 2, 2, 2] }),
  ])("are refused: %o", (bad) => {
    expect(() => convNdF32(new Float32Array(108), new Float32Array(135), null, bad)).toThrow(EngineError);
  });

  test("arrays of another length are refused", () => {
    expect(() => convNdF32(new Float32Array(1), new Float32Array(135), null, shape({}))).toThrow(/108/);
    expect(() =>
      matmulF32(new Float32Array(3), new Float32Array(4), new Float32Array(4), { m: 2, k: 2, n: 2 }),
    ).toThrow(EngineError);
  });
});
