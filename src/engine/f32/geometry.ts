/**
 * Shapes of convolutions with one to three spatial axes, brought to one form with exactly three (missing
 * leading axes have length 1), and the numbers kernels need from them. PyTorch's conventions: x is
 * [batch, channels, ...size], weight [outChannels, inChannels / groups, ...kernel].
 */

import { EngineError } from "../../errors.ts";
import type { Conv3d, Triple } from "../../kernels/f32-gemm/shape.ts";

export type { Conv3d, Triple };

/** A convolution. `size`, `kernel`, `stride`, `padding` and `dilation` have one entry a spatial axis. */
export interface ConvShape {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly groups: number;
  readonly size: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  /** The operands are integers whose sums must be exact: no transform may be put around the products. */
  readonly exact?: boolean;
}

export function volume([a, b, c]: Triple): number {
  return a * b * c;
}

export function map3(body: (axis: 0 | 1 | 2) => number): Triple {
  return [body(0), body(1), body(2)];
}

function triple(values: readonly number[], missing: number): Triple {
  const [a = missing, b = missing, c = missing] = [
    ...Array.from({ length: 3 - values.length }, () => missing),
    ...values,
  ];
  return [a, b, c];
}

function isWhole(least: number) {
  return (value: number): boolean => Number.isInteger(value) && value >= least;
}

/** Output length along one axis: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
export function convOutLength(size: number, kernel: number, stride: number, padding: number, dilation: number): number {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

/**
 * Checks a shape and brings it to three axes.
 * @throws EngineError when a number is not a legal length, channels do not divide into groups, or the kernel is larger than the padded input.
 */
export function conv3d(shape: ConvShape): Conv3d {
  const { batch, inChannels, outChannels, groups, size } = shape;
  const rank = size.length;
  const lists = [shape.kernel, shape.stride, shape.padding, shape.dilation];
  const fits =
    rank >= 1 &&
    rank <= 3 &&
    lists.every((list) => list.length === rank) &&
    [batch, ...size, ...shape.padding].every(isWhole(0)) &&
    [groups, inChannels, outChannels, ...shape.kernel, ...shape.stride, ...shape.dilation].every(isWhole(1)) &&
    inChannels % groups === 0 &&
    outChannels % groups === 0;
  if (!fits)
    throw new EngineError(
      "convolution",
      { ...shape },
      "axes must agree and groups must divide both numbers of channels",
    );
  const full = {
    size: triple(size, 1),
    kernel: triple(shape.kernel, 1),
    stride: triple(shape.stride, 1),
    padding: triple(shape.padding, 0),
    dilation: triple(shape.dilation, 1),
  };
  const outSize = map3((i) =>
    convOutLength(full.size[i], full.kernel[i], full.stride[i], full.padding[i], full.dilation[i]),
  );
  if (outSize.some((length) => length < 1))
    throw new EngineError("convolution", { ...shape }, "the kernel must not be larger than the padded input");
  return {
    batch,
    inChannels,
    outChannels,
    groups,
    ...full,
    outSize,
    points: volume(full.kernel),
    inPixels: volume(full.size),
    outPixels: volume(outSize),
  };
}

/** @throws EngineError when an array does not have the length its shape says. */
export function checkLength(where: string, name: string, array: Float32Array, expected: number): void {
  if (array.length !== expected)
    throw new EngineError(
      where,
      { [name]: array.length, expected },
      "an array must have as many elements as its shape",
    );
}
