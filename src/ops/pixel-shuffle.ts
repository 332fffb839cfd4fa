/**
 * Rearranging channels into space and back (Shi et al., 2016); made of reshape and permute.
 */

import { ShapeError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { permute, reshape } from "./shape.ts";

function check(where: string, x: Tensor, factor: number, fits: boolean, rule: string): void {
  if (x.rank < 3 || !Number.isInteger(factor) || factor < 1 || !fits)
    throw new ShapeError(where, { x: x.shape, factor }, rule);
}

/** [..., C r^2, H, W] -> [..., C, H r, W r]. @throws ShapeError */
export function pixelShuffle(x: Tensor, upscaleFactor: number): Tensor {
  const r = upscaleFactor;
  const [channels, height, width] = x.shape.slice(-3) as [number, number, number];
  check(
    "pixelShuffle",
    x,
    r,
    channels % (r * r) === 0,
    "x must be [..., C, H, W] with C a multiple of the factor squared",
  );
  const c = channels / (r * r);
  const blocks = permute(reshape(x, [-1, c, r, r, height, width]), [0, 1, 4, 2, 5, 3]);
  return reshape(blocks, [...x.shape.slice(0, -3), c, height * r, width * r]);
}

/** [..., C, H r, W r] -> [..., C r^2, H, W]. @throws ShapeError */
export function pixelUnshuffle(x: Tensor, downscaleFactor: number): Tensor {
  const r = downscaleFactor;
  const [channels, height, width] = x.shape.slice(-3) as [number, number, number];
  check(
    "pixelUnshuffle",
    x,
    r,
    height % r === 0 && width % r === 0,
    "x must be [..., C, H, W] with H and W multiples of the factor",
  );
  const blocks = permute(reshape(x, [-1, channels, height / r, r, width / r, r]), [0, 1, 3, 5, 2, 4]);
  return reshape(blocks, [...x.shape.slice(0, -3), channels * r * r, height / r, width / r]);
}

/** [..., g c, H, W] with its channels dealt out from g groups, as a card shuffle. @throws ShapeError */
export function channelShuffle(x: Tensor, groups: number): Tensor {
  const channels = x.shape[1] ?? 0;
  check("channelShuffle", x, groups, channels % groups === 0, "x must be [N, C, ...] with C a multiple of groups");
  const dealt = permute(reshape(x, [x.shape[0]!, groups, channels / groups, -1]), [0, 2, 1, 3]);
  return reshape(dealt, x.shape);
}
