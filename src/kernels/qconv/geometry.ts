/**
 * Geometry of convolutions over bordered NHWC images: what a problem is, which border it needs, and the
 * tables of byte offsets that the kernels walk.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import type { Epilogue } from "../qgemm/post.ts";
import { covers, imageStride, pixelOffset, rowStride } from "./image.ts";
import type { Border, Image } from "./image.ts";

export interface ConvShape {
  readonly inChannels: number;
  readonly outChannels: number;
  /** [height, width], like the next three. */
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Above and left of the image; below and right follow from the output's size. */
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

export interface ConvProblem {
  readonly shape: ConvShape;
  readonly input: Image;
  /** The first of the input's channels that is read, and of the output's that is written. */
  readonly inputChannel?: number;
  readonly output: Image;
  readonly outputChannel?: number;
  /** Where the other operand of a sum lies, and its first channel that is read. */
  readonly other?: Image;
  readonly otherChannel?: number;
  /** PyTorch's order: [out, in / groups, kh, kw]; transposed convolutions [in, out / groups, kh, kw]. */
  readonly weights: Int8Array | Uint8Array;
  readonly weightZeroPoints?: ArrayLike<number>;
  readonly epilogue: Epilogue;
}

/** Border the input must have, holding the zero point. */
export function convBorder(shape: ConvShape, input: Image, output: Image): Border {
  const [kh, kw] = shape.kernel;
  const last = (size: number, stride: number, padding: number, dilation: number, kernel: number): number =>
    (size - 1) * stride - padding + dilation * (kernel - 1);
  return {
    top: shape.padding[0],
    left: shape.padding[1],
    bottom: Math.max(0, last(output.h, shape.stride[0], shape.padding[0], shape.dilation[0], kh) - input.h + 1),
    right: Math.max(0, last(output.w, shape.stride[1], shape.padding[1], shape.dilation[1], kw) - input.w + 1),
  };
}

/** Offsets of n x rows x columns positions, each `stepY` or `stepX` bytes from its neighbour, images `stepN`, from `first` on. */
function grid(
  n: number,
  rows: number,
  columns: number,
  first: number,
  stepN: number,
  stepY: number,
  stepX: number,
): Int32Array {
  const table = new Int32Array(n * rows * columns);
  let at = 0;
  for (let image = 0; image < n; image++) {
    for (let y = 0; y < rows; y++) {
      let offset = first + image * stepN + y * stepY;
      for (let x = 0; x < columns; x++, offset += stepX) table[at++] = offset;
    }
  }
  return table;
}

/** Offsets of all pixels of an image in raster order, times `bytes`. */
export function pixelTable(image: Image, bytes: number): Int32Array {
  const first = pixelOffset(image, 0, 0, 0) * bytes;
  return grid(image.n, image.h, image.w, first, imageStride(image) * bytes, rowStride(image) * bytes, image.c * bytes);
}

/** Offset of the first tap of every output pixel. */
export function windowTable(shape: ConvShape, input: Image, output: Image): Int32Array {
  const first = pixelOffset(input, 0, -shape.padding[0], -shape.padding[1]);
  const [stepY, stepX] = [shape.stride[0] * rowStride(input), shape.stride[1] * input.c];
  return grid(output.n, output.h, output.w, first, imageStride(input), stepY, stepX);
}

/** @throws ShapeError when sizes, channels or the input's border do not fit the convolution. */
export function checkConv(where: string, problem: ConvProblem, border: Border): void {
  const { shape, input, output } = problem;
  const { inChannels, outChannels, groups, kernel } = shape;
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new ShapeError(where, { inChannels, outChannels, groups }, "groups must divide both channel counts");
  }
  if (input.n !== output.n)
    throw new ShapeError(
      where,
      { input: input.n, output: output.n },
      "input and output must have the same number of images",
    );
  if ((problem.inputChannel ?? 0) + inChannels > input.c || (problem.outputChannel ?? 0) + outChannels > output.c) {
    throw new ShapeError(
      where,
      { inChannels, outChannels, input: input.c, output: output.c },
      "the images have fewer channels than the convolution",
    );
  }
  const count = (inChannels / groups) * outChannels * kernel[0] * kernel[1];
  if (problem.weights.length !== count)
    throw new ArgumentError(
      where,
      { weights: problem.weights.length, needed: count },
      "the weights do not fit the shape",
    );
  if (!covers(input.border, border))
    throw new ShapeError(
      where,
      { border: input.border, needed: border },
      "the input's border is too small for the padding",
    );
}
