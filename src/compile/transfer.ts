/**
 * Tensors into and out of the engine's memory, in whatever form a buffer has.
 */

import type { Engine } from "../engine/engine.ts";
import { imageStride, pixelOffset, rowStride } from "../kernels/qconv/image.ts";
import type { Image } from "../kernels/qconv/image.ts";
import { allocate, dtypeInfo } from "../tensor/dtype.ts";
import type { DType, TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { isOrderFree } from "./form.ts";
import type { Buffer } from "./plan.ts";

/** Stored byte of an integer, and back: q - lowest, top bit flipped where the machine wants it. */
function byteMask(dtype: DType, flip: number): number {
  return (dtypeInfo[dtype].min === 0 ? 0 : 0x80) ^ flip;
}

/** Same integers, xor `mask`, in the order they have. */
function copyBytes(from: TypedArray, to: TypedArray, mask: number): void {
  if (mask === 0) to.set(from);
  else for (let i = 0; i < to.length; i++) to[i] = (from[i]! & 0xff) ^ mask;
}

/** Bytes of a row that are moved at a time, so that both sides of the transposition stay in the nearest cache. */
const BLOCK = 64;

/**
 * Copies an image's bytes between planes (NCHW) and pixels, xor `mask`. In blocks of pixels: a plane at a time would
 * touch every pixel's line once a channel.
 */
function exchangeImage(image: Image, planes: TypedArray, pixels: Uint8Array, mask: number, toPixels: boolean): void {
  const { c: channels, h, w } = image;
  const plane = h * w;
  for (let n = 0; n < image.n; n++) {
    for (let y = 0; y < h; y++) {
      const row = pixelOffset(image, n, y, 0);
      for (let from = 0; from < w; from += BLOCK) {
        const to = Math.min(from + BLOCK, w);
        for (let c = 0; c < channels; c++) {
          const at = (n * channels + c) * plane + y * w;
          let pixel = row + from * channels + c;
          if (toPixels)
            for (let x = from; x < to; x++, pixel += channels) pixels[pixel] = (planes[at + x]! & 0xff) ^ mask;
          else for (let x = from; x < to; x++, pixel += channels) planes[at + x] = pixels[pixel]! ^ mask;
        }
      }
    }
  }
}

/** Writes a tensor's values into a buffer at `at`. */
export function store(engine: Engine, buffer: Buffer, at: number, tensor: Tensor, flip: number): void {
  const { form, element } = buffer;
  const { data } = tensor;
  if (element === "f32") {
    if (form.kind === "flat" || isOrderFree(form.image)) engine.memory.f32(at, data.length).set(data);
    else storeImageF32(engine, form.image, at, data as Float32Array);
    return;
  }
  const mask = byteMask(tensor.dtype, flip);
  const image = form.kind === "image" ? form.image : null;
  const bytes = engine.memory.u8(at, image ? image.n * imageStride(image) : data.length);
  if (!image || isOrderFree(image)) copyBytes(data, bytes, mask);
  else exchangeImage(image, data, bytes, mask, true);
}

/** NCHW values through a scratch block, transposed by the layout kernel. */
function storeImageF32(engine: Engine, image: Image, at: number, data: Float32Array): void {
  engine.memory.scope((alloc) => {
    const source = alloc(data.length * 4);
    engine.memory.f32(source, data.length).set(data);
    const plane = image.h * image.w * 4;
    for (let n = 0; n < image.n; n++) {
      const to = at + pixelOffset(image, n, 0, 0) * 4;
      engine.kernels.layout_planes_to_pixels(
        image.c,
        image.h,
        image.w,
        source + n * image.c * plane,
        plane,
        to,
        rowStride(image) * 4,
        image.c * 4,
      );
    }
  });
}

function loadImageF32(engine: Engine, image: Image, at: number): Float32Array {
  return engine.memory.scope((alloc) => {
    const length = image.n * image.c * image.h * image.w;
    const planes = alloc(length * 4);
    const plane = image.h * image.w * 4;
    for (let n = 0; n < image.n; n++) {
      const from = at + pixelOffset(image, n, 0, 0) * 4;
      engine.kernels.layout_pixels_to_planes(
        image.c,
        image.h,
        image.w,
        from,
        rowStride(image) * 4,
        image.c * 4,
        planes + n * image.c * plane,
        plane,
      );
    }
    return engine.memory.f32(planes, length).slice();
  });
}

function loadBytes(engine: Engine, { form }: Buffer, at: number, flip: number, type: TensorType): TypedArray {
  const out = allocate(type.dtype, numel(type.shape));
  const mask = byteMask(type.dtype, flip);
  const image = form.kind === "image" ? form.image : null;
  const bytes = engine.memory.u8(at, image ? image.n * imageStride(image) : out.length);
  if (!image || isOrderFree(image)) copyBytes(bytes, out, mask);
  else exchangeImage(image, out, bytes, mask, false);
  return out;
}

/** A tensor with a buffer's values; of another type than the buffer's when the same integers are to be called so. */
export function load(engine: Engine, buffer: Buffer, at: number, flip: number, type: TensorType = buffer.type): Tensor {
  const { form } = buffer;
  if (buffer.element === "byte")
    return new Tensor(type.dtype, type.shape, loadBytes(engine, buffer, at, flip, type), type.qparams);
  const dense = form.kind === "flat" || isOrderFree(form.image);
  const values = dense ? engine.memory.f32(at, numel(type.shape)).slice() : loadImageF32(engine, form.image, at);
  return new Tensor(type.dtype, type.shape, values);
}
