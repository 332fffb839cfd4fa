/**
 * Reference linear layer: float computation with the weight integers will have.
 * Source: torch/ao/nn/quantized/reference/modules/linear.py.
 */

import { linear } from "../../ops/linear.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as float from "../linear.ts";
import type { LinearOptions } from "../linear.ts";
import { loadQParams, observeWeightQParams, qparamsState, quantizeBy, roundBy } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

/** x W^T + b with W rounded to its integers and back. */
export class Linear extends float.Linear {
  weightQParams: WeightQParams;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions, weightQParams: WeightQParams) {
    super(inFeatures, outFeatures, options);
    this.weightQParams = weightQParams;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.getWeight(), this.bias);
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

  static fromFloat(module: float.Linear): Linear {
    const options = { bias: module.bias !== null };
    const layer = new Linear(
      module.inFeatures,
      module.outFeatures,
      options,
      observeWeightQParams(module, module.weight),
    );
    layer.weight = module.weight;
    layer.bias = module.bias;
    return layer;
  }
}
