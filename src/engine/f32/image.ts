/**
 * Images inside the engine: NHWC with a border, so that every window a kernel reads exists and is
 * contiguous along width and channels. PyTorch's NCHW arrays are copied in and transposed on the way.
 */

import type { Engine } from "../engine.ts";
import type { Triple } from "./geometry.ts";
import { map3, volume } from "./geometry.ts";

/** Allocates for the length of one call; see EngineMemory.scope. */
export type Alloc = (bytes: number) => number;

/** A padded NHWC batch: `at` is the first border byte; strides are in bytes. */
export interface Image {
  readonly at: number;
  readonly channels: number;
  readonly low: Triple;
  readonly padded: Triple;
  readonly imageBytes: number;
  readonly planeBytes: number;
  readonly rowBytes: number;
  readonly pixelBytes: number;
}

/** Copies an array into a new block. */
export function copyIn(engine: Engine, alloc: Alloc, values: Float32Array): number {
  const at = alloc(values.byteLength);
  engine.memory.f32(at, values.length).set(values);
  return at;
}

/** Copies a block out. */
export function copyOut(engine: Engine, at: number, length: number): Float32Array {
  return engine.memory.f32(at, length).slice();
}

/** Layout of a batch of `channels` x `size` with a border of `low` before and `high` after each axis. */
export function imageLayout(at: number, channels: number, size: Triple, low: Triple, high: Triple): Image {
  const padded = map3((i) => low[i] + size[i] + high[i]);
  const pixelBytes = channels * 4;
  const rowBytes = padded[2] * pixelBytes;
  const planeBytes = padded[1] * rowBytes;
  return { at, channels, low, padded, imageBytes: padded[0] * planeBytes, planeBytes, rowBytes, pixelBytes };
}

/** Byte offset, from `at`, of the pixel (z, y, x) of the inside. */
export function pixelOffset(image: Image, z: number, y: number, x: number): number {
  const { low } = image;
  return (z + low[0]) * image.planeBytes + (y + low[1]) * image.rowBytes + (x + low[2]) * image.pixelBytes;
}

/** Copies NCHW `values` into a new bordered image; the border holds `border`. */
export function imageFrom(
  engine: Engine,
  alloc: Alloc,
  values: Float32Array,
  shape: { readonly batch: number; readonly channels: number; readonly size: Triple },
  low: Triple,
  high: Triple,
  border = 0,
): Image {
  const { batch, channels, size } = shape;
  const { kernels } = engine;
  const source = copyIn(engine, alloc, values);
  const bytes = imageLayout(0, channels, size, low, high).imageBytes * batch;
  const image = imageLayout(alloc(bytes), channels, size, low, high);
  if (volume(image.padded) !== volume(size)) kernels.fill_f32(image.at, border, bytes / 4);
  const planeBytes = volume(size) * 4;
  for (let n = 0; n < batch; n++) {
    for (let z = 0; z < size[0]; z++) {
      const from = source + n * channels * planeBytes + z * size[1] * size[2] * 4;
      const to = image.at + n * image.imageBytes + pixelOffset(image, z, 0, 0);
      kernels.layout_planes_to_pixels(
        channels,
        size[1],
        size[2],
        from,
        planeBytes,
        to,
        image.rowBytes,
        image.pixelBytes,
      );
    }
  }
  return image;
}

/** Transposes a dense NHWC batch at `at` and copies it out as NCHW. */
export function pixelsToPlanes(
  engine: Engine,
  alloc: Alloc,
  at: number,
  batch: number,
  channels: number,
  pixels: number,
): Float32Array {
  const length = batch * channels * pixels;
  const planes = alloc(length * 4);
  for (let n = 0; n < batch; n++) {
    const offset = n * channels * pixels * 4;
    engine.kernels.layout_transpose32(pixels, channels, at + offset, channels * 4, planes + offset, pixels * 4);
  }
  return copyOut(engine, planes, length);
}

/** A table of u32 byte offsets in a new block. */
export function tableFrom(engine: Engine, alloc: Alloc, offsets: readonly number[]): number {
  const at = alloc(offsets.length * 4);
  engine.memory.i32(at, offsets.length).set(offsets);
  return at;
}

/** The table of a grid of `counts` pixels in each of `batch` images; strides in bytes. */
export function gridTable(
  engine: Engine,
  alloc: Alloc,
  base: number,
  batch: number,
  counts: Triple,
  strides: readonly [number, number, number, number],
): number {
  const at = alloc(batch * volume(counts) * 4);
  engine.kernels.layout_grid(
    at,
    base,
    batch,
    strides[0],
    counts[0],
    strides[1],
    counts[1],
    strides[2],
    counts[2],
    strides[3],
  );
  return at;
}
