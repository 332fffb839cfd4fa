/**
 * The combinations of dtypes that PyTorch's backends share.
 * Source: torch/ao/quantization/backend_config/{native,qnnpack,executorch}.py.
 */

import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { DTypeConfig } from "./backend-config.ts";

export const weighted = new DTypeConfig({
  inputDtype: "quint8",
  outputDtype: "quint8",
  weightDtype: "qint8",
  biasDtype: "float32",
});
export const plain = new DTypeConfig({ inputDtype: "quint8", outputDtype: "quint8" });
export const dynamicInt8 = new DTypeConfig({
  inputDtype: "quint8",
  outputDtype: "float32",
  weightDtype: "qint8",
  biasDtype: "float32",
  isDynamic: true,
});
export const dynamicFloat16 = new DTypeConfig({
  inputDtype: "float16",
  outputDtype: "float32",
  weightDtype: "float16",
  biasDtype: "float32",
  isDynamic: true,
});
export const layerNorm = new DTypeConfig({
  inputDtype: "quint8",
  outputDtype: "quint8",
  weightDtype: "float32",
  biasDtype: "float32",
});
export const weightOnly = (weightDtype: "quint8" | "quint4x2" | "qint8"): DTypeConfig =>
  new DTypeConfig({ inputDtype: "float32", outputDtype: "float32", weightDtype });

export const signedActivation = { dtype: "qint8", scaleMinLowerBound: EPS_2_12 } as const;
export const signedWeight = {
  dtype: "qint8",
  quantMinLowerBound: -127,
  quantMaxUpperBound: 127,
  scaleMinLowerBound: EPS_2_12,
} as const;
export const signedWeighted = new DTypeConfig({
  inputDtype: signedActivation,
  outputDtype: signedActivation,
  weightDtype: signedWeight,
  biasDtype: "float32",
});
export const signedPlain = new DTypeConfig({ inputDtype: signedActivation, outputDtype: signedActivation });

/** Signed dynamic activations and weights (executorch). */
export const signedDynamic = new DTypeConfig({
  inputDtype: signedActivation,
  outputDtype: "float32",
  weightDtype: signedWeight,
  biasDtype: "float32",
  isDynamic: true,
});

/** TensorRT: signed everywhere. */
export const int8Weighted = new DTypeConfig({
  inputDtype: "qint8",
  outputDtype: "qint8",
  weightDtype: "qint8",
  biasDtype: "float32",
});
export const int8Plain = new DTypeConfig({ inputDtype: "qint8", outputDtype: "qint8" });
