/**
 * Fully connected layers, and the layers that only rearrange: Identity, Flatten, Unflatten.
 */

import { bilinear, linear } from "../ops/linear.ts";
import { flatten, unflatten } from "../ops/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";
import { fanInParameters, uniformParameter } from "./parameters.ts";

export interface LinearOptions {
  readonly bias?: boolean;
}

/** y = x W^T + b over the last axis; weight [outFeatures, inFeatures]. */
export class Linear extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, { bias = true }: LinearOptions = {}) {
    super();
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    const initial = fanInParameters([outFeatures, inFeatures], bias ? outFeatures : null);
    this.weight = initial.weight;
    this.bias = initial.bias;
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

/**
 * A Linear that dynamic quantization leaves alone: the output projection inside MultiheadAttention, whose weight
 * is used without calling the layer.
 */
export class NonDynamicallyQuantizableLinear extends Linear {}

/** y[o] = x1^T W[o] x2 + b[o]; weight [outFeatures, in1Features, in2Features]. */
export class Bilinear extends Module<[Tensor, Tensor]> {
  readonly in1Features: number;
  readonly in2Features: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(in1Features: number, in2Features: number, outFeatures: number, { bias = true }: LinearOptions = {}) {
    super();
    this.in1Features = in1Features;
    this.in2Features = in2Features;
    this.outFeatures = outFeatures;
    const bound = 1 / Math.sqrt(in1Features);
    this.weight = uniformParameter([outFeatures, in1Features, in2Features], bound);
    this.bias = bias ? uniformParameter([outFeatures], bound) : null;
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return bilinear(x1, x2, this.weight, this.bias);
  }
}

/** Returns what it is given; stands where a layer was fused away. */
export class Identity extends Module {
  /** Left behind by a fusion: the path of the layer that does its work now. */
  declare fusedInto?: string;

  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Merges axes startDim..endDim. */
export class Flatten extends Module {
  readonly startDim: number;
  readonly endDim: number;

  constructor(startDim = 1, endDim = -1) {
    super();
    this.startDim = startDim;
    this.endDim = endDim;
  }

  forward(x: Tensor): Tensor {
    return flatten(x, this.startDim, this.endDim);
  }
}

/** Splits axis `dim` into several. */
export class Unflatten extends Module {
  readonly dim: number;
  readonly unflattenedSize: Shape;

  constructor(dim: number, unflattenedSize: Shape) {
    super();
    this.dim = dim;
    this.unflattenedSize = unflattenedSize;
  }

  forward(x: Tensor): Tensor {
    return unflatten(x, this.dim, this.unflattenedSize);
  }
}
