/**
 * Conversions, tables and pairs of bytes against their references, bit for bit: every rule, both dtypes,
 * both storages, lengths around the vector width, ties, NaN and infinities, in place.
 */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { D_BYTES, Q_BYTES } from "../../src/kernels/quantize/layout.ts";
import {
  dequantizeReference,
  quantizeReference,
  ruleCode,
  writeDequantizer,
  writeQuantizer,
} from "../../src/kernels/quantize/rules.ts";
import {
  addReference,
  clampReference,
  mulReference,
  PAIR_BYTES,
  productQuantizer,
  writePair,
} from "../../src/kernels/qelementwise/reference.ts";
import { lutReference, requantizeTable, tableOf } from "../../src/kernels/qlut/reference.ts";
import type { Dequantizer, Quantizer, RoundingRule } from "../../src/kernels/quantize/rules.ts";
import { integer, integers, seeded } from "./helpers.ts";
import type { Random } from "./helpers.ts";

const engines = [new Engine({ build: "simd" }), new Engine()];
const RULES: readonly RoundingRule[] = ["roundThenAdd", "addThenRound", "addThenRoundTwice", "divideThenRound"];
const LENGTHS = [0, 1, 3, 15, 16, 17, 64, 100];

function dataView(engine: Engine): DataView {
  return new DataView(engine.memory.wasm.buffer);
}

function quantizer(random: Random, rule: RoundingRule): Quantizer {
  const offset = random() < 0.5 ? 0 : 128;
  const zeroPoint = ([0, 255, integer(random, 0, 255)][integer(random, 0, 2)] ?? 0) - offset;
  const low = random() < 0.5 ? -offset : Math.max(-offset, zeroPoint - 3);
  const scale = random() < 0.5 ? 0.5 : 0.01 + random();
  return {
    rule,
    offset,
    flip: random() < 0.5 ? 0 : 0x80,
    scale,
    zeroPoint,
    low,
    high: random() < 0.8 ? 255 - offset : 127 - offset,
    nan: random() < 0.5 ? "low" : "high",
  };
}

function dequantizer(random: Random, fused = false): Dequantizer {
  const offset = random() < 0.5 ? 0 : 128;
  const scale = random() < 0.5 ? 0.25 : 0.01 + random();
  return { offset, flip: random() < 0.5 ? 0 : 0x80, scale, zeroPoint: integer(random, 0, 255) - offset, fused };
}

/** Reals around the range, many of them ties, with what is not a number at the end. */
function reals(random: Random, n: number, q: Quantizer): Float32Array {
  const x = Float32Array.from({ length: n }, () => {
    const step = integer(random, -300, 300) / 2;
    return random() < 0.5 ? step * q.scale : (step + random()) * q.scale;
  });
  [NaN, Infinity, -Infinity, 3e38, -0].forEach((v, i) => {
    if (n > 8 + i) x[n - 1 - i] = v;
  });
  return x;
}

describe.each(engines.map((engine) => [engine.build, engine] as const))("%s build", (_, engine) => {
  it.each(RULES)("quantize_bytes by %s", (rule) => {
    const random = seeded(1);
    for (let round = 0; round < 40; round++) {
      for (const n of LENGTHS) {
        const q = quantizer(random, rule);
        const x = reals(random, n, q);
        const got = engine.memory.scope((alloc) => {
          const [record, xAt, yAt] = [alloc(Q_BYTES), alloc(n * 4), alloc(n + 1)];
          writeQuantizer(dataView(engine), record, q);
          engine.memory.f32(xAt, n).set(x);
          engine.memory.u8(yAt, n + 1).fill(99);
          engine.kernels.quantize_bytes(ruleCode(rule), n, xAt, yAt, record);
          return [...engine.memory.u8(yAt, n + 1)];
        });
        expect(got, JSON.stringify(q)).toEqual([...Array.from(x, (v) => quantizeReference(v, q)), 99]);
      }
    }
  });

  it.each([false, true])("dequantize_bytes, fused %s", (fused) => {
    const random = seeded(2);
    for (const n of [...LENGTHS, 256]) {
      const d = dequantizer(random, fused);
      const x = Uint8Array.from({ length: n }, (_, i) => i);
      const got = engine.memory.scope((alloc) => {
        const [record, xAt, yAt] = [alloc(D_BYTES), alloc(n), alloc(n * 4)];
        writeDequantizer(dataView(engine), record, d);
        engine.memory.u8(xAt, n).set(x);
        engine.kernels.dequantize_bytes(n, xAt, yAt, record);
        return [...engine.memory.f32(yAt, n)];
      });
      expect(got).toEqual(Array.from(x, (v) => dequantizeReference(v, d)));
    }
  });

  it("quantizes NCHW into bordered NHWC and back", () => {
    const random = seeded(3);
    for (const rule of RULES) {
      for (const [c, h, w] of [
        [1, 1, 1],
        [3, 5, 7],
        [4, 3, 4],
        [5, 2, 9],
        [8, 4, 6],
        [13, 1, 3],
      ] as const) {
        const q = quantizer(random, rule);
        const d = dequantizer(random, random() < 0.5);
        const x = reals(random, c * h * w, q);
        const [pixel, row] = [c + 2, (w + 3) * (c + 2)];
        const [bytes, back] = engine.memory.scope((alloc) => {
          const [record, other, xAt, yAt, zAt] = [
            alloc(Q_BYTES),
            alloc(D_BYTES),
            alloc(x.length * 4),
            alloc(h * row),
            alloc(x.length * 4),
          ];
          writeQuantizer(dataView(engine), record, q);
          writeDequantizer(dataView(engine), other, d);
          engine.memory.f32(xAt, x.length).set(x);
          engine.memory.u8(yAt, h * row).fill(99);
          engine.kernels.quantize_nchw_nhwc(ruleCode(rule), c, h, w, xAt, yAt, row, pixel, record);
          engine.kernels.dequantize_nhwc_nchw(c, h, w, yAt, row, pixel, zAt, other);
          return [engine.memory.u8(yAt, h * row).slice(), engine.memory.f32(zAt, x.length).slice()];
        });
        const want = new Uint8Array(h * row).fill(99);
        const wantBack = new Float32Array(x.length);
        x.forEach((v, i) => {
          const at = (Math.floor(i / w) % h) * row + (i % w) * pixel + Math.floor(i / (w * h));
          want[at] = quantizeReference(v, q);
          if (c === 3 && pixel === 4 && (at % row) % 4 === 2) want[at + 1] = want[at];
          wantBack[i] = dequantizeReference(want[at], d);
        });
        expect(bytes).toEqual(want);
        expect(back).toEqual(wantBack);
      }
    }
  });

  /** Runs a row kernel on strided operands a and b; y takes a's place when `inPlace`. */
  function rowsOf(
    a: Uint8Array,
    b: Uint8Array,
    rows: number,
    n: number,
    pad: number,
    inPlace: boolean,
    call: (aAt: number, bAt: number, yAt: number, stride: number, extra: number) => void,
  ): number[] {
    return engine.memory.scope((alloc) => {
      const stride = n + pad;
      const [aAt, bAt, other, extra] = [alloc(rows * stride), alloc(rows * stride), alloc(rows * stride), alloc(256)];
      const yAt = inPlace ? aAt : other;
      for (let r = 0; r < rows; r++) {
        engine.memory.u8(aAt + r * stride, n).set(a.subarray(r * n, (r + 1) * n));
        engine.memory.u8(bAt + r * stride, n).set(b.subarray(r * n, (r + 1) * n));
        if (pad > 0) engine.memory.u8(yAt + r * stride + n, pad).fill(99);
      }
      call(aAt, bAt, yAt, stride, extra);
      const y: number[] = [];
      for (let r = 0; r < rows; r++) {
        y.push(...engine.memory.u8(yAt + r * stride, n));
        expect(
          [...engine.memory.u8(yAt + r * stride + n, pad)].every((v) => v === 99),
          "wrote between rows",
        ).toBe(true);
      }
      return y;
    });
  }

  const SHAPES = [
    [1, 0, 0],
    [1, 1, 0],
    [2, 7, 3],
    [3, 16, 0],
    [2, 33, 5],
    [1, 500, 0],
  ] as const;

  it.each(RULES)("qadd_rows by %s, plain and fused, in place or not", (rule) => {
    const random = seeded(4);
    for (let round = 0; round < 12; round++) {
      for (const [rows, n, pad] of SHAPES) {
        const fused = random() < 0.5;
        const output = quantizer(random, rule);
        // Every fourth round has sums far beyond the bytes, for which the fast path's bound does not hold.
        const records = {
          a: dequantizer(random, fused),
          b: dequantizer(random, fused),
          output: round % 4 === 3 ? { ...output, scale: 1e-6 } : output,
        };
        const a = integers(random, rows * n, 0, 255, Uint8Array);
        const b = integers(random, rows * n, 0, 255, Uint8Array);
        const got = rowsOf(a, b, rows, n, pad, round % 2 === 1, (aAt, bAt, yAt, stride, extra) => {
          writePair(dataView(engine), extra, records);
          engine.kernels.qadd_rows(ruleCode(rule), rows, n, aAt, stride, bAt, stride, yAt, stride, extra);
        });
        expect(got).toEqual(addReference(a, b, records));
      }
    }
    expect(PAIR_BYTES).toBeLessThanOrEqual(256);
  });

  it("qmul_rows", () => {
    const random = seeded(5);
    for (let round = 0; round < 12; round++) {
      for (const [rows, n, pad] of SHAPES) {
        const [da, db, plain] = [dequantizer(random), dequantizer(random), quantizer(random, "roundThenAdd")];
        const records = { a: da, b: db, output: productQuantizer(da, db, { ...plain, scale: plain.scale * 20 }) };
        const a = integers(random, rows * n, 0, 255, Uint8Array);
        const b = integers(random, rows * n, 0, 255, Uint8Array);
        const got = rowsOf(a, b, rows, n, pad, round % 2 === 1, (aAt, bAt, yAt, stride, extra) => {
          writePair(dataView(engine), extra, records);
          engine.kernels.qmul_rows(rows, n, aAt, stride, bAt, stride, yAt, stride, extra);
        });
        expect(got).toEqual(mulReference(a, b, records));
      }
    }
  });

  it("qclamp_rows, qflip_rows and qlut_rows", () => {
    const random = seeded(6);
    for (const [rows, n, pad] of SHAPES) {
      for (const inPlace of [false, true]) {
        const x = integers(random, rows * n, 0, 255, Uint8Array);
        const [low, high, flip] = [integer(random, 0, 128), integer(random, 129, 255), random() < 0.5 ? 0 : 0x80];
        const clamped = rowsOf(x, x, rows, n, pad, inPlace, (a, _b, y, stride) =>
          engine.kernels.qclamp_rows(rows, n, a, stride, y, stride, low, high, flip),
        );
        expect(clamped).toEqual(clampReference(x, low, high, flip));
        const flipped = rowsOf(x, x, rows, n, pad, inPlace, (a, _b, y, stride) =>
          engine.kernels.qflip_rows(rows, n, a, stride, y, stride),
        );
        expect(flipped).toEqual(Array.from(x, (v) => v ^ 128));
        const table = requantizeTable(dequantizer(random), quantizer(random, "addThenRound"));
        const looked = rowsOf(x, x, rows, n, pad, inPlace, (a, _b, y, stride, extra) => {
          engine.memory.u8(extra, 256).set(table);
          engine.kernels.qlut_rows(rows, n, a, stride, y, stride, extra);
        });
        expect(looked).toEqual(lutReference(x, table));
      }
    }
  });
});

it("makes tables of any function", () => {
  const input: Dequantizer = { offset: 0, flip: 0, scale: 0.1, zeroPoint: 128, fused: false };
  const output: Quantizer = {
    rule: "addThenRound",
    offset: 0,
    flip: 0,
    scale: 1 / 256,
    zeroPoint: 0,
    low: 0,
    high: 255,
    nan: "high",
  };
  const table = tableOf((v) => Math.fround(1 / (1 + Math.exp(-v))), input, output);
  expect([table[0], table[128], table[255]]).toEqual([0, 128, 255]);
});
