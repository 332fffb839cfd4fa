/** Laws of the numeric contract, on random numbers. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { grad } from "../../../src/autograd/backward.ts";
import { DtypeError, FewbitError, ShapeError } from "../../../src/errors.ts";
import { mul } from "../../../src/ops/arithmetic.ts";
import * as q from "../../../src/ops/quantize/index.ts";
import { addThenRoundRun, addThenRoundTwiceRun, roundThenAddRun } from "../../../src/ops/quantize/loops.ts";
import { fromArray, ones, randn, tensor } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";

const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 });
const values = fc.array(finite, { minLength: 1, maxLength: 40 });
const scales = fc.double({ min: 1e-3, max: 10, noNaN: true });
const bytes = fc.integer({ min: 0, max: 255 });

const clampByte = (v: number): number => Math.min(Math.max(v, 0), 255);

describe("rounding orders", () => {
  test("each loop is its scalar rule", () => {
    fc.assert(
      fc.property(values, scales, bytes, (list, scale, zeroPoint) => {
        const x = Float32Array.from(list);
        const inverse = q.inverseScale(scale);
        const run = { start: 0, end: x.length, inverse, zeroPoint, low: 0, high: 255 };
        const out = new Uint8Array(x.length);
        addThenRoundRun(x, out, run, 255);
        expect([...out]).toEqual(Array.from(x, (v) => clampByte(q.quantizeAddThenRound(v, inverse, zeroPoint))));
        addThenRoundTwiceRun(x, out, run, 255);
        expect([...out]).toEqual(Array.from(x, (v) => clampByte(q.quantizeAddThenRoundTwice(v, inverse, zeroPoint))));
        roundThenAddRun(x, out, run);
        expect([...out]).toEqual(Array.from(x, (v) => clampByte(q.quantizeRoundThenAdd(v, inverse, zeroPoint))));
      }),
    );
  });

  test("the two orders differ at ties with an odd zero point, and only by one", () => {
    expect(q.quantizeAddThenRound(0.5, 1, 1)).toBe(2);
    expect(q.quantizeRoundThenAdd(0.5, 1, 1)).toBe(1);
    fc.assert(
      fc.property(finite, scales, bytes, (x, scale, zeroPoint) => {
        const inverse = q.inverseScale(scale);
        if (Math.abs(x * inverse) > 2 ** 20) return;
        const difference =
          q.quantizeAddThenRound(x, inverse, zeroPoint) - q.quantizeRoundThenAdd(x, inverse, zeroPoint);
        expect(Math.abs(difference)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("quantize and dequantize", () => {
  test("integers survive the round trip", () => {
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1 }), scales, bytes, (list, scale, zeroPoint) => {
        const x = fromArray(
          list.map((v) => (v - zeroPoint) * scale),
          [list.length],
        );
        const first = q.quantizePerTensor(x, scale, zeroPoint, "quint8");
        const again = q.quantizePerTensor(q.dequantize(first), scale, zeroPoint, "quint8");
        expect([...again.data]).toEqual([...first.data]);
        expect([...first.data]).toEqual(list);
      }),
    );
  });

  test("is monotonic, and never further than half a step inside the range", () => {
    fc.assert(
      fc.property(values, scales, bytes, (list, scale, zeroPoint) => {
        const x = fromArray(
          [...list].sort((a, b) => a - b),
          [list.length],
        );
        const integers = q.quantizePerTensor(x, scale, zeroPoint, "quint8");
        const back = q.dequantize(integers);
        integers.data.forEach((v, i) => {
          if (i > 0) expect(v).toBeGreaterThanOrEqual(integers.data[i - 1]!);
          if (v > 0 && v < 255) expect(Math.abs(back.data[i]! - x.data[i]!)).toBeLessThanOrEqual(scale * 0.501);
        });
      }),
    );
  });

  test("intRepr, float inputs and refusals", () => {
    const integers = q.quantizePerTensor(tensor([0, 0.5, 1]), 0.5, 3, "qint8");
    expect(q.intRepr(integers).dtype).toBe("int8");
    expect(q.intRepr(integers).tolist()).toEqual([3, 4, 5]);
    expect(q.dequantize(tensor([1.5])).tolist()).toEqual([1.5]);
    expect(() => q.intRepr(tensor([1]))).toThrow(DtypeError);
    expect(() => q.quantizePerTensor(tensor([1], { dtype: "int32" }), 1, 0, "qint8")).toThrow(DtypeError);
    expect(() =>
      q.quantizePerChannel(tensor([[1, 2]]), tensor([1]), tensor([0], { dtype: "int64" }), 1, "qint8"),
    ).toThrow(ShapeError);
  });
});

describe("decomposed", () => {
  test("refuses ranges outside the dtype, and float64", () => {
    const range = { quantMin: 0, quantMax: 300, dtype: "uint8" } as const;
    expect(() => q.decomposedQuantizePerTensor(tensor([1]), 1, 0, range)).toThrow(FewbitError);
    const wide = tensor([1], { dtype: "float64" });
    expect(() => q.decomposedQuantizePerTensor(wide, 1, 0, { ...range, quantMax: 255 })).toThrow(DtypeError);
  });

  test("parameters may be tensors with one element", () => {
    const x = randn([3, 4], { generator: new Generator(1) });
    const range = { quantMin: -128, quantMax: 127, dtype: "int8" } as const;
    const byNumber = q.decomposedQuantizePerTensor(x, 0.03125, 5, range);
    const byTensor = q.decomposedQuantizePerTensor(x, tensor([0.03125]), tensor([5], { dtype: "int64" }), range);
    expect(byTensor.tolist()).toEqual(byNumber.tolist());
    const back = q.decomposedDequantizePerTensor(byNumber, 0.03125, 5, { ...range, outDType: "bfloat16" });
    expect(back.dtype).toBe("bfloat16");
  });
});

describe("blocks", () => {
  const x = randn([4, 6], { generator: new Generator(3) });

  test("one block is per tensor, rows are per channel", () => {
    const [scale, zeroPoint] = q.chooseQParamsAffine(x, "ASYMMETRIC", [4, 6], "uint8");
    const whole = q.quantizeAffine(x, [-1, -1], scale, zeroPoint, "uint8");
    const range = { quantMin: 0, quantMax: 255, dtype: "uint8" } as const;
    expect(whole.tolist()).toEqual(q.decomposedQuantizePerTensor(x, scale, zeroPoint, range).tolist());
    const [rowScales, rowZeros] = q.chooseQParamsAffine(x, "SYMMETRIC", [1, 6], "int8");
    expect(rowScales.shape).toEqual([4, 1]);
    const rows = q.quantizeAffine(x, [1, 6], rowScales, rowZeros, "int8");
    const flat = fromArray(rowScales.data, [4]);
    const perChannel = q.decomposedQuantizePerChannel(x, flat, null, 0, {
      quantMin: -128,
      quantMax: 127,
      dtype: "int8",
    });
    expect(rows.tolist()).toEqual(perChannel.tolist());
  });

  test.each(["INT", "FLOAT"] as const)("groups come back within half a step (%s)", (zeroPointDomain) => {
    const options = { quantMin: 0, quantMax: 15, zeroPointDomain };
    const [scale, zeroPoint] = q.chooseQParamsAffine(x, "ASYMMETRIC", [1, 3], "uint8", options);
    const integers = q.quantizeAffine(x, [1, 3], scale, zeroPoint, "uint8", options);
    const back = q.dequantizeAffine(integers, [1, 3], scale, zeroPoint, options);
    back.data.forEach((v, i) => {
      expect(Math.abs(v - x.data[i]!)).toBeLessThanOrEqual(scale.data[Math.floor(i / 3)]! * 1.001);
    });
    const fake = q.fakeQuantizeAffine(x, [1, 3], scale, zeroPoint, "uint8", options);
    expect(fake.tolist()).toEqual(back.tolist());
  });

  test("blocks must divide the shape", () => {
    expect(() => q.chooseQParamsAffine(x, "SYMMETRIC", [1, 4], "int8")).toThrow(ShapeError);
  });

  test("8-bit floats keep three significant bits", () => {
    const scale = q.chooseScaleFloat8(x, [1, -1], "float8_e4m3fn");
    const back = q.dequantizeFloat8(q.quantizeFloat8(x, scale, [1, -1], "float8_e4m3fn"), scale, [1, -1]);
    back.data.forEach((v, i) => {
      const bound = Math.max(Math.abs(x.data[i]!) / 16, scale.data[Math.floor(i / 6)]! * 2 ** -9);
      expect(Math.abs(v - x.data[i]!)).toBeLessThanOrEqual(bound * 1.0001);
    });
  });
});

describe("gradients", () => {
  test("straight through inside the range, and linear in what comes back", () => {
    const x = tensor([-5, 0.2, 0.4, 5]).requireGrad();
    const y = q.fakeQuantizePerTensorAffine(x, 0.1, 0, -10, 10);
    const dy = ones([4]).requireGrad();
    const [dx] = grad(y, [x], { gradient: dy, createGraph: true });
    expect(dx!.tolist()).toEqual([0, 1, 1, 0]);
    const [ddy] = grad(mul(dx!, 3), [dy], { gradient: ones([4]) });
    expect(ddy!.tolist()).toEqual([0, 3, 3, 0]);
  });
});
