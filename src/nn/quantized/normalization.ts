/**
 * Quantized layer, group and instance normalization. State: weight, bias, scale, zero_point.
 * Source: torch/ao/nn/quantized/modules/normalization.py.
 */

import { quantizedGroupNorm, quantizedInstanceNorm, quantizedLayerNorm } from "../../ops/quantized/norms.ts";
import { ones, zeros } from "../../tensor/create.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { InstanceNorm } from "../instance-norm.ts";
import type * as float from "../norm.ts";
import { QuantizedOutputModule, requireQuantized, takeTensor } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { applyOutput } from "./observed.ts";
import type { FromFloatOptions } from "./observed.ts";

/** What they share: optional float weight and bias, and eps. */
abstract class QuantizedNorm extends QuantizedOutputModule {
  readonly eps: number;
  weight: Tensor | null;
  bias: Tensor | null;

  constructor(shape: Shape | null, eps: number) {
    super();
    this.eps = eps;
    this.weight = shape && ones(shape);
    this.bias = shape && zeros(shape);
  }

  protected get normOptions() {
    return { ...this.output, weight: this.weight, bias: this.bias, eps: this.eps };
  }

  override extraState(): StateEntries {
    return {
      ...(this.weight && { weight: this.weight }),
      ...(this.bias && { bias: this.bias }),
      ...super.extraState(),
    };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    if (this.weight) this.weight = takeTensor(this, state, "weight", this.weight);
    if (this.bias) this.bias = takeTensor(this, state, "bias", this.bias);
    return [...(this.weight ? ["weight"] : []), ...(this.bias ? ["bias"] : []), ...super.loadExtraState(state)];
  }

  /** Copies the affine parameters of a float layer. */
  takeAffine<M extends QuantizedNorm>(this: M, layer: { weight: Tensor | null; bias: Tensor | null }): M {
    this.weight = layer.weight && layer.weight.copy();
    this.bias = layer.bias && layer.bias.copy();
    return this;
  }
}

export class LayerNorm extends QuantizedNorm {
  readonly normalizedShape: Shape;

  constructor(
    normalizedShape: number | Shape,
    options: { readonly eps?: number; readonly elementwiseAffine?: boolean } = {},
  ) {
    const { eps = 1e-5, elementwiseAffine = true } = options;
    const shape = typeof normalizedShape === "number" ? [normalizedShape] : [...normalizedShape];
    super(elementwiseAffine ? shape : null, eps);
    this.normalizedShape = shape;
  }

  forward(x: Tensor): Tensor {
    return quantizedLayerNorm(requireQuantized(this, x), this.normalizedShape, this.normOptions);
  }

  static fromFloat(module: float.LayerNorm, options: FromFloatOptions = {}): LayerNorm {
    const norm = new LayerNorm(module.normalizedShape, { eps: module.eps });
    return applyOutput(norm.takeAffine(module), module, options);
  }
}

export class GroupNorm extends QuantizedNorm {
  readonly numGroups: number;
  readonly numChannels: number;

  constructor(
    numGroups: number,
    numChannels: number,
    options: { readonly eps?: number; readonly affine?: boolean } = {},
  ) {
    const { eps = 1e-5, affine = true } = options;
    super(affine ? [numChannels] : null, eps);
    this.numGroups = numGroups;
    this.numChannels = numChannels;
  }

  forward(x: Tensor): Tensor {
    return quantizedGroupNorm(requireQuantized(this, x), this.numGroups, this.normOptions);
  }

  static fromFloat(module: float.GroupNorm, options: FromFloatOptions = {}): GroupNorm {
    const norm = new GroupNorm(module.numGroups, module.numChannels, { eps: module.eps });
    return applyOutput(norm.takeAffine(module), module, options);
  }
}

abstract class QuantizedInstanceNorm extends QuantizedNorm {
  readonly numFeatures: number;

  constructor(numFeatures: number, options: { readonly eps?: number; readonly affine?: boolean } = {}) {
    const { eps = 1e-5, affine = false } = options;
    super(affine ? [numFeatures] : null, eps);
    this.numFeatures = numFeatures;
  }

  forward(x: Tensor): Tensor {
    return quantizedInstanceNorm(requireQuantized(this, x), this.normOptions);
  }
}

/** Quantized instance normalization of [N, C, L]. */
export class InstanceNorm1d extends QuantizedInstanceNorm {
  static fromFloat(module: InstanceNorm, options: FromFloatOptions = {}): InstanceNorm1d {
    const norm = new InstanceNorm1d(module.numFeatures, { eps: module.eps, affine: module.affine });
    return applyOutput(norm.takeAffine(module), module, options);
  }
}

/** Quantized instance normalization of [N, C, H, W]. */
export class InstanceNorm2d extends QuantizedInstanceNorm {
  static fromFloat(module: InstanceNorm, options: FromFloatOptions = {}): InstanceNorm2d {
    const norm = new InstanceNorm2d(module.numFeatures, { eps: module.eps, affine: module.affine });
    return applyOutput(norm.takeAffine(module), module, options);
  }
}

/** Quantized instance normalization of [N, C, D, H, W]. */
export class InstanceNorm3d extends QuantizedInstanceNorm {
  static fromFloat(module: InstanceNorm, options: FromFloatOptions = {}): InstanceNorm3d {
    const norm = new InstanceNorm3d(module.numFeatures, { eps: module.eps, affine: module.affine });
    return applyOutput(norm.takeAffine(module), module, options);
  }
}
