/**
 * The float kernels as works to time: products with operands in place, eager operators (which copy plain NCHW arrays in and
 * out), and kernels that memory bounds. Rates of Winograd convolutions count the operations of the direct form.
 */

import { convNdBackwardWeightF32 } from "../../src/engine/eager/conv-weight.ts";
import { convNdBackwardInputF32, convNdF32 } from "../../src/engine/eager/conv.ts";
import { matmulF32 } from "../../src/engine/eager/matmul.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { conv3d } from "../../src/engine/f32/geometry.ts";
import type { ConvShape } from "../../src/engine/f32/geometry.ts";
import { gridTable, tableFrom } from "../../src/engine/f32/image.ts";
import type { KernelExports } from "../../src/engine/generated/exports.ts";
import { ADD } from "../../src/kernels/f32-binary/kinds.ts";
import { GELU, SIGMOID } from "../../src/kernels/f32-unary/kinds.ts";
import type { KernelWork } from "./work.ts";

function floats(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 0.37) * 0.5);
}

/** Hands out memory and takes all of it back at once. */
class Blocks {
  private readonly engine: Engine;
  private readonly addresses: number[] = [];

  constructor(engine: Engine) {
    this.engine = engine;
  }

  readonly alloc = (bytes: number): number => {
    const at = this.engine.memory.alloc(bytes);
    this.addresses.push(at);
    return at;
  };

  floats(length: number): number {
    const at = this.alloc(length * 4);
    this.engine.memory.f32(at, length).set(floats(length));
    return at;
  }

  readonly free = (): void => this.addresses.splice(0).forEach((at) => this.engine.memory.free(at));
}

/** Dense rows times a matrix: `taps` runs of `run` floats a row, `pixel` bytes from row to row. */
interface Product {
  readonly rows: number;
  readonly columns: number;
  readonly taps: readonly number[];
  readonly run: number;
  readonly pixel: number;
  readonly rowBlock: number;
}

/** Depth that is summed at once where a row is one long run. */
const DEPTH_BLOCK = 512;

function product(name: string, { rows, columns, taps, run, pixel, rowBlock }: Product): KernelWork {
  return {
    section: "f32 products, kernels",
    name,
    amount: 2 * rows * columns * taps.length * run,
    unit: "GOP/s",
    make(engine) {
      const blocks = new Blocks(engine);
      const k = taps.length * run;
      const x = blocks.floats(rows * Math.ceil(pixel / 4) + (Math.max(...taps) + run * 4) / 4);
      const [w, init, y] = [blocks.floats(columns * k), blocks.floats(columns), blocks.floats(rows * columns)];
      const table = gridTable(engine, blocks.alloc, 0, 1, [1, 1, rows], [0, 0, 0, pixel]);
      const out = gridTable(engine, blocks.alloc, 0, 1, [1, 1, rows], [0, 0, 0, columns * 4]);
      const tapTable = tableFrom(engine, blocks.alloc, [...taps]);
      const depth = taps.length > 1 ? run : Math.min(run, DEPTH_BLOCK);
      const { kernels } = engine;
      const call = (): void => {
        for (let from = 0; from < run; from += depth)
          // prettier-ignore
          kernels.f32_gemm_6x8(
            0, rows, table, out, x + from * 4, taps.length, tapTable, depth, w + from * 32, k * 32, init,
            from > 0 ? 1 : 0, y, columns, -Infinity, Infinity, rowBlock,
          );
      };
      return { call, free: blocks.free };
    },
  };
}

/** Above this many bytes of weights, rows are taken in large blocks so that a panel is used often. */
const LARGE_WEIGHTS = 256 * 1024;

function conv3x3(channels: number, size: number): KernelWork {
  const row = (size + 2) * channels * 4;
  return product(`conv 3x3 C${channels} ${size}²`, {
    rows: size * size,
    columns: channels,
    taps: [0, row, 2 * row],
    run: 3 * channels,
    pixel: channels * 4,
    rowBlock: channels * 9 * channels * 4 > LARGE_WEIGHTS ? 192 : 6,
  });
}

export type EagerKind = "forward" | "input gradient" | "weight gradient";

/** A convolution as an eager operator: C64 56², 3x3, unless `part` says otherwise. */
export function eagerConv(name: string, part: Partial<ConvShape>, kind: EagerKind): KernelWork {
  const shape: ConvShape = {
    batch: 1, inChannels: 64, outChannels: 64, groups: 1, size: [56, 56], kernel: [3, 3], stride: [1, 1],
    padding: [1, 1], dilation: [1, 1], ...part,
  }; // prettier-ignore
  const c = conv3d(shape);
  return {
    section: "f32 eager operators",
    name: `${name}: ${kind}`,
    amount: (2 * c.batch * c.outChannels * c.outPixels * c.inChannels * c.points) / c.groups,
    unit: "GOP/s",
    make(engine) {
      const x = floats(c.batch * c.inChannels * c.inPixels);
      const dy = floats(c.batch * c.outChannels * c.outPixels);
      const w = floats((c.outChannels * c.inChannels * c.points) / c.groups);
      const calls: Readonly<Record<EagerKind, () => void>> = {
        forward: () => convNdF32(x, w, null, shape, engine),
        "input gradient": () => convNdBackwardInputF32(dy, w, shape, engine),
        "weight gradient": () => convNdBackwardWeightF32(dy, x, shape, engine),
      };
      return { call: calls[kind], free: () => undefined };
    },
  };
}

function eagerMatmul(m: number, k: number, n: number): KernelWork {
  return {
    section: "f32 eager operators",
    name: `gemm ${m}x${k}x${n}`,
    amount: 2 * m * k * n,
    unit: "GOP/s",
    make(engine) {
      const [a, b, out] = [floats(m * k), floats(k * n), new Float32Array(m * n)];
      return { call: () => matmulF32(a, b, out, { m, k, n }, null, engine), free: () => undefined };
    },
  };
}

const GEMM: Product = { rows: 1024, columns: 1024, taps: [0], run: 1024, pixel: 4096, rowBlock: 96 };
const CONV3X3 = [
  [16, 32],
  [32, 16],
  [64, 8],
  [64, 56],
  [128, 28],
  [256, 14],
] as const;
const channels = (c: number): Partial<ConvShape> => ({ inChannels: c, outChannels: c });

export const floatProducts: readonly KernelWork[] = [
  product("gemm 1024x1024x1024", GEMM),
  ...CONV3X3.map(([c, size]) => conv3x3(c, size)),
  product("conv 1x1 C64 56²", { rows: 3136, columns: 64, taps: [0], run: 64, pixel: 256, rowBlock: 6 }),
  eagerMatmul(1024, 1024, 1024),
  eagerMatmul(1, 1024, 1024),
  ...(["forward", "input gradient", "weight gradient"] as const).flatMap((kind) => [
    eagerConv("conv C64 56²", {}, kind),
    eagerConv("conv C128 28²", { ...channels(128), size: [28, 28] }, kind),
    eagerConv("conv C256 14²", { ...channels(256), size: [14, 14] }, kind),
    eagerConv("conv C64 8² batch 8", { batch: 8, size: [8, 8] }, kind),
    eagerConv("conv C32 16² batch 8", { batch: 8, ...channels(32), size: [16, 16] }, kind),
    eagerConv("conv C16 32² batch 8", { batch: 8, ...channels(16), size: [32, 32] }, kind),
    eagerConv("conv C64 56² stride 2", { stride: [2, 2] }, kind),
    eagerConv("depthwise C128 28²", { ...channels(128), groups: 128, size: [28, 28] }, kind),
  ]),
];

/** Addresses a kernel may use: a table with the entry 0, two inputs, an output, and 64 KB for small things. */
interface Room {
  readonly t: number;
  readonly a: number;
  readonly b: number;
  readonly y: number;
  readonly small: number;
}

type Run = (k: KernelExports, room: Room, n: number) => void;

const SMALL_BYTES = 65536;
const CHANNELS = 64;

const memoryBound: Readonly<Record<string, Run>> = {
  "add, relu": (k, { t, a, b, y }, n) => k.f32_binary(0, 1, t, t, t, a, b, y, n, ADD, 1, 1, 0, Infinity),
  relu: (k, { t, a, y }, n) => k.f32_clamp(0, 1, t, t, a, y, n, 0, Infinity),
  "channel affine": (k, { t, a, y, small }, n) =>
    k.f32_channel_affine(0, 1, t, t, a, y, n / CHANNELS, CHANNELS, small, small + 4096, 0, Infinity),
  "channel moments": (k, { t, a, small }, n) => k.f32_channel_moments(0, 1, 1, 1, t, a, n / CHANNELS, CHANNELS, small),
  "batch norm gradient": (k, { t, a, b, y, small }, n) =>
    k.f32_batch_norm_grad(
      0,
      1,
      t,
      t,
      t,
      a,
      b,
      y,
      n / CHANNELS,
      CHANNELS,
      small,
      small,
      small,
      small,
      small,
      small,
      -Infinity,
      Infinity,
    ),
  "min/max": (k, { t, a, small }, n) => k.f32_min_max(0, 1, t, a, n, small),
  "histogram, 2048 bins": (k, { t, a, small }, n) => k.f32_histogram(0, 1, t, a, n, -1, 1, 2048, small),
  "fake quantize": (k, { t, a, y }, n) => k.f32_fake_quantize(0, 1, t, t, a, y, n, 0.01, 100, 128, 0, 255, 255),
  "fake quantize gradient": (k, { t, a, b, y }, n) =>
    k.f32_fake_quantize_grad(0, 1, t, t, t, a, b, y, n, 100, 128, 0, 255),
  sigmoid: (k, { t, a, y }, n) => k.f32_exponential(0, 1, t, t, a, y, n, SIGMOID, 0, 0, 0),
  gelu: (k, { t, a, y }, n) => k.f32_exponential(0, 1, t, t, a, y, n, GELU, 0, 0, 0),
  "softmax of 1024": (k, { a, y }, n) => k.f32_softmax(0, n / 1024, 1024, a, y, 0),
  "layer norm of 1024": (k, { a, y }, n) => k.f32_layer_norm(0, n / 1024, 1024, a, y, 0, 0, 1e-5),
  "sgd with momentum": (k, { a, b, y }, n) => k.f32_sgd_step(n, a, b, y, 1e-6, 1e-4, 0.9, 0, 0, 0),
  "NCHW to NHWC, 64 channels": (k, { a, y }, n) =>
    k.layout_planes_to_pixels(CHANNELS, 16, n / CHANNELS / 16, a, (n / CHANNELS) * 4, y, (n / 16) * 4, CHANNELS * 4),
};

function memoryWork(name: string, run: Run, n: number): KernelWork {
  return {
    section: "f32 kernels that memory bounds, floats read first",
    name: `${name}, ${n / 256} KB`,
    amount: n * 4,
    unit: "GB/s",
    make(engine) {
      const blocks = new Blocks(engine);
      const [t, small] = [blocks.alloc(4), blocks.alloc(SMALL_BYTES)];
      const room = { t, small, a: blocks.floats(n), b: blocks.floats(n), y: blocks.floats(n) };
      engine.memory.u8(t, 4).fill(0);
      engine.memory.u8(small, SMALL_BYTES).fill(0);
      return { call: () => run(engine.kernels, room, n), free: blocks.free };
    },
  };
}

export const memoryBoundKernels: readonly KernelWork[] = Object.entries(memoryBound).flatMap(([name, run]) =>
  [16 * 1024, 1024 * 1024].map((n) => memoryWork(name, run, n)),
);
