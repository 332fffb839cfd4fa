/**
 * Convolution layers. Options and state-dict keys are PyTorch's; sizes are stored one an axis.
 */

import { ArgumentError } from "../errors.ts";
import { conv1d, conv2d, conv3d } from "../ops/conv.ts";
import type { ConvOptions } from "../ops/conv.ts";
import { perAxis } from "../ops/conv-geometry.ts";
import type { PerAxis, SpatialRank } from "../ops/conv-geometry.ts";
import { pad } from "../ops/pad.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";
import { fanInParameters } from "./parameters.ts";

export type PaddingMode = "zeros" | "reflect" | "replicate" | "circular";

export interface ConvLayerOptions extends ConvOptions {
  readonly bias?: boolean;
  readonly paddingMode?: PaddingMode;
}

const convolutions = { 1: conv1d, 2: conv2d, 3: conv3d };

/** What the three convolution layers share. */
export abstract class ConvNd extends Module {
  readonly spatialRank: SpatialRank;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[] | "same" | "valid";
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly paddingMode: PaddingMode;
  /** [outChannels, inChannels / groups, ...kernelSize] */
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    rank: SpatialRank,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvLayerOptions,
  ) {
    super();
    const where = `Conv${rank}d`;
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, paddingMode = "zeros" } = options;
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new ArgumentError(
        where,
        { inChannels, outChannels, groups },
        "both channel counts must be multiples of groups",
      );
    }
    this.spatialRank = rank;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = perAxis(where, "kernelSize", kernelSize, rank, 1);
    this.stride = perAxis(where, "stride", stride, rank, 1);
    this.padding = typeof padding === "string" ? padding : perAxis(where, "padding", padding, rank, 0);
    this.dilation = perAxis(where, "dilation", dilation, rank, 1);
    this.groups = groups;
    this.paddingMode = paddingMode;
    const initial = fanInParameters([outChannels, inChannels / groups, ...this.kernelSize], bias ? outChannels : null);
    this.weight = initial.weight;
    this.bias = initial.bias;
  }

  forward(x: Tensor): Tensor {
    return this.convForward(x, this.weight, this.bias);
  }

  /** The layer with another weight and bias: what quantization-aware layers call. */
  convForward(x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
    const { stride, dilation, groups, paddingMode } = this;
    const conv = convolutions[this.spatialRank];
    if (paddingMode === "zeros") return conv(x, weight, bias, { stride, padding: this.padding, dilation, groups });
    return conv(pad(x, this.edgePadding(), { mode: paddingMode }), weight, bias, { stride, dilation, groups });
  }

  /** Padding before and after each axis, last axis first, as `pad` takes it. */
  private edgePadding(): number[] {
    return this.kernelSize
      .map((kernel, i): [number, number] => {
        if (this.padding === "valid") return [0, 0];
        if (this.padding !== "same") return [this.padding[i]!, this.padding[i]!];
        const total = this.dilation[i]! * (kernel - 1);
        return [Math.floor(total / 2), total - Math.floor(total / 2)];
      })
      .reverse()
      .flat();
  }
}

/** Convolution of [N, C, L]. */
export class Conv1d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
}

/** Convolution of [N, C, H, W]. */
export class Conv2d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
}

/** Convolution of [N, C, D, H, W]. */
export class Conv3d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }
}
