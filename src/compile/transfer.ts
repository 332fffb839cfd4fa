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
import { isOrderFree } from "./form.ts";
import type { Buffer } from "./plan.ts";

/** Stored byte of an integer, and back: q - lowest, top bit flipped where the machine wants it. */
function byteMask(dtype: DType, flip: number): number {
  return (dtypeInfo[dtype].min === 0 ? 0 : 0x80) ^ flip;
}

/** Calls `f(planar index, NHWC element offset)` for every element of an image. */
function forEachElement(image: Image, f: (planar: number, offset: number) => void): void {
  let planar = 0;
  for (let n = 0; n < image.n; n++) {
    for (let c = 0; c < image.c; c++) {
      for (let y = 0; y < image.h; y++) {
        let offset = pixelOffset(image, n, y, 0) + c;
        for (let x = 0; x < image.w; x++, offset += image.c) f(planar++, offset);
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
  if (!image || isOrderFree(image)) for (let i = 0; i < data.length; i++) bytes[i] = (data[i]! & 0xff) ^ mask;
  else forEachElement(image, (planar, offset) => (bytes[offset] = (data[planar]! & 0xff) ^ mask));
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

function loadBytes(engine: Engine, buffer: Buffer, at: number, flip: number): TypedArray {
  const { form, type } = buffer;
  const out = allocate(type.dtype, numel(type.shape));
  const mask = byteMask(type.dtype, flip);
  const image = form.kind === "image" ? form.image : null;
  const bytes = engine.memory.u8(at, image ? image.n * imageStride(image) : out.length);
  if (!image || isOrderFree(image)) for (let i = 0; i < out.length; i++) out[i] = bytes[i]! ^ mask;
  else forEachElement(image, (planar, offset) => (out[planar] = bytes[offset]! ^ mask));
  return out;
}

/** A tensor with a buffer's values. */
export function load(engine: Engine, buffer: Buffer, at: number, flip: number): Tensor {
  const { form, type } = buffer;
  if (buffer.element === "byte")
    return new Tensor(type.dtype, type.shape, loadBytes(engine, buffer, at, flip), type.qparams);
  const dense = form.kind === "flat" || isOrderFree(form.image);
  const values = dense ? engine.memory.f32(at, numel(type.shape)).slice() : loadImageF32(engine, form.image, at);
  return new Tensor(type.dtype, type.shape, values);
}
