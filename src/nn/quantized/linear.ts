/**
 * Quantized fully connected layer. State: scale, zero_point and PyTorch's packed pair, flattened by position to
 * `_packed_params._packed_params.0` (weight, qint8) and `.1` (bias, absent when there is none).
 * Source: torch/ao/nn/quantized/modules/linear.py.
 */

import { quantizedLinear } from "../../ops/quantized/linear.ts";
import { zeros } from "../../tensor/create.ts";
import { allocate } from "../../tensor/dtype.ts";
import { perTensor } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { AnyModule } from "../module.ts";
import { QuantizedOutputModule, requireQuantized, takeTensor } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { applyOutput, observedWeight, weightedLayer } from "./observed.ts";
import type { FromFloatOptions, LinearLike } from "./observed.ts";

/** An all-zero qint8 weight: what a layer holds until it is loaded. */
export function emptyWeight(shape: readonly number[]): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  return new Tensor("qint8", shape, allocate("qint8", length), perTensor(1, 0));
}

/** Keys of a packed weight and bias. */
export const PACKED_WEIGHT = "_packed_params._packed_params.0";
export const PACKED_BIAS = "_packed_params._packed_params.1";

/** Entries of a packed pair. */
export function packedState(weight: Tensor, bias: Tensor | null): StateEntries {
  return { [PACKED_WEIGHT]: weight, ...(bias && { [PACKED_BIAS]: bias }) };
}

export class Linear extends QuantizedOutputModule {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** qint8 [outFeatures, inFeatures] */
  weight: Tensor;
  bias: Tensor | null;

  constructor(inFeatures: number, outFeatures: number, { bias = true }: { readonly bias?: boolean } = {}) {
    super();
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = emptyWeight([outFeatures, inFeatures]);
    this.bias = bias ? zeros([outFeatures]) : null;
  }

  forward(x: Tensor): Tensor {
    return this.run(x, false);
  }

  protected run(x: Tensor, relu: boolean): Tensor {
    const options = { ...this.output, relu, engine: this.engine };
    return quantizedLinear(requireQuantized(this, x), this.weight, this.bias, options);
  }

  override extraState(): StateEntries {
    return { ...super.extraState(), ...packedState(this.weight, this.bias) };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weight = takeTensor(this, state, PACKED_WEIGHT, this.weight);
    if (this.bias) this.bias = takeTensor(this, state, PACKED_BIAS, this.bias);
    return [...super.loadExtraState(state), PACKED_WEIGHT, ...(this.bias ? [PACKED_BIAS] : [])];
  }

  /** From an observed Linear, or one trained with fake quantization. @throws QuantError */
  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Linear {
    const layer = weightedLayer<LinearLike>(module);
    const linear = new this(layer.inFeatures, layer.outFeatures, { bias: layer.bias !== null });
    linear.weight = observedWeight(module, layer, options);
    linear.bias = layer.bias && layer.bias.copy();
    return applyOutput(linear, module, options);
  }

  /** From a reference Linear and the parameters of its output. */
  static fromReference(
    reference: LinearLike & { getQuantizedWeight(): Tensor },
    scale: number,
    zeroPoint: number,
  ): Linear {
    const linear = new this(reference.inFeatures, reference.outFeatures, { bias: reference.bias !== null });
    linear.weight = reference.getQuantizedWeight();
    linear.bias = reference.bias && reference.bias.copy();
    linear.scale = scale;
    linear.zeroPoint = zeroPoint;
    return linear;
  }
}
