/**
 * Quantized convolutions fused with ReLU, with the sum of a residual block, or with both.
 * Source: torch/ao/nn/intrinsic/quantized/modules/{conv_relu,conv_add}.py.
 */

import { quantizedConvAdd2d } from "../../../ops/quantized/conv.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import { requireQuantized } from "../../quantized/base.ts";
import { Conv1d, Conv2d, Conv3d } from "../../quantized/conv.ts";

/** relu(conv(x)) of [N, C, L] with one rounding. */
export class ConvReLU1d extends Conv1d {
  override forward(x: Tensor): Tensor {
    return this.run(x, true);
  }
}

/** relu(conv(x)) of [N, C, H, W] with one rounding. */
export class ConvReLU2d extends Conv2d {
  override forward(x: Tensor): Tensor {
    return this.run(x, true);
  }
}

/** relu(conv(x)) of [N, C, D, H, W] with one rounding. */
export class ConvReLU3d extends Conv3d {
  override forward(x: Tensor): Tensor {
    return this.run(x, true);
  }
}

/** conv(x) + other with one rounding. */
export class ConvAdd2d extends Conv2d {
  override forward(x: Tensor, other?: Tensor): Tensor {
    return this.addTo(x, other, false);
  }

  protected addTo(x: Tensor, other: Tensor | undefined, relu: boolean): Tensor {
    const summand = requireQuantized(this, other ?? x);
    const input = this.padded(requireQuantized(this, x));
    return quantizedConvAdd2d(input, this.weight, this.bias, summand, this.convOptions(relu));
  }
}

/** relu(conv(x) + other) with one rounding. */
export class ConvAddReLU2d extends ConvAdd2d {
  override forward(x: Tensor, other?: Tensor): Tensor {
    return this.addTo(x, other, true);
  }
}
