/** Softmax and layer norm of bytes against their references, bit for bit. */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { N_BYTES } from "../../src/kernels/qnorm/layout.ts";
import { exponentialTable, writeLayerNorm, writeSoftmax } from "../../src/kernels/qnorm/records.ts";
import { layerNormReference, softmaxReference } from "../../src/kernels/qnorm/reference.ts";
import { ruleCode } from "../../src/kernels/quantize/rules.ts";
import type { Dequantizer, Quantizer, RoundingRule } from "../../src/kernels/quantize/rules.ts";
import { floats, integer, integers, seeded } from "./helpers.ts";

const engine = new Engine();
const RULES: readonly RoundingRule[] = ["roundThenAdd", "addThenRound", "addThenRoundTwice", "divideThenRound"];
const SHAPES = [
  [1, 1],
  [2, 3],
  [3, 16],
  [2, 37],
  [1, 300],
] as const;

function storages(): { offset: 0 | 128; flip: 0 | 0x80 }[] {
  return ([0, 128] as const).flatMap((offset) => ([0, 0x80] as const).map((flip) => ({ offset, flip })));
}

/** Calls `kernel` on strided rows of x and gives back dense rows. */
function run(
  x: Uint8Array,
  rows: number,
  n: number,
  write: (view: DataView, record: number, extra: number, stride: number) => void,
  kernel: (record: number, x: number, y: number) => void,
): number[] {
  return engine.memory.scope((alloc) => {
    const stride = n + 3;
    const [record, xAt, extra] = [alloc(N_BYTES), alloc(rows * stride), alloc(256 * 1024)];
    for (let r = 0; r < rows; r++) engine.memory.u8(xAt + r * stride, n).set(x.subarray(r * n, (r + 1) * n));
    write(new DataView(engine.memory.wasm.buffer), record, extra, stride);
    kernel(record, xAt, xAt);
    return Array.from({ length: rows }, (_, r) => [...engine.memory.u8(xAt + r * stride, n)]).flat();
  });
}

describe.each(RULES)("%s", (rule) => {
  const code = ruleCode(rule);

  it("softmax in place", () => {
    const random = seeded(1);
    for (const storage of storages()) {
      for (const [rows, n] of SHAPES) {
        const input: Dequantizer = {
          ...storage,
          scale: 0.03 + random() * 0.1,
          zeroPoint: integer(random, 0, 255) - storage.offset,
          fused: false,
        };
        const output: Quantizer = {
          ...storage,
          rule,
          scale: 1 / 256,
          zeroPoint: -storage.offset,
          low: -storage.offset,
          high: 255 - storage.offset,
          nan: "low",
        };
        const x = integers(random, rows * n, 0, 255, Uint8Array);
        const got = run(
          x,
          rows,
          n,
          (view, record, extra, stride) => {
            engine.memory.f32(extra, 65536).set(exponentialTable(input));
            writeSoftmax(view, record, { rows, length: n, xStride: stride, yStride: stride }, input, output, extra);
          },
          (record, from, to) => engine.kernels.qsoftmax_rows(code, record, from, to),
        );
        expect(got).toEqual(
          Array.from({ length: rows }, (_, r) =>
            softmaxReference(x.subarray(r * n, (r + 1) * n), input, output),
          ).flat(),
        );
      }
    }
  });

  it("layer norm in place, constant rows too", () => {
    const random = seeded(2);
    for (const storage of storages()) {
      for (const [rows, n] of SHAPES) {
        const input: Dequantizer = {
          ...storage,
          scale: 0.03 + random() * 0.1,
          zeroPoint: integer(random, 0, 255) - storage.offset,
          fused: false,
        };
        const first: Quantizer = {
          ...storage,
          rule,
          scale: 0.02,
          zeroPoint: integer(random, 0, 255) - storage.offset,
          low: -storage.offset,
          high: 255 - storage.offset,
          nan: "low",
        };
        const second: Quantizer = { ...first, rule: "addThenRound" };
        const [weight, bias] = [floats(random, n, 2), floats(random, n, 1)];
        const constant = random() < 0.2;
        const x = integers(random, rows * n, constant ? 9 : 0, constant ? 9 : 255, Uint8Array);
        const split = n - (n % 16);
        const got = run(
          x,
          rows,
          n,
          (view, record, extra, stride) => {
            engine.memory.f32(extra, n).set(weight);
            engine.memory.f32(extra + 2048, n).set(bias);
            writeLayerNorm(view, record, { rows, length: n, xStride: stride, yStride: stride }, input, {
              eps: 1e-5,
              weight: extra,
              bias: extra + 2048,
              split,
              first,
              second,
            });
          },
          (record, from, to) => engine.kernels.qlayernorm_rows(code, ruleCode("addThenRound"), record, from, to),
        );
        const norm = { input, weight, bias, eps: 1e-5, split, first, second };
        expect(got).toEqual(
          Array.from({ length: rows }, (_, r) => layerNormReference(x.subarray(r * n, (r + 1) * n), norm)).flat(),
        );
      }
    }
  });
});

it("does nothing for no rows", () => {
  const q: Quantizer = {
    rule: "roundThenAdd",
    offset: 0,
    flip: 0,
    scale: 1,
    zeroPoint: 0,
    low: 0,
    high: 255,
    nan: "low",
  };
  const input: Dequantizer = { offset: 0, flip: 0, scale: 1, zeroPoint: 0, fused: false };
  const rows = { rows: 0, length: 4, xStride: 4, yStride: 4 };
  expect(
    run(
      new Uint8Array(0),
      0,
      4,
      (view, record, extra) => writeSoftmax(view, record, rows, input, q, extra),
      (record, from, to) => engine.kernels.qsoftmax_rows(0, record, from, to),
    ),
  ).toEqual([]);
});
