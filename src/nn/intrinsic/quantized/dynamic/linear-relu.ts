/**
 * Dynamically quantized linear layer fused with ReLU.
 * Source: torch/ao/nn/intrinsic/quantized/dynamic/modules/linear_relu.py.
 */

import type { Tensor } from "../../../../tensor/tensor.ts";
import { Linear } from "../../../quantized/dynamic/linear.ts";

/** relu(x W^T + b), the activation quantized by its own range. */
export class LinearReLU extends Linear {
  override forward(x: Tensor): Tensor {
    return this.run(x, true);
  }
}
