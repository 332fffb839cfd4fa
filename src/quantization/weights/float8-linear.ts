/**
 * The linear layer with 8-bit float weights that `quantizeModel` puts in place of a float one.
 *
 *     y = ((X8 W8^T) s_x) s_w + b,   X8 = round8(x / s_x),   s_x = amax(x) / largest 8-bit float
 *
 * Products of 8-bit floats are exact in float64, which they are summed in. Source: torchao's Float8Tensor.
 */

import type { Linear } from "../../nn/linear.ts";
import { Module } from "../../nn/module.ts";
import { add, mul } from "../../ops/arithmetic.ts";
import { clamp } from "../../ops/clamp.ts";
import { linear } from "../../ops/linear.ts";
import { chooseScaleFloat8, dequantizeFloat8, quantizeFloat8 } from "../../ops/quantize/float8.ts";
import type { Float8DType } from "../../ops/quantize/float8.ts";
import { reshape } from "../../ops/shape.ts";
import { cast } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Granularity } from "./granularity.ts";

/** How activations become 8-bit floats; null: they do not. */
export interface Float8Activation {
  readonly dtype: Float8DType;
  readonly granularity: Granularity;
  /** A scale calibrated elsewhere; null: chosen from the values. */
  readonly scale: Tensor | null;
  readonly valueLb?: number | null;
  readonly valueUb?: number | null;
}

/** A tensor as 8-bit floats with a scale a block. */
interface Float8Blocks {
  readonly qdata: Tensor;
  readonly scale: Tensor;
  readonly blockSize: readonly number[];
}

function blocksOf(x: Tensor, dtype: Float8DType, granularity: Granularity): Float8Blocks {
  return noGrad(() => {
    const blockSize = granularity.blockSize(x.shape);
    const scale = chooseScaleFloat8(x, blockSize, dtype);
    return { qdata: quantizeFloat8(x, scale, blockSize, dtype), scale, blockSize };
  });
}

function activationBlocks(x: Tensor, { dtype, granularity, scale, valueLb, valueUb }: Float8Activation): Float8Blocks {
  const blockSize = granularity.blockSize(x.shape);
  const { max } = dtypeInfo[dtype];
  const limit = (bound: number | null | undefined): number | null => (bound == null ? null : bound / max);
  const [lb, ub] = [limit(valueLb), limit(valueUb)];
  return noGrad(() => {
    let own = scale ?? chooseScaleFloat8(x, blockSize, dtype);
    if (!scale && (lb !== null || ub !== null)) own = clamp(own, lb, ub);
    const size = scale ? x.shape : blockSize;
    return { qdata: quantizeFloat8(x, own, size, dtype), scale: own, blockSize: size };
  });
}

/** x rounded to 8-bit floats a row at a time. */
export function roundRowsToFloat8(x: Tensor, granularity: Granularity): Tensor {
  const { qdata, scale, blockSize } = blocksOf(x, "float8_e4m3fn", granularity);
  return dequantizeFloat8(qdata, scale, blockSize);
}

/** State: qdata [out, in] 8-bit floats, scale [out] or [1], bias. */
export class Float8Linear extends Module {
  qdata: Tensor;
  scale: Tensor;
  bias: Tensor | null;
  readonly blockSize: readonly number[];
  readonly activation: Float8Activation | null;

  constructor({ qdata, scale, blockSize }: Float8Blocks, bias: Tensor | null, activation: Float8Activation | null) {
    super();
    this.qdata = qdata;
    this.scale = reshape(scale, [-1]);
    this.blockSize = blockSize;
    this.bias = bias;
    this.activation = activation && Object.freeze(activation);
  }

  static fromFloat(
    module: Linear,
    weight: { readonly dtype: Float8DType; readonly granularity: Granularity },
    activation: Float8Activation | null,
  ): Float8Linear {
    const blocks = blocksOf(module.weight.detach(), weight.dtype, weight.granularity);
    return new Float8Linear(blocks, module.bias && module.bias.detach(), activation).train(module.training);
  }

  /** The float weight that the 8-bit floats stand for. */
  dequantizedWeight(): Tensor {
    return dequantizeFloat8(this.qdata, this.scale, this.blockSize);
  }

  /** x [..., in] to [..., out]. */
  forward(x: Tensor): Tensor {
    const { activation } = this;
    if (!activation) return linear(x, this.dequantizedWeight(), this.bias);
    const [outputs, inputs] = this.qdata.shape as [number, number];
    const rows = reshape(x, [-1, inputs]);
    const q = activationBlocks(rows, activation);
    const sums = cast(linear(cast(q.qdata, "float64"), cast(this.qdata, "float64"), null), "float32");
    const scaled = mul(mul(sums, reshape(q.scale, [q.scale.numel, 1])), this.scale);
    const biased = this.bias ? add(scaled, this.bias) : scaled;
    return reshape(biased, [...x.shape.slice(0, -1), outputs]);
  }
}
