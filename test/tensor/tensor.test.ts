import fc from "fast-check";
import { expect, test } from "vitest";
import { ShapeError, DtypeError } from "../../src/errors.ts";
import { arange, eye, linspace, rand, randint, randn, tensor, zeros } from "../../src/tensor/create.ts";
import { promote } from "../../src/tensor/dtype.ts";
import { Generator } from "../../src/tensor/random.ts";
import { rint } from "../../src/tensor/rounding.ts";
import { broadcastShapes, resolveReshape } from "../../src/tensor/shape.ts";
import { decodeSmallFloat, encodeSmallFloat, roundingTo } from "../../src/tensor/small-floats.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

test("rint sends halves to the even neighbour", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.4999999999999999, 4503599627370497.5].map((v) => rint(v) + 0)).toEqual([
    0, 2, 2, 0, -2, -2, 0, 4503599627370498,
  ]);
  expect([rint(NaN), rint(Infinity), rint(-Infinity)]).toEqual([NaN, Infinity, -Infinity]);
});

test("nested arrays give their shape; ragged ones are refused", () => {
  const x = tensor([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
  expect([x.dtype, x.shape, x.tolist()]).toEqual(["float32", [2, 3], [[1, 2, 3], [4, 5, 6]]]); // prettier-ignore
  expect(tensor([true, false]).dtype).toBe("bool");
  expect(() => tensor([[1, 2], [3]])).toThrow(ShapeError);
  expect(() => tensor([1, [2]])).toThrow(ShapeError);
});

test("creation functions", () => {
  expect(arange(2, 9, 3).tolist()).toEqual([2, 5, 8]);
  expect(linspace(0, 1, 5).tolist()).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(eye(2).tolist()).toEqual([[1, 0], [0, 1]]); // prettier-ignore
});

test("a tensor must be consistent", () => {
  expect(() => new Tensor("float32", [2], new Float32Array(3))).toThrow(ShapeError);
  expect(() => new Tensor("qint8", [1], new Int8Array(1))).toThrow(DtypeError);
  expect(() => zeros([2]).item()).toThrow(ShapeError);
});

test("broadcasting and reshape rules", () => {
  expect(broadcastShapes("t", [2, 1, 3], [4, 1])).toEqual([2, 4, 3]);
  expect(() => broadcastShapes("t", [2], [3])).toThrow(ShapeError);
  expect(resolveReshape([2, 6], [3, -1])).toEqual([3, 4]);
  expect(() => resolveReshape([2, 6], [5, -1])).toThrow(ShapeError);
});

test("promotion follows PyTorch", () => {
  expect([
    promote("int64", "float16"),
    promote("uint8", "int8"),
    promote("float16", "bfloat16"),
    promote("bool", "int32"),
  ]).toEqual(["float16", "int16", "float32", "int32"]);
});

test("the same seed gives the same numbers, with the moments asked for", () => {
  const draw = (): Tensor => randn([10000], { generator: new Generator(3) });
  expect(draw().data).toEqual(draw().data);
  const values = [...draw().data];
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(0.05);
  expect(Math.abs(values.reduce((a, b) => a + b * b, 0) / values.length - 1)).toBeLessThan(0.05);
  const uniform = rand([1000], { generator: new Generator(4) }).data;
  expect(uniform.every((v) => v >= 0 && v < 1)).toBe(true);
  expect(new Set(randint(-2, 3, [200], { generator: new Generator(5) }).data)).toEqual(new Set([-2, -1, 0, 1, 2]));
});

test.each(["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"] as const)(
  "%s: every bit pattern is a value that rounds to itself",
  (dtype) => {
    const bits = dtype.startsWith("float8") ? 8 : 16;
    for (let pattern = 0; pattern < 2 ** bits; pattern++) {
      const value = decodeSmallFloat(dtype, pattern);
      if (Number.isNaN(value)) continue;
      expect(Object.is(roundingTo(dtype)(value), value)).toBe(true);
      expect(encodeSmallFloat(dtype, value)).toBe(pattern);
    }
  },
);

test("rounding to float16 gives the nearest value", () => {
  fc.assert(
    fc.property(fc.double({ min: -70000, max: 70000, noNaN: true }), (v) => {
      const rounded = roundingTo("float16")(v);
      const bits = encodeSmallFloat("float16", rounded);
      for (const neighbour of [bits - 1, bits + 1]) {
        if (neighbour < 0 || neighbour > 0xffff) continue;
        const other = decodeSmallFloat("float16", neighbour);
        if (Number.isFinite(other) && Number.isFinite(rounded))
          expect(Math.abs(v - rounded)).toBeLessThanOrEqual(Math.abs(v - other));
      }
    }),
  );
});
