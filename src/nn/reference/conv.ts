/**
 * Reference convolutions: float computation with the weight integers will have.
 * Source: torch/ao/nn/quantized/reference/modules/conv.py.
 */

import type { PerAxis } from "../../ops/conv-geometry.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as float from "../conv.ts";
import type { ConvLayerOptions, ConvNd } from "../conv.ts";
import { convOptionsOf } from "../quantized/conv.ts";
import { loadQParams, observeWeightQParams, qparamsState, quantizeBy, roundBy } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

type ReferenceClass<C> = new (
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options: ConvLayerOptions,
  weightQParams: WeightQParams,
) => C;

function fromFloat<C extends ConvNd>(target: ReferenceClass<C>, module: ConvNd): C {
  const { inChannels, outChannels, kernelSize } = module;
  const qparams = observeWeightQParams(module, module.weight);
  const conv = new target(inChannels, outChannels, kernelSize, convOptionsOf(module), qparams);
  conv.weight = module.weight;
  conv.bias = module.bias;
  return conv;
}

/** Convolution of [N, C, L]. */
export class Conv1d extends float.Conv1d {
  weightQParams: WeightQParams;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvLayerOptions,
    weightQParams: WeightQParams,
  ) {
    super(inChannels, outChannels, kernelSize, options);
    this.weightQParams = weightQParams;
  }

  override forward(x: Tensor): Tensor {
    return this.convForward(x, this.getWeight(), this.bias);
  }

  /** The weight rounded to its integers and back. */
  getWeight(): Tensor {
    return roundBy(this.weight, this.weightQParams);
  }

  getQuantizedWeight(): Tensor {
    return quantizeBy(this.weight.detach(), this.weightQParams);
  }

  override extraState(): Record<string, Tensor> {
    return qparamsState("weight", this.weightQParams);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weightQParams = loadQParams("weight", this.weightQParams, state);
    return Object.keys(this.extraState());
  }

  static fromFloat(module: float.Conv1d): Conv1d {
    return fromFloat(Conv1d, module);
  }
}

/** Convolution of [N, C, H, W]. */
export class Conv2d extends float.Conv2d {
  weightQParams: WeightQParams;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvLayerOptions,
    weightQParams: WeightQParams,
  ) {
    super(inChannels, outChannels, kernelSize, options);
    this.weightQParams = weightQParams;
  }

  override forward(x: Tensor): Tensor {
    return this.convForward(x, this.getWeight(), this.bias);
  }

  /** The weight rounded to its integers and back. */
  getWeight(): Tensor {
    return roundBy(this.weight, this.weightQParams);
  }

  getQuantizedWeight(): Tensor {
    return quantizeBy(this.weight.detach(), this.weightQParams);
  }

  override extraState(): Record<string, Tensor> {
    return qparamsState("weight", this.weightQParams);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weightQParams = loadQParams("weight", this.weightQParams, state);
    return Object.keys(this.extraState());
  }

  static fromFloat(module: float.Conv2d): Conv2d {
    return fromFloat(Conv2d, module);
  }
}

/** Convolution of [N, C, D, H, W]. */
export class Conv3d extends float.Conv3d {
  weightQParams: WeightQParams;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvLayerOptions,
    weightQParams: WeightQParams,
  ) {
    super(inChannels, outChannels, kernelSize, options);
    this.weightQParams = weightQParams;
  }

  override forward(x: Tensor): Tensor {
    return this.convForward(x, this.getWeight(), this.bias);
  }

  /** The weight rounded to its integers and back. */
  getWeight(): Tensor {
    return roundBy(this.weight, this.weightQParams);
  }

  getQuantizedWeight(): Tensor {
    return quantizeBy(this.weight.detach(), this.weightQParams);
  }

  override extraState(): Record<string, Tensor> {
    return qparamsState("weight", this.weightQParams);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weightQParams = loadQParams("weight", this.weightQParams, state);
    return Object.keys(this.extraState());
  }

  static fromFloat(module: float.Conv3d): Conv3d {
    return fromFloat(Conv3d, module);
  }
}
