/**
 * Transposed convolution layers; weight [inChannels, outChannels / groups, ...kernelSize].
 */

import { ArgumentError } from "../errors.ts";
import { convTranspose1d, convTranspose2d, convTranspose3d, resolveConvTranspose } from "../ops/conv-transpose.ts";
import type { ConvTransposeOptions } from "../ops/conv-transpose.ts";
import { convTransposeOutputSize, perAxis } from "../ops/conv-geometry.ts";
import type { PerAxis, SpatialRank } from "../ops/conv-geometry.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";
import { fanInParameters } from "./parameters.ts";

export interface ConvTransposeLayerOptions extends ConvTransposeOptions {
  readonly bias?: boolean;
}

const transposed = { 1: convTranspose1d, 2: convTranspose2d, 3: convTranspose3d };

/** What the three transposed convolution layers share. */
export abstract class ConvTransposeNd extends Module<[x: Tensor, outputSize?: readonly number[]]> {
  readonly spatialRank: SpatialRank;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    rank: SpatialRank,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvTransposeLayerOptions,
  ) {
    super();
    const where = `ConvTranspose${rank}d`;
    const { groups = 1, bias = true } = options;
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
    const attrs = resolveConvTranspose(where, options, rank);
    this.stride = attrs.stride;
    this.padding = attrs.padding;
    this.outputPadding = attrs.outputPadding;
    this.dilation = attrs.dilation;
    this.groups = groups;
    const initial = fanInParameters([inChannels, outChannels / groups, ...this.kernelSize], bias ? outChannels : null);
    this.weight = initial.weight;
    this.bias = initial.bias;
  }

  /** @param outputSize the spatial size wanted, one of those the stride allows, instead of `outputPadding`. */
  forward(x: Tensor, outputSize?: readonly number[]): Tensor {
    return this.convForward(x, this.weight, this.bias, outputSize);
  }

  /** The layer with another weight and bias: what quantization-aware layers call. */
  convForward(x: Tensor, weight: Tensor, bias: Tensor | null, outputSize?: readonly number[]): Tensor {
    const { stride, padding, dilation, groups } = this;
    const outputPadding = outputSize ? this.paddingFor(x, outputSize) : this.outputPadding;
    return transposed[this.spatialRank](x, weight, bias, { stride, padding, outputPadding, dilation, groups });
  }

  private paddingFor(x: Tensor, outputSize: readonly number[]): readonly number[] {
    const spatial = x.shape.slice(-this.spatialRank);
    const wanted = outputSize.slice(-this.spatialRank);
    const least = spatial.map((size, i) =>
      convTransposeOutputSize(size, this.kernelSize[i]!, { ...this, outputPadding: spatial.map(() => 0) }, i),
    );
    if (wanted.some((size, i) => size < least[i]! || size >= least[i]! + this.stride[i]!)) {
      throw new ArgumentError(
        this.constructor.name,
        { outputSize: wanted, least, stride: this.stride },
        "outputSize must be at least the smallest size and less than a stride above it",
      );
    }
    return wanted.map((size, i) => size - least[i]!);
  }
}

/** Transposed convolution of [N, C, L]. */
export class ConvTranspose1d extends ConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
}

/** Transposed convolution of [N, C, H, W]. */
export class ConvTranspose2d extends ConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
}

/** Transposed convolution of [N, C, D, H, W]. */
export class ConvTranspose3d extends ConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }
}
