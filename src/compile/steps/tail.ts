/**
 * PyTorch's elementwise kernels treat the elements behind the last whole vector of 64 one by one, with another
 * rounding (ops/quantized/requantize.ts). The engine's kernels do the vectors' way throughout; this does the few
 * elements at the end of a value's row-major order again, with the operator's own reference.
 */

import type { Node } from "../../graph/graph.ts";
import { pixelOffset } from "../../kernels/qconv/image.ts";
import { findOp } from "../../ops/op.ts";
import { blockEnd } from "../../ops/quantized/requantize.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import type { Place } from "../plan.ts";

/** Byte offsets of the last elements of a buffer, in row-major order from `from`. */
function tailOffsets({ form }: Buffer, from: number): number[] {
  const count = numel(form.shape);
  return Array.from({ length: count - from }, (_, i) => {
    const at = from + i;
    if (form.kind === "flat") return at;
    const { image } = form;
    const x = at % image.w;
    const y = Math.floor(at / image.w) % image.h;
    const c = Math.floor(at / (image.w * image.h)) % image.c;
    return pixelOffset(image, Math.floor(at / (image.w * image.h * image.c)), y, x) + c;
  });
}

/** Redoes the elements outside whole vectors; null when there are none. All buffers hold bytes of one shape. */
export function bindTail(
  place: Place,
  node: Node,
  inputs: readonly Buffer[],
  output: Buffer,
  flip: number,
): (() => void) | null {
  const from = blockEnd(numel(output.form.shape));
  if (from === numel(output.form.shape)) return null;
  const op = findOp(node.target);
  const mask = ({ type }: Buffer): number => (dtypeInfo[type.dtype].min === 0 ? 0 : 0x80) ^ flip;
  const sources = inputs.map((buffer) => ({
    buffer,
    at: place.at(buffer),
    offsets: tailOffsets(buffer, from),
    mask: mask(buffer),
  }));
  const target = { at: place.at(output), offsets: tailOffsets(output, from), mask: mask(output) };
  const shape = [target.offsets.length];
  return () => {
    const bytes = new Uint8Array(place.engine.memory.wasm.buffer);
    const tensors = sources.map(({ buffer: { type }, at, offsets, mask: flips }) => {
      const data = allocate(type.dtype, offsets.length);
      offsets.forEach((offset, i) => (data[i] = bytes[at + offset]! ^ flips));
      return new Tensor(type.dtype, shape, data, type.qparams);
    });
    const [result] = op.forward(tensors, node.attrs, [{ ...output.type, shape }]);
    target.offsets.forEach((offset, i) => (bytes[target.at + offset] = (result!.data[i]! & 0xff) ^ target.mask));
  };
}
