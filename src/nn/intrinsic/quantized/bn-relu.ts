/**
 * Quantized batch normalization fused with ReLU. Source: torch/ao/nn/intrinsic/quantized/modules/bn_relu.py.
 */

import type { Tensor } from "../../../tensor/tensor.ts";
import { BatchNorm2d, BatchNorm3d } from "../../quantized/batch-norm.ts";

/** relu(batchNorm(x)) of [N, C, H, W] with one rounding. */
export class BNReLU2d extends BatchNorm2d {
  override forward(x: Tensor): Tensor {
    return this.run(x, true);
  }
}

/** relu(batchNorm(x)) of [N, C, D, H, W] with one rounding. */
export class BNReLU3d extends BatchNorm3d {
  override forward(x: Tensor): Tensor {
    return this.run(x, true);
  }
}
