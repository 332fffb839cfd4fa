/**
 * Quantized fully connected layer: 8-bit activations and weights, exact integer sums, 8-bit result.
 *
 *     y = quantize(dequantize(x) dequantize(w)^T + b)      up to the rounding of the engine, see epilogue.ts
 *
 * Source: ATen/native/quantized/cpu/qlinear.cpp.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";
import { linearSums } from "./accumulate.ts";
import { NO_GRADIENT, quantizedType, requireByte } from "./common.ts";
import type { OutputQParams } from "./common.ts";
import { DEFAULT_ENGINE, checkEngine, linearRounding } from "./engines.ts";
import type { QEngine } from "./engines.ts";
import { biasOf, productScales, requantizeSums } from "./epilogue.ts";

export type WeightedInputs = readonly [x: Tensor, weight: Tensor, bias: Tensor | null];
type WeightedTypes = readonly [x: TensorType, weight: TensorType, bias: TensorType | null];

export type QuantizedLinearAttrs = OutputQParams & { readonly relu: boolean; readonly engine: QEngine };

/**
 * Checks a qint8 weight, per tensor or per channel of `axis`, and a bias: float32, or (`INTEGER_BIAS`) int32 in units of
 * sx * sw. @throws DtypeError, ShapeError
 */
export function requireWeight(
  where: string,
  weight: TensorType,
  bias: TensorType | null,
  channels: number,
  axis: number,
  biases: readonly DType[] = FLOAT_BIAS,
): void {
  const { dtype, qparams } = weight;
  if (dtype !== "qint8" || !qparams || qparams.kind === "perChannelFloat") {
    throw new DtypeError(
      where,
      { weight: dtype, qparams: qparams?.kind },
      "the weight must be qint8 with integer zero points",
    );
  }
  if (qparams.kind === "perChannel" && qparams.axis !== axis) {
    throw new DtypeError(
      where,
      { axis: qparams.axis, expected: axis },
      "the weight must be quantized along its output channels",
    );
  }
  if (!bias) return;
  if (!biases.includes(bias.dtype))
    throw new DtypeError(where, { bias: bias.dtype }, `the bias must be ${biases.join(" or ")}`);
  if (bias.shape.length !== 1 || bias.shape[0] !== channels) {
    throw new ShapeError(where, { bias: bias.shape, channels }, "the bias must have one element an output channel");
  }
}

const FLOAT_BIAS: readonly DType[] = ["float32"];
/** What operators that take ONNX's biases accept. */
export const INTEGER_BIAS: readonly DType[] = ["float32", "int32"];

/** Type rule of the shape [..., outFeatures]. @throws ShapeError, DtypeError */
export function linearShape(
  where: string,
  [x, weight, bias]: WeightedTypes,
  biases: readonly DType[] = FLOAT_BIAS,
): number[] {
  if (weight.shape.length !== 2 || x.shape.length === 0 || x.shape.at(-1) !== weight.shape[1]) {
    throw new ShapeError(where, { x: x.shape, weight: weight.shape }, "the last axis of x must be weight.shape[1]");
  }
  requireWeight(where, weight, bias, weight.shape[0]!, 0, biases);
  return [...x.shape.slice(0, -1), weight.shape[0]!];
}

export const quantizedLinearOp = defineOp<WeightedInputs, QuantizedLinearAttrs>({
  name: "quantizedLinear",
  infer([x, weight, bias], attrs) {
    checkEngine("quantizedLinear", attrs.engine);
    const { dtype } = requireByte("quantizedLinear", x);
    return [
      quantizedType("quantizedLinear", dtype, linearShape("quantizedLinear", [x, weight, bias], INTEGER_BIAS), attrs),
    ];
  },
  forward([x, weight, bias], { engine, relu, scale, zeroPoint }, [type]) {
    const { qparams, dtype } = requireByte("quantizedLinear", x);
    const channels = weight.shape[0]!;
    const values = requantizeSums(
      { values: linearSums(x, weight), channels, inner: 1 },
      {
        rounding: linearRounding(engine), dtype, relu, output: { scale, zeroPoint },
        scales: productScales(qparams.scale, weight.qparams!, channels),
        perChannel: weight.qparams!.kind !== "perTensor", bias: biasOf(bias),
      }, // prettier-ignore
    );
    return [new Tensor(dtype, type!.shape, values, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

export type WeightedOptions = OutputQParams & { readonly relu?: boolean; readonly engine?: QEngine };

/**
 * y = x weight^T + bias (then relu), with x [..., inFeatures] quint8 or qint8, weight qint8 [outFeatures, inFeatures]
 * quantized per tensor or per row, bias float32 (or int32 in units of sx * sw, added to the sums); the result has the dtype of x and the given parameters.
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function quantizedLinear(x: Tensor, weight: Tensor, bias: Tensor | null, options: WeightedOptions): Tensor {
  const { scale, zeroPoint, relu = false, engine = DEFAULT_ENGINE } = options;
  return apply(quantizedLinearOp, [x, weight, bias], { scale, zeroPoint, relu, engine });
}
