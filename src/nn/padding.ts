/**
 * Padding layers, for one to three spatial axes.
 *
 * `padding` is one number for every side, or [before, after] of the last axis, then of the one before it, as in PyTorch.
 */

import { perAxis } from "../ops/conv-geometry.ts";
import type { PerAxis, SpatialRank } from "../ops/conv-geometry.ts";
import { pad } from "../ops/pad.ts";
import type { PadOptions } from "../ops/pad.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

/** What the padding layers share. */
export abstract class PadNd extends Module {
  /** [before, after] of the last axis, then of the one before it, ... */
  readonly padding: readonly number[];
  readonly options: PadOptions;

  constructor(rank: SpatialRank, padding: PerAxis, options: PadOptions) {
    super();
    this.padding = perAxis(this.constructor.name, "padding", padding, rank * 2, -Infinity);
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return pad(x, this.padding, this.options);
  }
}

/** Pads [.., C, L] with zeros. */
export class ZeroPad1d extends PadNd {
  constructor(padding: PerAxis) {
    super(1, padding, { mode: "constant", value: 0 });
  }
}

/** Pads [.., C, H, W] with zeros. */
export class ZeroPad2d extends PadNd {
  constructor(padding: PerAxis) {
    super(2, padding, { mode: "constant", value: 0 });
  }
}

/** Pads [.., C, D, H, W] with zeros. */
export class ZeroPad3d extends PadNd {
  constructor(padding: PerAxis) {
    super(3, padding, { mode: "constant", value: 0 });
  }
}

/** Pads [.., C, L] with values mirrored at the edge, which is not repeated. */
export class ReflectionPad1d extends PadNd {
  constructor(padding: PerAxis) {
    super(1, padding, { mode: "reflect" });
  }
}

/** Pads [.., C, H, W] with values mirrored at the edge, which is not repeated. */
export class ReflectionPad2d extends PadNd {
  constructor(padding: PerAxis) {
    super(2, padding, { mode: "reflect" });
  }
}

/** Pads [.., C, D, H, W] with values mirrored at the edge, which is not repeated. */
export class ReflectionPad3d extends PadNd {
  constructor(padding: PerAxis) {
    super(3, padding, { mode: "reflect" });
  }
}

/** Pads [.., C, L] with the edge values. */
export class ReplicationPad1d extends PadNd {
  constructor(padding: PerAxis) {
    super(1, padding, { mode: "replicate" });
  }
}

/** Pads [.., C, H, W] with the edge values. */
export class ReplicationPad2d extends PadNd {
  constructor(padding: PerAxis) {
    super(2, padding, { mode: "replicate" });
  }
}

/** Pads [.., C, D, H, W] with the edge values. */
export class ReplicationPad3d extends PadNd {
  constructor(padding: PerAxis) {
    super(3, padding, { mode: "replicate" });
  }
}

/** Pads [.., C, L] with values of the opposite side. */
export class CircularPad1d extends PadNd {
  constructor(padding: PerAxis) {
    super(1, padding, { mode: "circular" });
  }
}

/** Pads [.., C, H, W] with values of the opposite side. */
export class CircularPad2d extends PadNd {
  constructor(padding: PerAxis) {
    super(2, padding, { mode: "circular" });
  }
}

/** Pads [.., C, D, H, W] with values of the opposite side. */
export class CircularPad3d extends PadNd {
  constructor(padding: PerAxis) {
    super(3, padding, { mode: "circular" });
  }
}

/** Pads [.., C, L] with a given value. */
export class ConstantPad1d extends PadNd {
  constructor(padding: PerAxis, value: number) {
    super(1, padding, { mode: "constant", value });
  }
}

/** Pads [.., C, H, W] with a given value. */
export class ConstantPad2d extends PadNd {
  constructor(padding: PerAxis, value: number) {
    super(2, padding, { mode: "constant", value });
  }
}

/** Pads [.., C, D, H, W] with a given value. */
export class ConstantPad3d extends PadNd {
  constructor(padding: PerAxis, value: number) {
    super(3, padding, { mode: "constant", value });
  }
}
