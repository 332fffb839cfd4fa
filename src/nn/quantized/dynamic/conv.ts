/**
 * Dynamically quantized convolutions. Not in the default tables, because their accuracy is poor compared with other
 * dynamic layers. State: weight, bias. Source: torch/ao/nn/quantized/dynamic/modules/conv.py.
 */

import { convDynamic } from "../../../ops/quantized/dynamic.ts";
import type { PerAxis } from "../../../ops/conv-geometry.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { ConvLayerOptions } from "../../conv.ts";
import type { AnyModule } from "../../module.ts";
import type { StateEntries } from "../base.ts";
import { QuantizedConvNd, convOptionsOf } from "../conv.ts";
import { observedWeight, weightedLayer } from "../observed.ts";
import type { ConvLike, FromFloatOptions } from "../observed.ts";
import { takeWeightBias, weightBiasState } from "../base.ts";

/** What the three layers share. */
abstract class DynamicConvNd extends QuantizedConvNd {
  override forward(x: Tensor): Tensor {
    const { stride, padding, dilation, groups, engine } = this;
    return convDynamic(this.spatialRank, this.padded(x), this.weight, this.bias, {
      stride,
      padding,
      dilation,
      groups,
      engine,
    });
  }

  override extraState(): StateEntries {
    return weightBiasState(this);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    return takeWeightBias(this, state);
  }
}

type DynamicConvClass<C extends DynamicConvNd> = new (
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options: ConvLayerOptions,
) => C;

function fromFloat<C extends DynamicConvNd>(
  target: DynamicConvClass<C>,
  module: AnyModule,
  options: FromFloatOptions,
): C {
  const layer = weightedLayer<ConvLike>(module);
  const conv = new target(layer.inChannels, layer.outChannels, layer.kernelSize, convOptionsOf(layer));
  conv.weight = observedWeight(module, layer, options);
  conv.bias = layer.bias && layer.bias.copy();
  if (options.engine) conv.engine = options.engine;
  return conv;
}

/** Dynamically quantized convolution of [N, C, L]. */
export class Conv1d extends DynamicConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Conv1d {
    return fromFloat(this, module, options);
  }
}

/** Dynamically quantized convolution of [N, C, H, W]. */
export class Conv2d extends DynamicConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Conv2d {
    return fromFloat(this, module, options);
  }
}

/** Dynamically quantized convolution of [N, C, D, H, W]. */
export class Conv3d extends DynamicConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Conv3d {
    return fromFloat(this, module, options);
  }
}
