/**
 * Elementwise kernels work on rows of contiguous elements. Two buffers of one value shape, in like forms, are
 * covered by one row when neither has a border, else by the image rows of each image.
 */

import { imageStride, pixelOffset, rowStride } from "../kernels/qconv/image.ts";
import type { Image } from "../kernels/qconv/image.ts";
import { numel } from "../tensor/shape.ts";
import { elementBytes } from "./form.ts";
import type { Buffer } from "./buffer.ts";

/** One kernel call: `rows` rows of `count` elements; offsets and strides in bytes, one for each buffer. */
export interface RowBlock {
  readonly rows: number;
  readonly count: number;
  readonly offsets: readonly number[];
  readonly strides: readonly number[];
}

function isBare({ border }: Image): boolean {
  return border.top + border.bottom + border.left + border.right === 0;
}

/** Row blocks that cover the values of all buffers, which must be flat together or images together. */
export function rowBlocks(buffers: readonly Buffer[]): RowBlock[] {
  const images = buffers.flatMap(({ form }) => (form.kind === "image" ? [form.image] : []));
  const [first] = images;
  const sizes = buffers.map(({ element }) => elementBytes(element));
  if (!first || images.every(isBare)) {
    const count = first ? first.n * imageStride(first) : numel(buffers[0]!.form.shape);
    return [{ rows: 1, count, offsets: sizes.map(() => 0), strides: sizes.map((size) => size * count) }];
  }
  return Array.from({ length: first.n }, (_, n) => ({
    rows: first.h,
    count: first.w * first.c,
    offsets: images.map((image, i) => pixelOffset(image, n, 0, 0) * sizes[i]!),
    strides: images.map((image, i) => rowStride(image) * sizes[i]!),
  }));
}
