/**
 * Tensors into and out of the engine's memory, in whatever form a buffer has.
 */

import type { Engine } from "../engine/engine.ts";
import { pixelOffset, rowStride } from "../kernels/qconv/image.ts";
import type { Image } from "../kernels/qconv/image.ts";
import { allocate, dtypeInfo } from "../tensor/dtype.ts";
import type { DType, TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { isOrderFree } from "./form.ts";
import type { Buffer } from "./buffer.ts";

/** Stored byte of an integer, and back: q - lowest, top bit flipped where the machine wants it. */
function byteMask(dtype: DType, flip: number): number {
  return (dtypeInfo[dtype].min === 0 ? 0 : 0x80) ^ flip;
}

/** Same integers, xor `mask`, in the order they have. */
function copyBytes(from: TypedArray, to: TypedArray, mask: number): void {
  if (mask === 0) to.set(from);
  else for (let i = 0; i < to.length; i++) to[i] = (from[i]! & 0xff) ^ mask;
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
  if (form.kind === "flat" || isOrderFree(form.image)) copyBytes(data, engine.memory.u8(at, data.length), mask);
  else storeImageBytes(engine, form.image, at, data, mask);
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

/** The bytes of an 8-bit tensor, whether signed or not. */
function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.length);
}

function storeImageBytes(engine: Engine, image: Image, at: number, data: TypedArray, mask: number): void {
  engine.memory.scope((alloc) => {
    const source = alloc(data.length);
    engine.memory.u8(source, data.length).set(bytesOf(data));
    const { c, h, w } = image;
    for (let n = 0; n < image.n; n++) {
      const from = source + n * c * h * w;
      const to = at + pixelOffset(image, n, 0, 0);
      engine.kernels.layout_planes_to_pixels8(c, h, w, from, h * w, to, rowStride(image), c, mask);
    }
  });
}

function loadImageBytes(engine: Engine, image: Image, at: number, out: TypedArray, mask: number): void {
  engine.memory.scope((alloc) => {
    const planes = alloc(out.length);
    const { c, h, w } = image;
    for (let n = 0; n < image.n; n++) {
      const from = at + pixelOffset(image, n, 0, 0);
      const to = planes + n * c * h * w;
      engine.kernels.layout_pixels_to_planes8(c, h, w, from, rowStride(image), c, to, h * w, mask);
    }
    bytesOf(out).set(engine.memory.u8(planes, out.length));
  });
}

function loadBytes(engine: Engine, { form }: Buffer, at: number, flip: number, type: TensorType): TypedArray {
  const out = allocate(type.dtype, numel(type.shape));
  const mask = byteMask(type.dtype, flip);
  if (form.kind === "flat" || isOrderFree(form.image)) copyBytes(engine.memory.u8(at, out.length), out, mask);
  else loadImageBytes(engine, form.image, at, out, mask);
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
