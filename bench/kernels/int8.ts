/**
 * The integer kernels as works to time: products (operations), byte kernels and weight-only products. Every variant may be
 * timed on every machine, also where its results would not be exact, because a speed does not depend on the operands.
 */

import type { Engine } from "../../src/engine/engine.ts";
import { convBorder, convParts } from "../../src/kernels/qconv/conv.ts";
import { imageSize, NO_BORDER } from "../../src/kernels/qconv/image.ts";
import { depthwisePart } from "../../src/kernels/qdepthwise/depthwise.ts";
import { PAIR_BYTES, productQuantizer, writePair } from "../../src/kernels/qelementwise/reference.ts";
import { gemmPart } from "../../src/kernels/qgemm/gemm.ts";
import type { Variant } from "../../src/kernels/qgemm/list.ts";
import { PartBlock } from "../../src/kernels/qgemm/parts.ts";
import type { Part } from "../../src/kernels/qgemm/parts.ts";
import type { Epilogue } from "../../src/kernels/qgemm/post.ts";
import { runParts } from "../../src/kernels/qgemm/run.ts";
import { ruleCode, writeDequantizer, writeQuantizer } from "../../src/kernels/quantize/rules.ts";
import type { Dequantizer, Quantizer, RoundingRule } from "../../src/kernels/quantize/rules.ts";
import { runWeightOnly } from "../../src/engine/eager/weight-only.ts";
import { packWeightOnly } from "../../src/kernels/wonly/weights.ts";
import type { KernelWork } from "./work.ts";

function bytesOf(length: number, seed: number): Int8Array {
  return Int8Array.from({ length }, (_, i) => ((i * 2654435761 + seed) >>> 13) & 127);
}

function epilogue(): Epilogue {
  return {
    inputScale: 0.02,
    inputZeroPoint: 3,
    weightScales: [0.004],
    bias: { kind: "none" },
    output: { kind: "bytes", scale: 0.1, zeroPoint: 5, low: 0, high: 255 },
  };
}

type MakeParts = (machine: { readonly dot: Engine["dot"]; readonly variant?: Variant }) => readonly Part[];

function product(
  section: string,
  name: string,
  amount: number,
  makeParts: MakeParts,
  xBytes: number,
  yBytes: number,
): KernelWork {
  return {
    section, name, amount, unit: "GOP/s",
    make(engine, variant) {
      const x = engine.memory.alloc(xBytes);
      const y = engine.memory.alloc(yBytes);
      engine.memory.i8(x, xBytes).set(bytesOf(xBytes, 1));
      const block = new PartBlock(makeParts({ dot: engine.dot, ...(variant && { variant }) }));
      const constants = engine.memory.alloc(block.bytes);
      const placed = block.write(new Uint8Array(engine.memory.wasm.buffer), constants);
      return {
        call: () => runParts(engine.kernels, placed, x, y),
        free: () => [x, y, constants].forEach((at) => engine.memory.free(at)),
      };
    },
  }; // prettier-ignore
}

const square = (kernel: number, stride: number) =>
  ({
    kernel: [kernel, kernel],
    stride: [stride, stride],
    padding: [(kernel - 1) / 2, (kernel - 1) / 2],
    dilation: [1, 1],
  }) as const;

function conv(section: string, cin: number, cout: number, size: number, kernel: number, stride: number): KernelWork {
  const shape = { inChannels: cin, outChannels: cout, groups: 1, ...square(kernel, stride) };
  const output = { n: 1, h: size, w: size, c: cout, border: NO_BORDER };
  const bare = { n: 1, h: size * stride, w: size * stride, c: cin, border: NO_BORDER };
  const input = { ...bare, border: convBorder(shape, bare, output) };
  const weights = bytesOf(cin * cout * kernel * kernel, 2);
  return product(
    section,
    `conv ${kernel}x${kernel} ${cin}->${cout} ${size}²${stride > 1 ? ` s${stride}` : ""}`,
    2 * cin * cout * kernel * kernel * size * size,
    (machine) => convParts({ shape, input, output, weights, epilogue: epilogue() }, machine),
    imageSize(input),
    imageSize(output),
  );
}

function depthwise(channels: number, size: number, stride: number, form: "taps" | "rows"): KernelWork {
  const shape = { inChannels: channels, outChannels: channels, groups: channels, ...square(3, stride) };
  const output = { n: 1, h: size, w: size, c: channels, border: NO_BORDER };
  const bare = { n: 1, h: size * stride, w: size * stride, c: channels, border: NO_BORDER };
  const input = { ...bare, border: convBorder(shape, bare, output) };
  const problem = { shape, input, output, weights: bytesOf(channels * 9, 4), epilogue: epilogue() };
  return product(
    "depthwise 3x3",
    `depthwise ${channels} ${size}² s${stride} ${form}`,
    18 * channels * size * size,
    (machine) => [depthwisePart(problem, machine, form === "taps" ? form : undefined)],
    imageSize(input),
    imageSize(output),
  );
}

function gemm(rows: number, depth: number, channels: number): KernelWork {
  const weights = bytesOf(depth * channels, 3);
  return product(
    "matrix products",
    `${rows === 1 ? "gemv" : `gemm ${rows} x`} ${depth} x ${channels}`,
    2 * rows * depth * channels,
    (machine) => [gemmPart({ rows, depth, channels, weights, epilogue: epilogue() }, machine)],
    rows * depth,
    rows * channels,
  );
}

const DEPTHWISE = [
  [16, 32],
  [32, 56],
  [64, 28],
  [128, 14],
  [256, 28],
  [512, 14],
] as const;

export const integerProducts: readonly KernelWork[] = [
  ...[16, 32, 64, 128].flatMap((c) => [8, 16, 32, 56].map((size) => conv("3x3", c, c, size, 3, 1))),
  conv("others", 3, 16, 32, 3, 1),
  conv("others", 16, 32, 16, 3, 2),
  conv("others", 32, 64, 8, 3, 2),
  conv("others", 512, 512, 7, 3, 1),
  conv("1x1", 16, 16, 32, 1, 1),
  conv("1x1", 16, 64, 56, 1, 1),
  conv("1x1", 64, 16, 56, 1, 1),
  conv("1x1", 64, 64, 28, 1, 1),
  conv("1x1", 64, 256, 28, 1, 1),
  conv("1x1", 256, 64, 28, 1, 1),
  conv("1x1", 512, 512, 7, 1, 1),
  ...(["rows", "taps"] as const).flatMap((form) => DEPTHWISE.map(([c, size]) => depthwise(c, size, 1, form))),
  ...(["rows", "taps"] as const).map((form) => depthwise(64, 28, 2, form)),
  gemm(1024, 1024, 1024),
  gemm(64, 768, 768),
  gemm(1, 192, 1024),
  gemm(1, 960, 1024),
  gemm(1, 96, 512),
];

const N = 16384;

/** Addresses of an elementwise work: floats, bytes, and where results, parameters and a table go. */
interface Room {
  readonly x: number;
  readonly b: number;
  readonly y: number;
  readonly record: number;
  readonly table: number;
}

type ByteCall = (engine: Engine, room: Room, view: DataView) => () => void;

/** An elementwise kernel on 16384 elements; `bytes` is what it reads. */
function elementwise(name: string, bytes: number, prepare: ByteCall): KernelWork {
  return {
    section: "bytes", name, amount: bytes, unit: "GB/s",
    make(engine) {
      const { memory } = engine;
      const alloc = (length: number): number => memory.alloc(length);
      const room = { x: alloc(N * 4), b: alloc(N), y: alloc(N * 4), record: alloc(PAIR_BYTES), table: alloc(256) };
      memory.u8(room.b, N).set(bytesOf(N, 7));
      memory.f32(room.x, N).set(Float32Array.from({ length: N }, (_, i) => (i % 100) / 10));
      const call = prepare(engine, room, new DataView(memory.wasm.buffer));
      return { call, free: () => Object.values(room).forEach((at) => memory.free(at)) };
    },
  }; // prettier-ignore
}

const RULES = ["roundThenAdd", "divideThenRound", "addThenRoundTwice", "addThenRound"] as const;
const output = (rule: RoundingRule): Quantizer => ({
  rule, scale: 0.1, zeroPoint: 3, low: 0, high: 255, offset: 0, flip: 0, nan: "high",
}); // prettier-ignore
const input = (fused: boolean): Dequantizer => ({ scale: 0.07, zeroPoint: 5, offset: 0, flip: 0, fused });

export const byteKernels: readonly KernelWork[] = [
  ...RULES.flatMap((rule) => [
    elementwise(`quantize ${rule}`, N * 4, ({ kernels }, { x, y, record }, view) => {
      writeQuantizer(view, record, output(rule));
      return () => kernels.quantize_bytes(ruleCode(rule), N, x, y, record);
    }),
    elementwise(`quantize NCHW to NHWC ${rule}`, N * 4, ({ kernels }, { x, y, record }, view) => {
      writeQuantizer(view, record, output(rule));
      return () => kernels.quantize_nchw_nhwc(ruleCode(rule), 16, 32, 32, x, y, 512, 16, record);
    }),
    ...[false, true].map((fused) =>
      elementwise(`add ${rule}${fused ? ", fused" : ""}`, N * 2, ({ kernels }, { b, y, record }, view) => {
        writePair(view, record, { a: input(fused), b: input(fused), output: output(rule) });
        return () => kernels.qadd_rows(ruleCode(rule), 1, N, b, N, b, N, y, N, record);
      }),
    ),
  ]),
  elementwise("mul", N * 2, ({ kernels }, { b, y, record }, view) => {
    const product = productQuantizer(input(false), input(false), output("roundThenAdd"));
    writePair(view, record, { a: input(false), b: input(false), output: product });
    return () => kernels.qmul_rows(1, N, b, N, b, N, y, N, record);
  }),
  elementwise("dequantize", N, ({ kernels }, { b, y, record }, view) => {
    writeDequantizer(view, record, input(false));
    return () => kernels.dequantize_bytes(N, b, y, record);
  }),
  elementwise(
    "clamp",
    N,
    ({ kernels }, { b, y }) =>
      () =>
        kernels.qclamp_rows(1, N, b, N, y, N, 3, 200, 0),
  ),
  elementwise(
    "table",
    N,
    ({ kernels }, { b, y, table }) =>
      () =>
        kernels.qlut_rows(1, N, b, N, y, N, table),
  ),
];

/** 1024 x 1024 weights in groups of 64. */
function weightOnly(bits: 4 | 8, rows: number): KernelWork {
  const [depth, channels, groupSize] = [1024, 1024, 64];
  return {
    section: "weight-only 1024 x 1024",
    name: `int${bits}, ${rows} rows`,
    amount: 2 * rows * depth * channels,
    unit: "GOP/s",
    make(engine) {
      const { memory } = engine;
      const packed = packWeightOnly({
        bits, depth, channels, groupSize,
        values: bytesOf(depth * channels, 1).map((v) => v & 15),
        scales: new Float32Array((channels * depth) / groupSize).fill(0.01),
      }); // prettier-ignore
      const w = memory.alloc(packed.bytes.length);
      memory.u8(w, packed.bytes.length).set(packed.bytes);
      const [x, y] = [memory.alloc(rows * depth * 4), memory.alloc(rows * channels * 4)];
      memory.f32(x, rows * depth).fill(0.5);
      return {
        call: () => runWeightOnly(engine, packed, w, rows, x, y),
        free: () => [w, x, y].forEach((at) => memory.free(at)),
      };
    },
  };
}

export const weightOnlyProducts: readonly KernelWork[] = ([8, 4] as const).flatMap((bits) =>
  [1, 4, 64].map((rows) => weightOnly(bits, rows)),
);
