/**
 * Speed of the float kernels that memory bounds, one thread: GB/s of the floats they read first, best of many
 * batches, both builds interleaved, at 64 KB and 4 MB.
 *
 *     node bench/kernels-f32-memory.ts
 */

import { Engine } from "../src/engine/engine.ts";
import type { KernelExports } from "../src/engine/generated/exports.ts";
import { hasRelaxedSimd } from "../src/engine/probe.ts";

const BATCHES = 15;
const SIZES = [16 * 1024, 1024 * 1024];
/** Bytes a batch passes over, so that one takes milliseconds. */
const BATCH_BYTES = 32e6;
const CHANNELS = 64;

const engines = (hasRelaxedSimd() ? (["simd", "relaxed"] as const) : (["simd"] as const)).map(
  (build) => new Engine({ build }),
);

/** Addresses a kernel may use: a table with the entry 0, two inputs, an output, and 64 KB for small things. */
interface Room {
  readonly t: number;
  readonly a: number;
  readonly b: number;
  readonly y: number;
  readonly small: number;
}

type Run = (k: KernelExports, room: Room, n: number) => void;

const WORK: Readonly<Record<string, Run>> = {
  "add, relu": (k, { t, a, b, y }, n) => k.f32_add(0, 1, t, t, t, a, b, y, n, 1, 0, Infinity),
  relu: (k, { t, a, y }, n) => k.f32_clamp(0, 1, t, t, a, y, n, 0, Infinity),
  "channel affine": (k, { t, a, y, small }, n) =>
    k.f32_channel_affine(0, 1, t, t, a, y, n / CHANNELS, CHANNELS, small, small + 4096, 0, Infinity),
  "channel sums": (k, { t, a, small }, n) => k.f32_channel_sums(0, 1, t, a, n / CHANNELS, CHANNELS, small),
  "batch norm gradient": (k, { t, a, b, y, small }, n) =>
    k.f32_batch_norm_grad(0, 1, t, t, t, a, b, y, n / CHANNELS, CHANNELS, small, small, small, small),
  "min/max": (k, { t, a, small }, n) => k.f32_min_max(0, 1, t, a, n, small),
  "histogram, 2048 bins": (k, { t, a, small }, n) => k.f32_histogram(0, 1, t, a, n, -1, 1, 2048, small),
  "fake quantize": (k, { t, a, y }, n) => k.f32_fake_quantize(0, 1, t, t, a, y, n, 0.01, 100, 128, 0, 255, 255),
  "fake quantize gradient": (k, { t, a, b, y }, n) =>
    k.f32_fake_quantize_grad(0, 1, t, t, t, a, b, y, n, 100, 128, 0, 255),
  sigmoid: (k, { a, y }, n) => k.f32_activation(n, a, y, 0),
  "softmax of 1024": (k, { a, y }, n) => k.f32_softmax(0, n / 1024, 1024, a, y, 0),
  "layer norm of 1024": (k, { a, y }, n) => k.f32_layer_norm(0, n / 1024, 1024, a, y, 0, 0, 1e-5),
  "sgd with momentum": (k, { a, b, y }, n) => k.f32_sgd_step(n, a, b, y, 1e-6, 1e-4, 0.9, 0, 0, 0),
  "NCHW to NHWC, 64 channels": (k, { a, y }, n) =>
    k.layout_planes_to_pixels(CHANNELS, 16, n / CHANNELS / 16, a, (n / CHANNELS) * 4, y, (n / 16) * 4, CHANNELS * 4),
};

function roomOf({ memory }: Engine, n: number): Room {
  const floats = (): number => {
    const at = memory.alloc(n * 4);
    memory.f32(at, n).set(Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.37)));
    return at;
  };
  const [t, small] = [memory.alloc(4), memory.alloc(65536)];
  memory.u8(t, 4).fill(0);
  memory.u8(small, 65536).fill(0);
  return { t, small, a: floats(), b: floats(), y: floats() };
}

function rates(run: Run, n: number): number[] {
  const rooms = engines.map((engine) => roomOf(engine, n));
  const best = engines.map(() => Infinity);
  const turns = Math.ceil(BATCH_BYTES / 4 / n);
  for (let batch = 0; batch <= BATCHES; batch++) {
    engines.forEach((engine, e) => {
      const start = performance.now();
      for (let i = 0; i < turns; i++) run(engine.kernels, rooms[e]!, n);
      const time = (performance.now() - start) / turns;
      if (batch > 0) best[e] = Math.min(best[e]!, time);
    });
  }
  rooms.forEach((room, e) => {
    for (const at of Object.values(room) as number[]) engines[e]!.memory.free(at);
  });
  return best.map((ms) => (n * 4) / ms / 1e6);
}

const columns = SIZES.flatMap((n) => engines.map(({ build }) => `${build} ${n / 256}K`));
console.log(`${"GB/s".padEnd(28)}${columns.map((column) => column.padStart(15)).join("")}`);
for (const [name, run] of Object.entries(WORK)) {
  const cells = SIZES.flatMap((n) => rates(run, n)).map((rate) => rate.toFixed(1).padStart(15));
  console.log(`${name.padEnd(28)}${cells.join("")}`);
}
