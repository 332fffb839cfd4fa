/**
 * Windows of poolings, and the records that tell the kernels about them. A window is clipped to the
 * image when it is made: padding never takes part, a maximum has nothing to compare it with and an
 * average counts it, if at all, in its factor.
 */

import { ShapeError } from "../../errors.ts";
import { pixelOffset, rowStride } from "../qconv/image.ts";
import type { Image } from "../qconv/image.ts";
import { writeQuantizer } from "../quantize/rules.ts";
import type { Quantizer } from "../quantize/rules.ts";
import * as at from "./layout.ts";

/** Positions of one axis that one output takes: first, first + dilation, ... */
export interface Window {
  readonly first: number;
  readonly count: number;
}

export interface AxisPool {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}

/** Windows of `outputs` positions over an axis of `size`. @throws ShapeError when a window holds only padding. */
export function slidingWindows(
  size: number,
  outputs: number,
  { kernel, stride, padding, dilation }: AxisPool,
): Window[] {
  return Array.from({ length: outputs }, (_, o) => {
    const start = o * stride - padding;
    const skipped = Math.max(0, Math.ceil(-start / dilation));
    const count = Math.min(kernel, Math.ceil((size - start) / dilation)) - skipped;
    if (count < 1)
      throw new ShapeError(
        "pool",
        { size, outputs, kernel, stride, padding, dilation },
        "every window must touch the image",
      );
    return { first: start + skipped * dilation, count };
  });
}

/** Windows of adaptive pooling: floor(o * size / outputs) to ceil((o + 1) * size / outputs). */
export function adaptiveWindows(size: number, outputs: number): Window[] {
  return Array.from({ length: outputs }, (_, o) => {
    const first = Math.floor((o * size) / outputs);
    return { first, count: Math.ceil(((o + 1) * size) / outputs) - first };
  });
}

export interface PoolProblem {
  readonly input: Image;
  readonly output: Image;
  readonly channels: number;
  readonly inputChannel?: number;
  readonly outputChannel?: number;
  readonly windowsY: readonly Window[];
  readonly windowsX: readonly Window[];
  /** Distance of taps, [y, x]; 1 unless dilated. */
  readonly dilation?: readonly [number, number];
  readonly flip: 0 | 0x80;
}

/** What an average needs besides windows. */
export interface Average {
  /** Taken off every summed unsigned integer. */
  readonly subtract: number;
  /** f32 factor (or divisor, for divideThenRound) of every output pixel of an image, row by row. */
  readonly factors: Float32Array;
  readonly quantizer: Quantizer;
}

const ALIGN = 16;

function windowBytes(windows: readonly Window[]): number {
  return Math.ceil((windows.length * 8) / ALIGN) * ALIGN;
}

/** Bytes that `writePool` needs. */
export function poolBytes(problem: PoolProblem, average?: Average): number {
  return (
    at.P_BYTES +
    windowBytes(problem.windowsY) +
    windowBytes(problem.windowsX) +
    (average === undefined ? 0 : average.factors.byteLength)
  );
}

/**
 * Writes the record and its tables at `base` (16-byte aligned) of `memory`, a view of the whole engine memory.
 * @throws ShapeError when the windows are not those of the output.
 */
export function writePool(memory: Uint8Array, base: number, problem: PoolProblem, average?: Average): void {
  const { input, output, windowsY, windowsX, dilation = [1, 1] } = problem;
  if (windowsY.length !== output.h || windowsX.length !== output.w) {
    throw new ShapeError(
      "pool",
      { rows: windowsY.length, columns: windowsX.length, output: [output.h, output.w] },
      "there must be one window an output position",
    );
  }
  const view = new DataView(memory.buffer, memory.byteOffset);
  const set = (field: number, value: number): void => view.setInt32(base + field, value, true);
  const tableY = base + at.P_BYTES;
  const tableX = tableY + windowBytes(windowsY);
  const factors = tableX + windowBytes(windowsX);
  const table = (start: number, windows: readonly Window[]): void =>
    windows.forEach(({ first, count }, i) => {
      view.setInt32(start + i * 8, first, true);
      view.setInt32(start + i * 8 + 4, count, true);
    });
  table(tableY, windowsY);
  table(tableX, windowsX);
  set(at.P_ROWS, output.h);
  set(at.P_COLUMNS, output.w);
  set(at.P_CHANNELS, problem.channels);
  set(at.P_WINDOWS_Y, tableY);
  set(at.P_WINDOWS_X, tableX);
  set(at.P_X_ROW, rowStride(input));
  set(at.P_X_PIXEL, input.c);
  set(at.P_STEP_Y, dilation[0] * rowStride(input));
  set(at.P_STEP_X, dilation[1] * input.c);
  set(at.P_Y_ROW, rowStride(output));
  set(at.P_Y_PIXEL, output.c);
  set(at.P_FLIP, problem.flip * 0x01010101);
  if (average === undefined) return;
  set(at.P_FACTORS, factors);
  set(at.P_SUBTRACT, average.subtract);
  writeQuantizer(view, base + at.P_QUANTIZER, average.quantizer);
  average.factors.forEach((factor, i) => view.setFloat32(factors + i * 4, factor, true));
}

/** Byte offsets of image n in x and y, to be added to the addresses of a call. */
export function poolOffsets(
  { input, output, inputChannel = 0, outputChannel = 0 }: PoolProblem,
  n: number,
): readonly [number, number] {
  return [pixelOffset(input, n, 0, 0) + inputChannel, pixelOffset(output, n, 0, 0) + outputChannel];
}
