/**
 * Convolutions with a fake-quantized weight, for quantization-aware training.
 * Source: torch/ao/nn/qat/modules/conv.py.
 */

import type { PerAxis } from "../../ops/conv-geometry.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as float from "../conv.ts";
import type { ConvLayerOptions, ConvNd } from "../conv.ts";
import type { AnyModule, Module } from "../module.ts";
import { convOptionsOf } from "../quantized/conv.ts";
import { floatLayer } from "../quantized/observed.ts";
import { requireQConfig } from "./qconfig.ts";

export interface QatConvOptions extends ConvLayerOptions {
  /** A QConfig whose weight makes a fake-quantize module. */
  readonly qconfig: unknown;
}

type QatConvClass<C extends ConvNd> = new (
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options: QatConvOptions,
) => C;

/** A training convolution that shares the parameters of a float one. */
export function qatConvFromFloat<C extends ConvNd>(target: QatConvClass<C>, module: AnyModule): C {
  const conv = floatLayer(module) as ConvNd;
  const options = { ...convOptionsOf(conv), qconfig: module.qconfig };
  const qat = new target(conv.inChannels, conv.outChannels, conv.kernelSize, options);
  qat.weight = conv.weight;
  qat.bias = conv.bias;
  return qat;
}

/** Copies the parameters of a training convolution into a float one. */
export function copyToFloat<C extends ConvNd>(conv: C, from: ConvNd): C {
  conv.weight = new Parameter(from.weight.copy());
  conv.bias = from.bias && new Parameter(from.bias.copy());
  return conv.train(from.training);
}

/** Convolution of [N, C, L]. Not in eager mode's default table. */
export class Conv1d extends float.Conv1d {
  weightFakeQuant: Module;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: QatConvOptions) {
    super(inChannels, outChannels, kernelSize, options);
    this.qconfig = options.qconfig;
    this.weightFakeQuant = requireQConfig("qat.Conv1d", options.qconfig).weight();
  }

  override forward(x: Tensor): Tensor {
    return this.convForward(x, this.weightFakeQuant.forward(this.weight), this.bias);
  }

  static fromFloat(module: AnyModule): Conv1d {
    return qatConvFromFloat(this, module);
  }

  toFloat(): float.Conv1d {
    return copyToFloat(new float.Conv1d(this.inChannels, this.outChannels, this.kernelSize, convOptionsOf(this)), this);
  }
}

/** Convolution of [N, C, H, W]. */
export class Conv2d extends float.Conv2d {
  weightFakeQuant: Module;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: QatConvOptions) {
    super(inChannels, outChannels, kernelSize, options);
    this.qconfig = options.qconfig;
    this.weightFakeQuant = requireQConfig("qat.Conv2d", options.qconfig).weight();
  }

  override forward(x: Tensor): Tensor {
    return this.convForward(x, this.weightFakeQuant.forward(this.weight), this.bias);
  }

  static fromFloat(module: AnyModule): Conv2d {
    return qatConvFromFloat(this, module);
  }

  toFloat(): float.Conv2d {
    return copyToFloat(new float.Conv2d(this.inChannels, this.outChannels, this.kernelSize, convOptionsOf(this)), this);
  }
}

/** Convolution of [N, C, D, H, W]. */
export class Conv3d extends float.Conv3d {
  weightFakeQuant: Module;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: QatConvOptions) {
    super(inChannels, outChannels, kernelSize, options);
    this.qconfig = options.qconfig;
    this.weightFakeQuant = requireQConfig("qat.Conv3d", options.qconfig).weight();
  }

  override forward(x: Tensor): Tensor {
    return this.convForward(x, this.weightFakeQuant.forward(this.weight), this.bias);
  }

  static fromFloat(module: AnyModule): Conv3d {
    return qatConvFromFloat(this, module);
  }

  toFloat(): float.Conv3d {
    return copyToFloat(new float.Conv3d(this.inChannels, this.outChannels, this.kernelSize, convOptionsOf(this)), this);
  }
}
