/**
 * Speed of the integer kernels, one thread: GOP/s (one multiply-add is two operations), best of many
 * batches, variants interleaved. Every variant is timed on every machine, also where its results would
 * not be exact, because a speed does not depend on the operands; the dot class is printed.
 *
 *     node bench/kernels-int8.ts [part of a section's title]
 */

import { Engine } from "../src/engine/engine.ts";
import { convBorder, convParts } from "../src/kernels/qconv/conv.ts";
import { imageSize, NO_BORDER } from "../src/kernels/qconv/image.ts";
import { PAIR_BYTES, productQuantizer, writePair } from "../src/kernels/qelementwise/reference.ts";
import { gemmPart } from "../src/kernels/qgemm/gemm.ts";
import type { Variant } from "../src/kernels/qgemm/list.ts";
import { depthwisePart } from "../src/kernels/qdepthwise/depthwise.ts";
import { PartBlock } from "../src/kernels/qgemm/parts.ts";
import type { Part } from "../src/kernels/qgemm/parts.ts";
import type { Epilogue } from "../src/kernels/qgemm/post.ts";
import { runParts } from "../src/kernels/qgemm/run.ts";

import { ruleCode, writeDequantizer, writeQuantizer } from "../src/kernels/quantize/rules.ts";
import type { Dequantizer, Quantizer, RoundingRule } from "../src/kernels/quantize/rules.ts";
import { packWeightOnly, runWeightOnly } from "../src/kernels/wonly/weights.ts";

const BATCHES = 15;
const BATCH_MS = 8;

/** Only sections whose title contains the first argument are run. */
const wanted = process.argv[2] ?? "";
const engine = new Engine();
const variants: readonly Variant[] =
  engine.build === "relaxed" ? ["relaxed_dot", "relaxed_i16", "guarded_i16", "simd128"] : ["simd128"];

interface Work {
  readonly name: string;
  readonly operations: number;
  /** What to run, one entry a column. */
  readonly columns: readonly (() => void)[];
}

/** Milliseconds of one call, best of interleaved batches, for every column. */
function best(columns: readonly (() => void)[]): number[] {
  const counts = columns.map((run) => {
    for (let i = 0; i < 20; i++) run();
    const start = performance.now();
    run();
    return Math.max(1, Math.floor(BATCH_MS / Math.max(1e-4, performance.now() - start)));
  });
  const times = columns.map(() => Infinity);
  for (let batch = 0; batch < BATCHES; batch++) {
    columns.forEach((run, column) => {
      const count = counts[column] ?? 1;
      const start = performance.now();
      for (let i = 0; i < count; i++) run();
      times[column] = Math.min(times[column] ?? Infinity, (performance.now() - start) / count);
    });
  }
  return times;
}

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

/** One column a variant: the parts placed in memory, ready to run. */
function columnsOf(parts: (variant: Variant) => readonly Part[], xBytes: number, yBytes: number): (() => void)[] {
  const x = engine.memory.alloc(xBytes);
  const y = engine.memory.alloc(yBytes);
  engine.memory.i8(x, xBytes).set(bytesOf(xBytes, 1));
  return variants.map((variant) => {
    const block = new PartBlock(parts(variant));
    const constants = engine.memory.alloc(block.bytes);
    const placed = block.write(new Uint8Array(engine.memory.wasm.buffer), constants);
    return () => runParts(engine.kernels, placed, x, y);
  });
}

function conv(cin: number, cout: number, size: number, kernel: number, stride: number): Work {
  const padding = kernel >> 1;
  const shape = {
    inChannels: cin,
    outChannels: cout,
    kernel: [kernel, kernel],
    stride: [stride, stride],
    padding: [padding, padding],
    dilation: [1, 1],
    groups: 1,
  } as const;
  const output = { n: 1, h: size, w: size, c: cout, border: NO_BORDER };
  const bare = { n: 1, h: size * stride, w: size * stride, c: cin, border: NO_BORDER };
  const input = { ...bare, border: convBorder(shape, bare, output) };
  const weights = bytesOf(cin * cout * kernel * kernel, 2);
  const parts = (variant: Variant): Part[] =>
    convParts({ shape, input, output, weights, epilogue: epilogue() }, { dot: engine.dot, variant });
  return {
    name: `conv ${kernel}x${kernel} ${cin}->${cout} ${size}²${stride > 1 ? ` s${stride}` : ""}`,
    operations: 2 * cin * cout * kernel * kernel * size * size,
    columns: columnsOf(parts, imageSize(input), imageSize(output)),
  };
}

function depthwise(channels: number, size: number, stride: number, form: "taps" | "rows"): Work {
  const shape = {
    inChannels: channels,
    outChannels: channels,
    groups: channels,
    kernel: [3, 3],
    stride: [stride, stride],
    padding: [1, 1],
    dilation: [1, 1],
  } as const;
  const output = { n: 1, h: size, w: size, c: channels, border: NO_BORDER };
  const bare = { n: 1, h: size * stride, w: size * stride, c: channels, border: NO_BORDER };
  const input = { ...bare, border: convBorder(shape, bare, output) };
  const problem = { shape, input, output, weights: bytesOf(channels * 9, 4), epilogue: epilogue() };
  const parts = (variant: Variant): Part[] => [depthwisePart(problem, { dot: engine.dot, variant }, form)];
  const columns = columnsOf(parts, imageSize(input), imageSize(output));
  return {
    name: `depthwise ${channels} ${size}² s${stride} ${form}`,
    operations: 18 * channels * size * size,
    columns,
  };
}

function gemm(rows: number, depth: number, channels: number): Work {
  const weights = bytesOf(depth * channels, 3);
  const parts = (variant: Variant): Part[] => [
    gemmPart({ rows, depth, channels, weights, epilogue: epilogue() }, { dot: engine.dot, variant }),
  ];
  return {
    name: `${rows === 1 ? "gemv" : `gemm ${rows} x`} ${depth} x ${channels}`,
    operations: 2 * rows * depth * channels,
    columns: columnsOf(parts, rows * depth, rows * channels),
  };
}

function print(title: string, works: readonly (() => Work)[]): void {
  if (!title.includes(wanted)) return;
  console.log(`\n${title}\n${"shape".padEnd(28)}${variants.map((v) => v.padStart(13)).join("")}   fastest / plain`);
  for (const make of works) {
    const work = make();
    const speeds = best(work.columns).map((ms) => work.operations / ms / 1e6);
    const ratio = Math.max(...speeds) / (speeds.at(-1) ?? NaN);
    console.log(
      `${work.name.padEnd(28)}${speeds.map((v) => v.toFixed(1).padStart(13)).join("")}   ${ratio.toFixed(2)}`,
    );
  }
}

const N = 16384;

/** Elementwise kernels on 16384 elements: GB of input a second, one kernel a line. */
function bytesSection(): void {
  if (!"bytes".includes(wanted)) return;
  const { kernels, memory } = engine;
  const [x, b, y, record, table] = [
    memory.alloc(N * 4),
    memory.alloc(N),
    memory.alloc(N * 4),
    memory.alloc(PAIR_BYTES),
    memory.alloc(256),
  ];
  memory.u8(b, N).set(bytesOf(N, 7));
  const view = (): DataView => new DataView(memory.wasm.buffer);
  const output = (rule: RoundingRule): Quantizer => ({
    rule,
    scale: 0.1,
    zeroPoint: 3,
    low: 0,
    high: 255,
    offset: 0,
    flip: 0,
    nan: "high",
  });
  const input = (fused: boolean): Dequantizer => ({ scale: 0.07, zeroPoint: 5, offset: 0, flip: 0, fused });
  const line = (name: string, bytes: number, run: () => void): void => {
    const [ms] = best([run]);
    console.log(`${name.padEnd(44)}${(bytes / (ms ?? NaN) / 1e6).toFixed(1).padStart(8)}`);
  };
  console.log("\nbytes, GB/s of input");
  for (const rule of ["roundThenAdd", "divideThenRound", "addThenRoundTwice", "addThenRound"] as const) {
    memory.f32(x, N).set(Float32Array.from({ length: N }, (_, i) => (i % 100) / 10));
    writeQuantizer(view(), record, output(rule));
    line(`quantize ${rule}`, N * 4, () => kernels.quantize_bytes(ruleCode(rule), N, x, y, record));
    line(`quantize NCHW to NHWC ${rule}`, N * 4, () =>
      kernels.quantize_nchw_nhwc(ruleCode(rule), 16, 32, 32, x, y, 512, 16, record),
    );
    for (const fused of [false, true]) {
      writePair(view(), record, { a: input(fused), b: input(fused), output: output(rule) });
      line(`add ${rule}${fused ? ", fused" : ""}`, N * 2, () =>
        kernels.qadd_rows(ruleCode(rule), 1, N, b, N, b, N, y, N, record),
      );
    }
  }
  writePair(view(), record, {
    a: input(false),
    b: input(false),
    output: productQuantizer(input(false), input(false), output("roundThenAdd")),
  });
  line("mul", N * 2, () => kernels.qmul_rows(1, N, b, N, b, N, y, N, record));
  writeDequantizer(view(), record, input(false));
  line("dequantize", N, () => kernels.dequantize_bytes(N, b, y, record));
  line("clamp", N, () => kernels.qclamp_rows(1, N, b, N, y, N, 3, 200, 0));
  line("table", N, () => kernels.qlut_rows(1, N, b, N, y, N, table));
}

/** Weight-only products: GFLOP/s. */
function weightOnlySection(): void {
  if (!"weight-only".includes(wanted)) return;
  console.log("\nweight-only 1024 x 1024, groups of 64, GFLOP/s");
  for (const bits of [8, 4] as const) {
    const [depth, channels, groupSize] = [1024, 1024, 64];
    const packed = packWeightOnly({
      bits,
      depth,
      channels,
      groupSize,
      values: bytesOf(depth * channels, 1).map((v) => v & 15),
      scales: new Float32Array((channels * depth) / groupSize).fill(0.01),
    });
    const w = engine.memory.alloc(packed.bytes.length);
    engine.memory.u8(w, packed.bytes.length).set(packed.bytes);
    for (const rows of [1, 4, 64]) {
      const [x, y] = [engine.memory.alloc(rows * depth * 4), engine.memory.alloc(rows * channels * 4)];
      engine.memory.f32(x, rows * depth).fill(0.5);
      const [ms] = best([() => runWeightOnly(engine.kernels, packed, w, rows, x, y)]);
      console.log(
        `int${bits}, ${rows} rows`.padEnd(28) +
          ((2 * rows * depth * channels) / (ms ?? NaN) / 1e6).toFixed(1).padStart(8),
      );
    }
  }
}

console.log(`Node ${process.version}, build ${engine.build}, dot class ${engine.dot}; GOP/s, best of ${BATCHES}`);
print(
  "3x3",
  [16, 32, 64, 128].flatMap((c) => [8, 16, 32, 56].map((size) => () => conv(c, c, size, 3, 1))),
);
print("others", [
  () => conv(3, 16, 32, 3, 1),
  () => conv(16, 32, 16, 3, 2),
  () => conv(32, 64, 8, 3, 2),
  () => conv(512, 512, 7, 3, 1),
]);
print("1x1", [
  () => conv(16, 16, 32, 1, 1),
  () => conv(16, 64, 56, 1, 1),
  () => conv(64, 16, 56, 1, 1),
  () => conv(64, 64, 28, 1, 1),
  () => conv(64, 256, 28, 1, 1),
  () => conv(256, 64, 28, 1, 1),
  () => conv(512, 512, 7, 1, 1),
]);
const DEPTHWISE = [
  [16, 32],
  [32, 56],
  [64, 28],
  [128, 14],
  [256, 28],
  [512, 14],
] as const;
print("depthwise 3x3", [
  ...DEPTHWISE.map(
    ([c, size]) =>
      () =>
        depthwise(c, size, 1, "rows"),
  ),
  ...DEPTHWISE.map(
    ([c, size]) =>
      () =>
        depthwise(c, size, 1, "taps"),
  ),
  () => depthwise(64, 28, 2, "taps"),
]);
print("matrix products", [
  () => gemm(1024, 1024, 1024),
  () => gemm(64, 768, 768),
  () => gemm(1, 192, 1024),
  () => gemm(1, 960, 1024),
  () => gemm(1, 96, 512),
]);
bytesSection();
weightOnlySection();
