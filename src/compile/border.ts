/**
 * Fills the border of an image in the engine's memory; done once, when a plan is bound.
 */

import type { Engine } from "../engine/engine.ts";
import { NO_BORDER, imageStride, rowStride } from "../kernels/qconv/image.ts";
import type { Image } from "../kernels/qconv/image.ts";

/** Sets every border element to `value` (bytes as stored; f32 borders are always 0). */
export function fillBorder(engine: Engine, image: Image, at: number, elementBytes: number, value: number): void {
  if (image.border === NO_BORDER) return;
  const { top, left, right, bottom } = image.border;
  const pixel = image.c * elementBytes;
  const row = rowStride(image) * elementBytes;
  const bytes = engine.memory.u8(at, image.n * imageStride(image) * elementBytes);
  for (let n = 0; n < image.n; n++) {
    const start = n * imageStride(image) * elementBytes;
    const inside = start + top * row;
    bytes.fill(value, start, inside);
    for (let y = 0; y < image.h; y++) {
      const line = inside + y * row;
      bytes.fill(value, line, line + left * pixel);
      bytes.fill(value, line + row - right * pixel, line + row);
    }
    bytes.fill(value, inside + image.h * row, inside + (image.h + bottom) * row);
  }
}
