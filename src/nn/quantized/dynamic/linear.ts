/**
 * Dynamically quantized linear layer: float in and out, the activation quantized by its own range at every call.
 *
 * dtype qint8 multiplies integers; float16 only stores the weight rounded to 16 bits. State: the packed pair of
 * quantized Linear, and its output parameters, which are 1 and 0 and mean nothing. Source: torch/ao/nn/quantized/dynamic/modules/linear.py.
 */

import { QuantError } from "../../../errors.ts";
import { linearDynamic, linearDynamicFp16 } from "../../../ops/quantized/dynamic.ts";
import { cast } from "../../../ops/unary.ts";
import { zeros } from "../../../tensor/create.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { AnyModule } from "../../module.ts";
import { QuantizedModule, describe, outputState, takeTensor } from "../base.ts";
import type { StateEntries } from "../base.ts";
import { PACKED_BIAS, PACKED_WEIGHT, emptyWeight, packedState } from "../linear.ts";
import { dynamicWeight, weightedLayer } from "../observed.ts";
import type { FromFloatOptions, LinearLike } from "../observed.ts";

export type DynamicDType = "qint8" | "float16";

export class Linear extends QuantizedModule {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly dtype: DynamicDType;
  /** qint8 or, for float16, float32 of 16-bit values; [outFeatures, inFeatures]. */
  weight: Tensor;
  bias: Tensor | null;

  constructor(
    inFeatures: number,
    outFeatures: number,
    { bias = true, dtype = "qint8" }: { readonly bias?: boolean; readonly dtype?: DynamicDType } = {},
  ) {
    super();
    const shape = [outFeatures, inFeatures];
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.dtype = dtype;
    this.weight = dtype === "qint8" ? emptyWeight(shape) : zeros(shape);
    this.bias = bias ? zeros([outFeatures]) : null;
  }

  /** @throws QuantError for a quantized tensor. */
  forward(x: Tensor): Tensor {
    return this.run(x, false);
  }

  protected run(x: Tensor, relu: boolean): Tensor {
    if (x.isQuantized) {
      throw new QuantError(
        describe(this),
        { dtype: x.dtype, shape: x.shape },
        "a dynamic layer takes float tensors",
        "Put a DeQuantStub before it, or quantize this layer statically",
      );
    }
    const { weight, bias, engine } = this;
    if (this.dtype === "float16") return linearDynamicFp16(x, weight, bias, { relu });
    return linearDynamic(x, weight, bias, { relu, engine });
  }

  override extraState(): StateEntries {
    return { ...outputState(1, 0), ...packedState(this.weight, this.bias) };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weight = takeTensor(this, state, PACKED_WEIGHT, this.weight);
    if (this.bias) this.bias = takeTensor(this, state, PACKED_BIAS, this.bias);
    return Object.keys(this.extraState());
  }

  /** From a float Linear with a dynamic qconfig, or one trained with dynamic fake quantization. @throws QuantError */
  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Linear {
    const layer = weightedLayer<LinearLike>(module);
    const { weight, dtype } = dynamicWeight(module, layer, options);
    const linear = new this(layer.inFeatures, layer.outFeatures, { bias: layer.bias !== null, dtype });
    linear.weight = dtype === "float16" ? cast(cast(weight, "float16"), "float32") : weight;
    linear.bias = layer.bias && layer.bias.copy();
    if (options.engine) linear.engine = options.engine;
    return linear;
  }
}
