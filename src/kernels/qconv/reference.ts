/**
 * What quantized convolutions compute, in plain loops: the specification of the parts that conv.ts and
 * transposed.ts make. Images are dense NHWC bytes of the unsigned form; padding contributes nothing,
 * as if it held the zero point. The epilogue is that of the matrix product's reference.
 */

import { referenceOutput } from "../qgemm/reference.ts";
import type { Epilogue } from "../qgemm/post.ts";
import type { ConvShape } from "./geometry.ts";

export interface ReferenceConv {
  readonly shape: ConvShape;
  /** [n, h, w] of the input and [h, w] of the output. */
  readonly inputSize: readonly [number, number, number];
  readonly outputSize: readonly [number, number];
  readonly x: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
  readonly weightZeroPoints?: ArrayLike<number>;
  readonly epilogue: Epilogue;
  /** The other operand of a sum, dense bytes of the unsigned form, as the result lies. */
  readonly other?: ArrayLike<number>;
}

/** Sums products over the taps for which `source` gives an input coordinate. */
function accumulate(
  problem: ReferenceConv,
  n: number,
  o: number,
  source: (ky: number, kx: number) => readonly [number, number] | undefined,
  weightAt: (c: number, ky: number, kx: number) => number,
): number {
  const { shape, x, epilogue } = problem;
  const [, h, w] = problem.inputSize;
  const depth = shape.inChannels / shape.groups;
  const first = Math.floor(o / (shape.outChannels / shape.groups)) * depth;
  const zeros = problem.weightZeroPoints;
  const zw = zeros === undefined ? 0 : (zeros[zeros.length === 1 ? 0 : o] ?? 0);
  let acc = 0;
  for (let ky = 0; ky < shape.kernel[0]; ky++) {
    for (let kx = 0; kx < shape.kernel[1]; kx++) {
      const at = source(ky, kx);
      if (at === undefined || at[0] < 0 || at[1] < 0 || at[0] >= h || at[1] >= w) continue;
      const pixel = ((n * h + at[0]) * w + at[1]) * shape.inChannels + first;
      for (let c = 0; c < depth; c++) {
        const weight = problem.weights[weightAt(c, ky, kx)] ?? 0;
        acc = (acc + ((x[pixel + c] ?? 0) - epilogue.inputZeroPoint) * (weight - zw)) | 0;
      }
    }
  }
  return acc;
}

function everyOutput(
  problem: ReferenceConv,
  value: (n: number, oy: number, ox: number, o: number) => number,
): number[] {
  const y: number[] = [];
  const [h, w] = problem.outputSize;
  for (let n = 0; n < problem.inputSize[0]; n++) {
    for (let oy = 0; oy < h; oy++) {
      for (let ox = 0; ox < w; ox++) {
        for (let o = 0; o < problem.shape.outChannels; o++)
          y.push(referenceOutput(problem.epilogue, o, value(n, oy, ox, o), problem.other?.[y.length]));
      }
    }
  }
  return y;
}

/** y[n, oy, ox, o], weights [out, in / groups, kh, kw]. */
export function referenceConv(problem: ReferenceConv): number[] {
  const { kernel, stride, padding, dilation, inChannels, groups } = problem.shape;
  const depth = inChannels / groups;
  return everyOutput(problem, (n, oy, ox, o) =>
    accumulate(
      problem,
      n,
      o,
      (ky, kx) => [oy * stride[0] - padding[0] + ky * dilation[0], ox * stride[1] - padding[1] + kx * dilation[1]],
      (c, ky, kx) => ((o * depth + c) * kernel[0] + ky) * kernel[1] + kx,
    ),
  );
}

/** y[n, oy, ox, o] of a transposed convolution, weights [in, out / groups, kh, kw]. */
export function referenceTransposed(problem: ReferenceConv): number[] {
  const { kernel, stride, padding, dilation, inChannels, outChannels, groups } = problem.shape;
  const depth = inChannels / groups;
  const perGroup = outChannels / groups;
  return everyOutput(problem, (n, oy, ox, o) =>
    accumulate(
      problem,
      n,
      o,
      (ky, kx) => {
        const y = oy + padding[0] - ky * dilation[0];
        const x = ox + padding[1] - kx * dilation[1];
        return y % stride[0] === 0 && x % stride[1] === 0 ? [y / stride[0], x / stride[1]] : undefined;
      },
      (c, ky, kx) =>
        (((Math.floor(o / perGroup) * depth + c) * perGroup + (o % perGroup)) * kernel[0] + ky) * kernel[1] + kx,
    ),
  );
}
