/**
 * The engine's public names: the `fewbit/engine` subpath, and what a caller of kernels must know.
 *
 * Addresses. `engine.memory` hands out blocks of the one linear memory; kernels take byte offsets. Blocks are
 * 64-byte aligned and followed by 64 readable bytes, because many kernels read (never write) one vector past
 * the end of what they are given; inside an image that reads the next pixel. Views die when memory grows.
 *
 * Images. NHWC with a border, so that a kernel's window always exists: a convolution needs a border as wide as
 * its padding, filled with zero (integer ones: with the zero point). Rows of a tile are found by tables of u32
 * byte offsets (`layout_grid`), one for where a pixel's window begins and one for where its result goes, so
 * producers write straight into the bordered image of the next operator. Elementwise kernels find lines the
 * same way; a table with the one entry 0 makes any flat array a line.
 *
 * Weights. f32 products take panels of eight columns, [ceil(n / 8)][k][8] (`f32_pack`); k runs over kernel
 * points, then channels. Winograd takes 36 transformed planes of such panels (`f32_winograd_weights`). Initial sums
 * (the bias) are padded to eight. Gradients use the same kernels: the input gradient is a product with the
 * turned kernel (src/engine/f32/phases.ts has the tables), the weight gradient f32_conv_weight_6x8, which
 * for a dense layer is one line of `batch` pixels.
 *
 * Activations. Products clamp their results to lo..hi: relu is (0, Infinity), none is (-Infinity, Infinity).
 *
 * Threads. `engine.share` cuts a kernel's range argument into chunks; each writes only its own rows. Kernels that
 * sum into shared results (gradients of pools, channel sums) take no range and run on one thread.
 */

export { Engine, defaultEngine } from "./engine.ts";
export type { EngineOptions } from "./engine.ts";
export type { KernelExports } from "./generated/exports.ts";
export type { BuildName } from "./loader.ts";
export { EngineMemory } from "./memory.ts";
export type { DotClass } from "./probe.ts";
export type { Split } from "./threads/pool.ts";
