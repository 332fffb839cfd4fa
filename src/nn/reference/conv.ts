/**
 * Reference convolutions: float computation with the weight integers will have.
 * Source: torch/ao/nn/quantized/reference/modules/conv.py.
 */

import type { PerAxis, SpatialRank } from "../../ops/conv-geometry.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ConvNd } from "../conv.ts";
import type { ConvLayerOptions } from "../conv.ts";
import { convOptionsOf } from "../quantized/conv.ts";
import { withRoundedWeight } from "./rounded-weight.ts";
import { observeWeightQParams } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

type Arguments = readonly [
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options: ConvLayerOptions,
  weightQParams: WeightQParams,
];

function fromFloat<C extends ReferenceConv>(target: new (...args: Arguments) => C, module: ConvNd): C {
  const { inChannels, outChannels, kernelSize } = module;
  const qparams = observeWeightQParams(module, module.weight);
  const conv = new target(inChannels, outChannels, kernelSize, convOptionsOf(module), qparams);
  conv.weight = module.weight;
  conv.bias = module.bias;
  return conv;
}

/** What the three share: a float convolution and the parameters of its weight's integers. */
abstract class ReferenceConv extends withRoundedWeight(ConvNd) {
  constructor(rank: SpatialRank, [inChannels, outChannels, kernelSize, options, weightQParams]: Arguments) {
    super(rank, inChannels, outChannels, kernelSize, options);
    this.weightQParams = weightQParams;
  }

  override forward(x: Tensor): Tensor {
    return this.convForward(x, this.getWeight(), this.bias);
  }
}

/** Convolution of [N, C, L]. */
export class Conv1d extends ReferenceConv {
  constructor(...args: Arguments) {
    super(1, args);
  }

  static fromFloat(module: ConvNd): Conv1d {
    return fromFloat(Conv1d, module);
  }
}

/** Convolution of [N, C, H, W]. */
export class Conv2d extends ReferenceConv {
  constructor(...args: Arguments) {
    super(2, args);
  }

  static fromFloat(module: ConvNd): Conv2d {
    return fromFloat(Conv2d, module);
  }
}

/** Convolution of [N, C, D, H, W]. */
export class Conv3d extends ReferenceConv {
  constructor(...args: Arguments) {
    super(3, args);
  }

  static fromFloat(module: ConvNd): Conv3d {
    return fromFloat(Conv3d, module);
  }
}
