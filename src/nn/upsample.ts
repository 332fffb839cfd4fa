/**
 * Resizing layers: Upsample and its two shorthands, PixelShuffle and PixelUnshuffle.
 */

import { interpolate } from "../ops/interpolate.ts";
import type { InterpolateOptions } from "../ops/interpolate.ts";
import { channelShuffle, pixelShuffle, pixelUnshuffle } from "../ops/pixel-shuffle.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

/** `interpolate` as a layer. */
export class Upsample extends Module {
  readonly options: InterpolateOptions;

  constructor(options: InterpolateOptions) {
    super();
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return interpolate(x, this.options);
  }
}

type Target = Pick<InterpolateOptions, "size" | "scaleFactor">;

/** Upsample by nearest neighbour. */
export class UpsamplingNearest2d extends Upsample {
  constructor(target: Target) {
    super({ ...target, mode: "nearest" });
  }
}

/** Upsample bilinearly with aligned corners. */
export class UpsamplingBilinear2d extends Upsample {
  constructor(target: Target) {
    super({ ...target, mode: "bilinear", alignCorners: true });
  }
}

/** [N, C r^2, H, W] -> [N, C, H r, W r]. */
export class PixelShuffle extends Module {
  readonly upscaleFactor: number;

  constructor(upscaleFactor: number) {
    super();
    this.upscaleFactor = upscaleFactor;
  }

  forward(x: Tensor): Tensor {
    return pixelShuffle(x, this.upscaleFactor);
  }
}

/** [N, C, H r, W r] -> [N, C r^2, H, W]. */
export class PixelUnshuffle extends Module {
  readonly downscaleFactor: number;

  constructor(downscaleFactor: number) {
    super();
    this.downscaleFactor = downscaleFactor;
  }

  forward(x: Tensor): Tensor {
    return pixelUnshuffle(x, this.downscaleFactor);
  }
}

/** Deals the channels of [N, C, ...] out from `groups` groups. */
export class ChannelShuffle extends Module {
  readonly groups: number;

  constructor(groups: number) {
    super();
    this.groups = groups;
  }

  forward(x: Tensor): Tensor {
    return channelShuffle(x, this.groups);
  }
}
