/**
 * Reference transposed convolutions: float computation with the weight integers will have.
 * Source: torch/ao/nn/quantized/reference/modules/conv.py.
 */

import type { PerAxis, SpatialRank } from "../../ops/conv-geometry.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ConvTransposeNd } from "../conv-transpose.ts";
import type { ConvTransposeLayerOptions } from "../conv-transpose.ts";
import { withRoundedWeight } from "./rounded-weight.ts";
import { observeWeightQParams } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

type Arguments = readonly [
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options: ConvTransposeLayerOptions,
  weightQParams: WeightQParams,
];

function fromFloat<C extends ReferenceConvTranspose>(
  target: new (...args: Arguments) => C,
  module: ConvTransposeNd,
): C {
  const { inChannels, outChannels, kernelSize, stride, padding, outputPadding, dilation, groups, bias } = module;
  const options = { stride, padding, outputPadding, dilation, groups, bias: bias !== null };
  const conv = new target(inChannels, outChannels, kernelSize, options, observeWeightQParams(module, module.weight));
  conv.weight = module.weight;
  conv.bias = bias;
  return conv;
}

/** What the three share: a float transposed convolution and the parameters of its weight's integers. */
abstract class ReferenceConvTranspose extends withRoundedWeight(ConvTransposeNd) {
  constructor(rank: SpatialRank, [inChannels, outChannels, kernelSize, options, weightQParams]: Arguments) {
    super(rank, inChannels, outChannels, kernelSize, options);
    this.weightQParams = weightQParams;
  }

  override forward(x: Tensor, outputSize?: readonly number[]): Tensor {
    return this.convForward(x, this.getWeight(), this.bias, outputSize);
  }
}

/** Transposed convolution of [N, C, L]. */
export class ConvTranspose1d extends ReferenceConvTranspose {
  constructor(...args: Arguments) {
    super(1, args);
  }

  static fromFloat(module: ConvTransposeNd): ConvTranspose1d {
    return fromFloat(ConvTranspose1d, module);
  }
}

/** Transposed convolution of [N, C, H, W]. */
export class ConvTranspose2d extends ReferenceConvTranspose {
  constructor(...args: Arguments) {
    super(2, args);
  }

  static fromFloat(module: ConvTransposeNd): ConvTranspose2d {
    return fromFloat(ConvTranspose2d, module);
  }
}

/** Transposed convolution of [N, C, D, H, W]. */
export class ConvTranspose3d extends ReferenceConvTranspose {
  constructor(...args: Arguments) {
    super(3, args);
  }

  static fromFloat(module: ConvTransposeNd): ConvTranspose3d {
    return fromFloat(ConvTranspose3d, module);
  }
}
