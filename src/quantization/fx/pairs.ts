/**
 * From observers to native quantize and dequantize nodes, whose integers are PyTorch's quantized tensors. Their
 * rounding adds the zero point before it rounds, unlike the decomposed pairs of exported graphs.
 * Source: torch/ao/quantization/fx/convert.py.
 */

import { DtypeError } from "../../errors.ts";
import type { Graph, Node, Value } from "../../graph/graph.ts";
import type { Builder } from "../../graph/rewrite.ts";
import {
  dequantizeOp,
  quantizePerChannel,
  quantizePerChannelOp,
  quantizePerTensor,
  quantizePerTensorOp,
} from "../../ops/quantize/native.ts";
import { quantizeDequantizeDynamicOp } from "../../ops/quantize/dynamic-pair.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { dynamicReduceRange } from "../../ops/quantized/engines.ts";
import { castOp } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { isFloat, isQuantized } from "../../tensor/dtype.ts";
import type { DType, QuantizedDType } from "../../tensor/dtype.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { CalculatedQParams } from "../observers/base.ts";
import { staticQParams } from "../pt2e/convert.ts";
import type { ConvertOptions, Observed, PairBuilder } from "../pt2e/convert.ts";

function quantizedDtype(dtype: DType): QuantizedDType {
  if (isQuantized(dtype)) return dtype;
  throw new DtypeError("convertFx", { dtype }, "native quantize nodes need a quantized dtype, such as quint8 or qint8");
}

/** Rounds to 16 bits and back. */
function throughFloat16(build: Builder, value: Value): Value {
  return build.call(castOp, [build.call(castOp, [value], { dtype: "float16" })], { dtype: "float32" });
}

function floatPair(build: Builder, value: Value, { dtype, isDynamic }: Observed): Value {
  if (dtype === "float32") return value;
  if (isDynamic) return build.call(quantizeDequantizeDynamicOp, [value], { dtype, reduceRange: true });
  return throughFloat16(build, value);
}

/** Native pairs for every kind of observer. @throws QuantError for one that saw nothing. */
export function nativePairs(engine: QEngine, options: ConvertOptions): PairBuilder {
  return (_graph: Graph, node: Node, observed: Observed, build: Builder) => {
    const value = node.args[0] as Value;
    const { dtype, qscheme, chAxis, isDynamic } = observed;
    if (isFloat(dtype)) return floatPair(build, value, observed);
    const target = quantizedDtype(dtype);
    if (isDynamic) {
      return build.call(quantizeDequantizeDynamicOp, [value], {
        dtype: target,
        reduceRange: dynamicReduceRange(engine, true),
      });
    }
    const { scale, zeroPoint } = staticQParams(node, observed, options);
    const quantized = isPerChannelScheme(qscheme)
      ? build.call(quantizePerChannelOp, [value], {
          scales: Array.from(scale.data),
          zeroPoints: Array.from(zeroPoint.data),
          axis: chAxis,
          dtype: target,
          floatQParams: isFloat(zeroPoint.dtype),
        })
      : build.call(quantizePerTensorOp, [value], { scale: scale.item(), zeroPoint: zeroPoint.item(), dtype: target });
    return build.call(dequantizeOp, [quantized]);
  };
}

/** A stored tensor quantized by parameters found for it. */
export function quantizeStored(
  tensor: Tensor,
  { dtype, qscheme, chAxis }: Observed,
  { scale, zeroPoint }: CalculatedQParams,
): Tensor {
  const target = quantizedDtype(dtype);
  return noGrad(() => {
    const float = tensor.detach();
    if (!isPerChannelScheme(qscheme)) return quantizePerTensor(float, scale.item(), zeroPoint.item(), target);
    return quantizePerChannel(float, scale, zeroPoint, chAxis, target);
  });
}
