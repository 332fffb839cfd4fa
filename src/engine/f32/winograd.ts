/**
 * When and how a convolution takes the Winograd kernels: 3x3, stride 1, dilation 1, one group, channels in
 * fours. About 1e-6 of the largest output away from direct sums, two to three times their speed; an engine
 * made with `winograd: false` never comes here.
 */

import type { Engine } from "../engine.ts";
import type { Conv3d, Triple } from "./geometry.ts";
import { map3 } from "./geometry.ts";
import type { Alloc, Image } from "./image.ts";
import { imageFrom, pixelOffset } from "./image.ts";
import type { Operands } from "./implicit.ts";
import { initialSums } from "./operands.ts";

/** Blocks transformed together are chosen to fill about this many bytes, within the second-level cache. */
const SCRATCH_BYTES = 384 * 1024;
const GROUPS = { least: 12, most: 24, step: 6 };
const MOST_WEIGHT_BLOCKS = 72;
/** Most slots of a weight gradient, and the bytes they should stay within when there are more than two. */
const MOST_SLOTS = 8;
const SLOTS_BYTES = 640 * 1024;
/** Position of the scratch address among the arguments of f32_winograd_weight_sums. */
export const WEIGHT_SUMS_SCRATCH_ARGUMENT = 15;
/** Threads take blocks in multiples of this. */
export const WINOGRAD_STEP = GROUPS.step;
/** Position of the scratch address among the kernel's arguments. */
export const WINOGRAD_SCRATCH_ARGUMENT = 19;
/** Products of transformed points: 6 x 6. */
const PLANES = 36;
/** Bytes the kernels leave between transformed planes. */
const GAP_BYTES = 64;
/** Bytes the kernels want beside the transformed blocks. */
export const WINOGRAD_TEMPORARY_BYTES = 1024 + 64;

/** Whether Winograd is legal and pays for this convolution. */
export function takesWinograd(engine: Engine, c: Conv3d): boolean {
  const plain = [...c.stride, ...c.dilation].every((value) => value === 1) && c.groups === 1;
  const square = c.kernel[0] === 1 && c.kernel[1] === 3 && c.kernel[2] === 3 && c.padding[0] === 0;
  const wide = c.inChannels % 4 === 0 && c.outChannels % 4 === 0 && Math.min(c.inChannels, c.outChannels) >= 8;
  return engine.winograd && plain && square && wide && c.outSize[1] >= 4 && c.outSize[2] >= 4;
}

/** Blocks per row, per image and in all. */
export interface Blocks {
  readonly perRow: number;
  readonly perImage: number;
  readonly all: number;
}

export function blocksOf(images: number, height: number, width: number): Blocks {
  const perRow = Math.ceil(width / 4);
  const perImage = perRow * Math.ceil(height / 4);
  return { perRow, perImage, all: images * perImage };
}

/** How many blocks to transform together. */
export function groupSize(channels: number, outputs: number): number {
  const fits = Math.floor(SCRATCH_BYTES / (PLANES * 4 * (channels + outputs)) / GROUPS.step) * GROUPS.step;
  return Math.min(GROUPS.most, Math.max(GROUPS.least, fits));
}

/**
 * The same for weight gradients, whose sums are read and written once a group: the more blocks, the less of that.
 */
export function weightGroupSize(channels: number, outputs: number): number {
  const fits = Math.floor(SCRATCH_BYTES / (PLANES * 4 * (channels + outputs)) / GROUPS.step) * GROUPS.step;
  return Math.min(MOST_WEIGHT_BLOCKS, Math.max(GROUPS.least, fits));
}

/** Bytes of scratch the kernels need. */
export function scratchBytes(channels: number, outputs: number, group: number): number {
  return (
    Math.ceil(
      (4 * (PLANES * group * (channels + outputs) + 2 * group + outputs + 8) +
        72 * GAP_BYTES +
        WINOGRAD_TEMPORARY_BYTES) /
        64,
    ) * 64
  );
}

/** Bytes of transformed weights. */
export function winogradWeightBytes(channels: number, outputs: number): number {
  return PLANES * (Math.ceil(outputs / 8) * channels * 32 + GAP_BYTES);
}

/** Bytes of one slot of transformed sums of a weight gradient. */
function slotBytes(channels: number, outputs: number): number {
  return PLANES * (channels * outputs * 4 + GAP_BYTES);
}

/**
 * Slots the blocks of a weight gradient are shared among, whatever the number of threads: as many as stay small, and two at
 * least where there are blocks for them.
 */
export function weightSlots(channels: number, outputs: number, blocks: number): number {
  const fits = Math.floor(SLOTS_BYTES / slotBytes(channels, outputs));
  return Math.max(1, Math.min(MOST_SLOTS, Math.max(2, fits), Math.floor(blocks / GROUPS.least)));
}

/** Bytes of all slots. */
export function winogradSumBytes(channels: number, outputs: number, slots: number): number {
  return slots * slotBytes(channels, outputs);
}

/** A bordered image, and the address of its first window. */
export interface WinogradImage extends Image {
  readonly first: number;
}

/**
 * A bordered image that holds a whole 6x6 window for every block of 4x4 outputs. `start` is where the first
 * window begins (minus the padding); depth counts as more images.
 */
export function winogradImage(
  engine: Engine,
  alloc: Alloc,
  values: Float32Array,
  shape: { readonly batch: number; readonly channels: number; readonly size: Triple },
  start: Triple,
  outSize: Triple,
): WinogradImage {
  const low = map3((i) => Math.max(0, -start[i]));
  const high = map3((i) => (i === 0 ? 0 : Math.max(0, start[i] + Math.ceil(outSize[i] / 4) * 4 + 2 - shape.size[i])));
  const image = imageFrom(engine, alloc, values, shape, low, high);
  return { ...image, first: image.at + pixelOffset(image, start[0], start[1], start[2]) };
}

/** Convolves an image into the dense NHWC result of `operands`; `flip` turns the kernel by 180 degrees. */
export function runWinograd(
  engine: Engine,
  alloc: Alloc,
  operands: Operands,
  image: WinogradImage,
  images: number,
  [, height, width]: Triple,
  flip: boolean,
): void {
  const { kernels } = engine;
  const { sourceChannels: channels, resultChannels: outputs, strideO, strideC } = operands;
  const u = alloc(winogradWeightBytes(channels, outputs));
  const weight = operands.weight + (flip ? 8 * 4 : 0);
  const [stepY, stepX] = flip ? [-12, -4] : [12, 4];
  const temporary = alloc(WINOGRAD_TEMPORARY_BYTES);
  kernels.f32_winograd_weights(weight, strideO * 4, strideC * 4, stepY, stepX, channels, outputs, u, temporary);
  const blocks = blocksOf(images, height, width);
  const group = groupSize(channels, outputs);
  const bytes = scratchBytes(channels, outputs, group);
  const scratch = alloc(engine.threads * bytes);
  const bias = initialSums(engine, alloc, operands.bias, outputs);
  const pixel = outputs * 4;
  const operations = 2 * images * height * width * channels * outputs * 9;
  // prettier-ignore
  engine.share("f32_winograd_conv", [
    0, blocks.all, blocks.perRow, blocks.perImage, image.first, image.planeBytes, image.rowBytes, channels, u, bias,
    operands.result, height * width * pixel, width * pixel, pixel, outputs, height, width, -Infinity, Infinity, scratch, group,
  ], { at: 0, unit: WINOGRAD_STEP, scratch: { at: WINOGRAD_SCRATCH_ARGUMENT, bytes } }, operations);
}

/** Weight gradient [outChannels][9][inChannels] at `dw` from NCHW arrays. */
export function winogradWeight(
  engine: Engine,
  alloc: Alloc,
  dy: Float32Array,
  x: Float32Array,
  dw: number,
  c: Conv3d,
): void {
  const { kernels } = engine;
  const { batch, inChannels: channels, outChannels: outputs, outSize } = c;
  const image = winogradImage(
    engine,
    alloc,
    x,
    { batch, channels, size: c.size },
    map3((i) => -c.padding[i]),
    outSize,
  );
  const high = map3((i) => (i === 0 ? 0 : Math.ceil(outSize[i] / 4) * 4 - outSize[i]));
  const grad = imageFrom(engine, alloc, dy, { batch, channels: outputs, size: outSize }, [0, 0, 0], high);
  const blocks = blocksOf(batch * outSize[0], outSize[1], outSize[2]);
  const group = weightGroupSize(channels, outputs);
  const bytes = scratchBytes(channels, outputs, group);
  const scratch = alloc(engine.threads * bytes);
  const slots = weightSlots(channels, outputs, blocks.all);
  const du = alloc(winogradSumBytes(channels, outputs, slots));
  // prettier-ignore
  engine.share("f32_winograd_weight_sums", [
    0, slots, slots, blocks.all, blocks.perRow, blocks.perImage, image.first, image.planeBytes, image.rowBytes, channels,
    grad.at, grad.planeBytes, grad.rowBytes, outputs, du, scratch, group,
  ], { at: 0, unit: 1, scratch: { at: WEIGHT_SUMS_SCRATCH_ARGUMENT, bytes } }, 18 * batch * c.outPixels * channels * outputs);
  kernels.f32_winograd_weight_grad(channels, outputs, du, slots, dw, alloc(WINOGRAD_TEMPORARY_BYTES));
}
