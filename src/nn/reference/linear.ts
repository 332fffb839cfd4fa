/**
 * Reference linear layer: float computation with the weight integers will have.
 * Source: torch/ao/nn/quantized/reference/modules/linear.py.
 */

import { linear } from "../../ops/linear.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as float from "../linear.ts";
import type { LinearOptions } from "../linear.ts";
import { withRoundedWeight } from "./rounded-weight.ts";
import { observeWeightQParams } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

/** x W^T + b with W rounded to its integers and back. */
export class Linear extends withRoundedWeight(float.Linear) {
  constructor(inFeatures: number, outFeatures: number, options: LinearOptions, weightQParams: WeightQParams) {
    super(inFeatures, outFeatures, options);
    this.weightQParams = weightQParams;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.getWeight(), this.bias);
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
