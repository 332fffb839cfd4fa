/**
 * The linear layer `quantizeModel` puts in place of a float one: integer weights, and activations as the config
 * says. Sources: torchao's Int8Tensor and IntxUnpackedToInt8Tensor, functional linear.
 */

import type { Linear } from "../../nn/linear.ts";
import { Module } from "../../nn/module.ts";
import { add, mul, sub } from "../../ops/arithmetic.ts";
import { linear } from "../../ops/linear.ts";
import { dequantizeAffine, quantizeAffine } from "../../ops/quantize/affine.ts";
import { EPS } from "../../ops/quantize/numerics.ts";
import type { MappingType, QuantRange } from "../../ops/quantize/numerics.ts";
import { sum } from "../../ops/reduce.ts";
import { reshape } from "../../ops/shape.ts";
import { cast } from "../../ops/unary.ts";
import { full } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { dequantizeWeight, intxRange, quantizeToAffine } from "./affine-weight.ts";
import type { AffineWeight } from "./affine-weight.ts";
import { roundRowsToFloat8 } from "./float8-linear.ts";
import { PerRow, PerToken } from "./granularity.ts";
import type { Granularity } from "./granularity.ts";

/** How activations reach the integers. */
export type Activation =
  | { readonly kind: "float" }
  /** Quantized and multiplied as integers. */
  | {
      readonly kind: "integer";
      readonly granularity: Granularity;
      readonly mappingType: MappingType;
      readonly range: QuantRange;
      readonly fixed: FixedScale | null;
    }
  /** Rounded to int8 a token at a time, then multiplied as floats. */
  | { readonly kind: "perToken" }
  /** Rounded to 8-bit floats a row at a time, then multiplied as floats. */
  | { readonly kind: "float8PerRow" };

export interface FixedScale {
  readonly scale: Tensor;
  readonly zeroPoint: Tensor | null;
}

const INT8 = intxRange("int8");

function quantizeActivation(x: Tensor, activation: Extract<Activation, { kind: "integer" }>): AffineWeight {
  const { fixed, granularity, mappingType, range } = activation;
  if (!fixed) return quantizeToAffine(x, { granularity, mappingType, range, eps: EPS });
  const blockSize = granularity.blockSize(x.shape);
  const zeroPoint = fixed.zeroPoint ?? full(fixed.scale.shape, 0, { dtype: "int8" });
  return {
    qdata: quantizeAffine(x, blockSize, fixed.scale, zeroPoint, "int8", range),
    scale: fixed.scale,
    zeroPoint,
    blockSize,
  };
}

/** [rows, 1] of a parameter that has one entry a row, or one in all. */
function perRow(parameter: Tensor): Tensor {
  return reshape(parameter, [parameter.numel, 1]);
}

/** State: qdata [out, in] int8, scale and zero_point in the shape of the blocks, bias. */
export class AffineQuantizedLinear extends Module {
  static override readonly stateNames = { zeroPoint: "zero_point" };
  qdata: Tensor;
  scale: Tensor;
  zeroPoint: Tensor;
  bias: Tensor | null;
  readonly blockSize: readonly number[];
  readonly activation: Activation;

  constructor(weight: AffineWeight, bias: Tensor | null, activation: Activation) {
    super();
    this.qdata = weight.qdata;
    this.scale = weight.scale;
    this.zeroPoint = weight.zeroPoint;
    this.blockSize = weight.blockSize;
    this.bias = bias;
    this.activation = Object.freeze(activation);
  }

  static fromFloat(module: Linear, weight: AffineWeight, activation: Activation): AffineQuantizedLinear {
    return new AffineQuantizedLinear(weight, module.bias && module.bias.detach(), activation).train(module.training);
  }

  get quantizedWeight(): AffineWeight {
    const { qdata, scale, zeroPoint, blockSize } = this;
    return { qdata, scale, zeroPoint, blockSize };
  }

  /** x [..., in] to [..., out]. */
  forward(x: Tensor): Tensor {
    const { activation } = this;
    if (activation.kind === "integer") return this.integerProduct(x, activation);
    return linear(this.read(x), dequantizeWeight(this.quantizedWeight), this.bias);
  }

  private read(x: Tensor): Tensor {
    const { kind } = this.activation;
    if (kind === "perToken") return roundPerToken(x);
    return kind === "float8PerRow" ? roundRowsToFloat8(x, new PerRow()) : x;
  }

  // y = ((X_int W_int^T) s_x - z_x s_x rowSum(W_int)) s_w + b, each step rounded to float32; the integer sums are exact.
  private integerProduct(x: Tensor, activation: Extract<Activation, { kind: "integer" }>): Tensor {
    const [outputs, inputs] = this.qdata.shape as [number, number];
    const rows = reshape(x, [-1, inputs]);
    const q = quantizeActivation(rows, activation);
    const scale = perRow(q.scale);
    const sums = cast(linear(cast(q.qdata, "float64"), cast(this.qdata, "float64"), null), "float32");
    let y = mul(sums, scale);
    if (activation.mappingType === "ASYMMETRIC") {
      const rowSums = cast(sum(cast(this.qdata, "float64"), 1), "float32");
      y = sub(y, mul(mul(cast(perRow(q.zeroPoint), "float32"), scale), rowSums));
    }
    const scaled = mul(y, reshape(this.scale, [-1]));
    const biased = this.bias ? add(scaled, this.bias) : scaled;
    return reshape(biased, [...x.shape.slice(0, -1), outputs]);
  }
}

/** x rounded to the int8 grid of each token, asymmetrically. */
export function roundPerToken(x: Tensor): Tensor {
  const { qdata, scale, zeroPoint, blockSize } = quantizeToAffine(x, {
    granularity: new PerToken(),
    mappingType: "ASYMMETRIC",
    range: INT8,
  });
  return dequantizeAffine(qdata, blockSize, scale, zeroPoint);
}
