/**
 * Local response normalization across neighbouring channels (Krizhevsky, Sutskever and Hinton, 2012).
 */

import { ShapeError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { add, div, mul, pow } from "./arithmetic.ts";
import { avgPool2d } from "./avg-pool.ts";
import { pad } from "./pad.ts";
import { reshape } from "./shape.ts";

export interface LocalResponseNormOptions {
  readonly alpha?: number;
  readonly beta?: number;
  readonly k?: number;
}

/**
 * x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta, for x [N, C, ...]. @throws ShapeError
 */
export function localResponseNorm(x: Tensor, size: number, options: LocalResponseNormOptions = {}): Tensor {
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  if (x.rank < 3)
    throw new ShapeError("localResponseNorm", { x: x.shape }, "x must be [N, C, ...] with a spatial axis");
  const planes = reshape(mul(x, x), [x.shape[0]!, 1, x.shape[1]!, numel(x.shape.slice(2))]);
  const around = avgPool2d(pad(planes, [0, 0, Math.floor(size / 2), Math.floor((size - 1) / 2)]), [size, 1], {
    stride: 1,
  });
  return div(x, pow(add(mul(reshape(around, x.shape), alpha), k), beta));
}
