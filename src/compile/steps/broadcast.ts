/**
 * Lines of elementwise kernels whose operands have different shapes: runs of the result in which every operand either
 * goes on number by number or stays at one, and where each run begins in each of them.
 */

import { pixelOffset } from "../../kernels/qconv/image.ts";
import type { Image } from "../../kernels/qconv/image.ts";
import { broadcastStrides, numel } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { offsetsOf } from "./strided.ts";

/** Offsets are in elements. */
export interface BroadcastLines {
  readonly length: number;
  /** Whether each operand has a number for every element of a line, rather than one in all. */
  readonly each: readonly boolean[];
  /** Where each line begins: in every operand, then in the result. */
  readonly starts: readonly (readonly number[])[];
}

/** Axes behind `outer` make one line: there each operand is contiguous or stays where it is. */
interface Inner {
  readonly outer: number;
  readonly length: number;
  readonly each: readonly boolean[];
}

function innerOf(shape: Shape, strides: readonly (readonly number[])[]): Inner {
  let length = 1;
  let each: readonly boolean[] | null = null;
  let axis = shape.length - 1;
  for (; axis >= 0; axis--) {
    if (shape[axis] === 1) continue;
    const moving = strides.map((own) => own[axis] !== 0);
    const fits = strides.every((own) => own[axis] === 0 || own[axis] === length);
    if (!fits || each?.some((was, i) => was !== moving[i])) break;
    each = moving;
    length *= shape[axis]!;
  }
  return { outer: axis + 1, length, each: each ?? strides.map(() => true) };
}

/** Lines of row-major operands that broadcast to a row-major result of `shape`. */
export function broadcastLines(shape: Shape, operands: readonly Shape[]): BroadcastLines {
  if (numel(shape) === 0)
    return { length: 0, each: operands.map(() => true), starts: [...operands, shape].map(() => []) };
  const strides = operands.map((own) => broadcastStrides(own, shape));
  const { outer, length, each } = innerOf(shape, strides);
  const sizes = shape.slice(0, outer);
  const starts = strides.map((own) => offsetsOf(sizes, own));
  return { length, each, starts: [...starts, Array.from({ length: numel(sizes) }, (_, i) => i * length)] };
}

/** Whether a row-major tensor has one number for each channel of an image, or for each image, or one in all. */
export function isPerChannel(small: Shape, image: Shape): boolean {
  const lead = image.length - small.length;
  return lead >= 0 && small.every((size, axis) => size === 1 || (axis + lead < 2 && size === image[axis + lead]));
}

/** Lines of an image, such a tensor, and an image with the result: pixels, or rows where a row's numbers are one. */
export function imageLines(whole: Image, small: Shape, shape: Shape, result: Image): BroadcastLines {
  const [sn, sc] = broadcastStrides(small, shape) as [number, number];
  const isByPixel = sc !== 0 && whole.c > 1;
  const [pixels, length] = isByPixel ? [whole.w, whole.c] : [1, whole.w * whole.c];
  const starts: [number[], number[], number[]] = [[], [], []];
  for (let n = 0; n < whole.n; n++)
    for (let y = 0; y < whole.h; y++)
      for (let x = 0; x < pixels; x++) {
        starts[0].push(pixelOffset(whole, n, y, x));
        starts[1].push(n * sn);
        starts[2].push(pixelOffset(result, n, y, x));
      }
  return { length, each: [true, isByPixel], starts };
}
