/**
 * Training layers fused with ReLU and no batch normalization.
 * Source: torch/ao/nn/intrinsic/qat/modules/{conv_fused,linear_relu}.py.
 */

import { relu } from "../../../ops/activation-linear.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import * as float from "../fused.ts";
import { ReLU } from "../../activation.ts";
import { Conv1d, Conv2d, Conv3d } from "../../qat/conv.ts";
import { Linear } from "../../qat/linear.ts";

/** relu(linear(x)) with a fake-quantized weight. */
export class LinearReLU extends Linear {
  override forward(x: Tensor): Tensor {
    return relu(super.forward(x));
  }
}

/** relu(conv(x)) of [N, C, L]. Not in eager mode's default table. */
export class ConvReLU1d extends Conv1d {
  override forward(x: Tensor): Tensor {
    return relu(super.forward(x));
  }
}

/** relu(conv(x)) of [N, C, H, W]. */
export class ConvReLU2d extends Conv2d {
  override forward(x: Tensor): Tensor {
    return relu(super.forward(x));
  }
}

/** relu(conv(x)) of [N, C, D, H, W]. */
export class ConvReLU3d extends Conv3d {
  override forward(x: Tensor): Tensor {
    return relu(super.forward(x));
  }
}

/** The fused float module a training layer stands for. */
export function fusedToFloat(module: LinearReLU | ConvReLU1d | ConvReLU2d | ConvReLU3d): float.FusedModule {
  if (module instanceof LinearReLU) return new float.LinearReLU(module.toFloat(), new ReLU());
  if (module instanceof ConvReLU1d) return new float.ConvReLU1d(module.toFloat(), new ReLU());
  if (module instanceof ConvReLU2d) return new float.ConvReLU2d(module.toFloat(), new ReLU());
  return new float.ConvReLU3d(module.toFloat(), new ReLU());
}
