/**
 * Speed of the float kernels, one thread: GFLOP/s (one multiply-add is two operations), best of many
 * batches, both builds interleaved. "kernel" columns run with operands already in the engine's memory;
 * "eager" rows include copying plain NCHW arrays in and out. Winograd rates count the operations of the
 * direct form.
 *
 *     node bench/kernels-f32.ts [part of a name]
 */

import { convNdBackwardWeightF32 } from "../src/engine/eager/conv-weight.ts";
import { convNdBackwardInputF32, convNdF32 } from "../src/engine/eager/conv.ts";
import type { ConvShape } from "../src/engine/f32/geometry.ts";
import { conv3d } from "../src/engine/f32/geometry.ts";
import { gridTable, tableFrom } from "../src/engine/f32/image.ts";
import { matmulF32 } from "../src/engine/eager/matmul.ts";
import { Engine } from "../src/engine/engine.ts";
import { hasRelaxedSimd } from "../src/engine/probe.ts";

const BATCHES = 15;
const BATCH_MS = 20;

const engines = (hasRelaxedSimd() ? (["simd", "relaxed"] as const) : (["simd"] as const)).map(
  (build) => new Engine({ build }),
);

interface Work {
  readonly name: string;
  readonly operations: number;
  readonly make: (engine: Engine) => () => void;
}

function floats(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 0.37) * 0.5);
}

function allocFloats(engine: Engine, length: number): number {
  const at = engine.memory.alloc(length * 4);
  engine.memory.f32(at, length).set(floats(length));
  return at;
}

/** A product with operands in place: dense rows (taps of `run` floats at `step` bytes). */
function product(
  name: string,
  rows: number,
  columns: number,
  taps: number[],
  run: number,
  pixel: number,
  rowBlock: number,
): Work {
  return {
    name,
    operations: 2 * rows * columns * taps.length * run,
    make(engine) {
      const alloc = (bytes: number): number => engine.memory.alloc(bytes);
      const k = taps.length * run;
      const x = allocFloats(engine, rows * Math.ceil(pixel / 4) + (Math.max(...taps) + run * 4) / 4);
      const w = allocFloats(engine, columns * k);
      const [init, y] = [allocFloats(engine, columns), allocFloats(engine, rows * columns)];
      const table = gridTable(engine, alloc, 0, 1, [1, 1, rows], [0, 0, 0, pixel]);
      const out = gridTable(engine, alloc, 0, 1, [1, 1, rows], [0, 0, 0, columns * 4]);
      const tapTable = tableFrom(engine, alloc, taps);
      const block = Math.min(run, 512);
      return () => {
        if (taps.length > 1) {
          engine.kernels.f32_gemm_6x8(
            0,
            rows,
            table,
            out,
            x,
            taps.length,
            tapTable,
            run,
            w,
            k * 32,
            init,
            0,
            y,
            columns,
            -Infinity,
            Infinity,
            rowBlock,
          );
          return;
        }
        for (let from = 0; from < run; from += block) {
          engine.kernels.f32_gemm_6x8(
            0,
            rows,
            table,
            out,
            x + from * 4,
            1,
            tapTable,
            block,
            w + from * 32,
            k * 32,
            init,
            from > 0 ? 1 : 0,
            y,
            columns,
            -Infinity,
            Infinity,
            rowBlock,
          );
        }
      };
    },
  };
}

function conv3x3(channels: number, size: number): Work {
  const row = (size + 2) * channels * 4;
  const panels = channels * 9 * channels * 4 > 256 * 1024 ? 192 : 6;
  return product(
    `conv 3x3 C${channels} ${size}x${size}: kernel`,
    size * size,
    channels,
    [0, row, 2 * row],
    3 * channels,
    channels * 4,
    panels,
  );
}

function eagerConv(name: string, part: Partial<ConvShape>, kind: "forward" | "dx" | "dw"): Work {
  const shape: ConvShape = {
    batch: 1,
    inChannels: 64,
    outChannels: 64,
    groups: 1,
    size: [56, 56],
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
    ...part,
  };
  const c = conv3d(shape);
  const x = floats(c.batch * c.inChannels * c.inPixels);
  const dy = floats(c.batch * c.outChannels * c.outPixels);
  const w = floats((c.outChannels * c.inChannels * c.points) / c.groups);
  return {
    name: `${name}: eager ${kind}`,
    operations: (2 * c.batch * c.outChannels * c.outPixels * c.inChannels * c.points) / c.groups,
    make: (engine) => () => {
      if (kind === "forward") convNdF32(x, w, null, shape, engine);
      else if (kind === "dx") convNdBackwardInputF32(dy, w, shape, engine);
      else convNdBackwardWeightF32(dy, x, shape, engine);
    },
  };
}

function eagerMatmul(m: number, k: number, n: number): Work {
  const [a, b, out] = [floats(m * k), floats(k * n), new Float32Array(m * n)];
  return {
    name: `gemm ${m}x${k}x${n}: eager`,
    operations: 2 * m * k * n,
    make: (engine) => () => matmulF32(a, b, out, { m, k, n }, null, engine),
  };
}

const depthwise = { inChannels: 128, outChannels: 128, groups: 128, size: [28, 28] };
const WORK: readonly Work[] = [
  product("gemm 1024x1024x1024: kernel", 1024, 1024, [0], 1024, 4096, 96),
  eagerMatmul(1024, 1024, 1024),
  eagerMatmul(1, 1024, 1024),
  ...[
    [16, 32],
    [32, 16],
    [64, 8],
    [64, 56],
    [128, 28],
    [256, 14],
  ].map(([c = 0, s = 0]) => conv3x3(c, s)),
  product("conv 1x1 C64 56x56: kernel", 3136, 64, [0], 64, 256, 6),
  ...(["forward", "dx", "dw"] as const).flatMap((kind) => [
    eagerConv("conv C64 56x56", {}, kind),
    eagerConv("conv C128 28x28", { inChannels: 128, outChannels: 128, size: [28, 28] }, kind),
    eagerConv("conv C256 14x14", { inChannels: 256, outChannels: 256, size: [14, 14] }, kind),
    eagerConv("conv C64 8x8 batch 8", { batch: 8, size: [8, 8] }, kind),
    eagerConv("conv C32 16x16 batch 8", { batch: 8, inChannels: 32, outChannels: 32, size: [16, 16] }, kind),
    eagerConv("conv C16 32x32 batch 8", { batch: 8, inChannels: 16, outChannels: 16, size: [32, 32] }, kind),
    eagerConv("conv C64 56x56 stride 2", { stride: [2, 2] }, kind),
    eagerConv("depthwise C128 28x28", depthwise, kind),
  ]),
];

function best(columns: readonly (() => void)[]): number[] {
  const counts = columns.map((run) => {
    const warm = performance.now();
    do run();
    while (performance.now() - warm < 100);
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

console.log(`${"GFLOP/s".padEnd(44)}${engines.map(({ build }) => build.padStart(10)).join("")}`);
for (const { name, operations, make } of WORK) {
  if (!name.includes(process.argv[2] ?? "")) continue;
  const rates = best(engines.map(make)).map((ms) => (operations / ms / 1e6).toFixed(1).padStart(10));
  console.log(`${name.padEnd(44)}${rates.join("")}`);
}
