/**
 * Quantized linear layers with a fused activation. LeakyReLU and Tanh are fused before the one rounding at the end,
 * as PyTorch's onednn engine does. Source: torch/ao/nn/intrinsic/quantized/modules/linear_relu.py.
 */

import { quantizedLinearLeakyRelu, quantizedLinearTanh } from "../../../ops/quantized/linear-activation.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { LeakyReLU } from "../../activation.ts";
import type { AnyModule } from "../../module.ts";
import { requireQuantized } from "../../quantized/base.ts";
import { Linear } from "../../quantized/linear.ts";
import { fusedPart } from "../../quantized/observed.ts";
import type { FromFloatOptions } from "../../quantized/observed.ts";

/** relu(x W^T + b) with one rounding. */
export class LinearReLU extends Linear {
  override forward(x: Tensor): Tensor {
    return this.run(x, true);
  }
}

/** leakyRelu(x W^T + b) with one rounding. */
export class LinearLeakyReLU extends Linear {
  negativeSlope = 0.01;

  override forward(x: Tensor): Tensor {
    const options = { ...this.output, negativeSlope: this.negativeSlope };
    return quantizedLinearLeakyRelu(requireQuantized(this, x), this.weight, this.bias, options);
  }

  static override fromFloat(module: AnyModule, options: FromFloatOptions = {}): LinearLeakyReLU {
    const linear = super.fromFloat(module, options) as LinearLeakyReLU;
    linear.negativeSlope = (fusedPart(module, 1) as LeakyReLU).negativeSlope;
    return linear;
  }
}

/** tanh(x W^T + b) with one rounding. */
export class LinearTanh extends Linear {
  override forward(x: Tensor): Tensor {
    return quantizedLinearTanh(requireQuantized(this, x), this.weight, this.bias, this.output);
  }
}
