/**
 * The backends PyTorch describes, as choices of dtypes for the groups of backend-patterns.ts. qnnpack prefers signed
 * activations whose scale is at least 2^-12; x86 and fbgemm have no layer norm; oneDNN has fusions of its own.
 * Source: torch/ao/quantization/backend_config/{native,x86,fbgemm,qnnpack,onednn}.py.
 */

import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { BackendConfig, DTypeConfig } from "./backend-config.ts";
import * as rows from "./backend-patterns.ts";

const weighted = new DTypeConfig({
  inputDtype: "quint8",
  outputDtype: "quint8",
  weightDtype: "qint8",
  biasDtype: "float32",
});
const plain = new DTypeConfig({ inputDtype: "quint8", outputDtype: "quint8" });
const dynamicInt8 = new DTypeConfig({
  inputDtype: "quint8",
  outputDtype: "float32",
  weightDtype: "qint8",
  biasDtype: "float32",
  isDynamic: true,
});
const dynamicFloat16 = new DTypeConfig({
  inputDtype: "float16",
  outputDtype: "float32",
  weightDtype: "float16",
  biasDtype: "float32",
  isDynamic: true,
});
const layerNorm = new DTypeConfig({
  inputDtype: "quint8",
  outputDtype: "quint8",
  weightDtype: "float32",
  biasDtype: "float32",
});
const weightOnly = (weightDtype: "quint8" | "quint4x2" | "qint8"): DTypeConfig =>
  new DTypeConfig({ inputDtype: "float32", outputDtype: "float32", weightDtype });

const signedActivation = { dtype: "qint8", scaleMinLowerBound: EPS_2_12 } as const;
const signedWeight = {
  dtype: "qint8",
  quantMinLowerBound: -127,
  quantMaxUpperBound: 127,
  scaleMinLowerBound: EPS_2_12,
} as const;
const signedWeighted = new DTypeConfig({
  inputDtype: signedActivation,
  outputDtype: signedActivation,
  weightDtype: signedWeight,
  biasDtype: "float32",
});
const signedPlain = new DTypeConfig({ inputDtype: signedActivation, outputDtype: signedActivation });

interface Choices {
  readonly conv: readonly DTypeConfig[];
  readonly linear: readonly DTypeConfig[];
  /** Sums, products and functions with a fixed range: their weights do not exist, but PyTorch's x86 lists dtypes for them. */
  readonly binary: readonly DTypeConfig[];
  readonly plain: readonly DTypeConfig[];
  readonly fixed: readonly DTypeConfig[];
  readonly recurrent: readonly DTypeConfig[];
  readonly embedding: readonly DTypeConfig[];
  readonly hasLayerNorm: boolean;
  readonly hasShapes: boolean;
}

function backend(name: string, choices: Choices): BackendConfig {
  const { plain: simple, hasLayerNorm, hasShapes } = choices;
  return new BackendConfig(name).setBackendPatternConfigs([
    ...rows.allConvRows(choices.conv),
    ...rows.linearRows(choices.linear),
    ...rows.binaryRows(choices.binary),
    ...rows.catRows(simple),
    ...rows.defaultRows(simple),
    ...rows.fixedRows(choices.fixed),
    ...rows.sharingRows(simple),
    ...(hasShapes ? rows.shapeRows(simple) : []),
    ...rows.batchNormRows(simple),
    ...(hasLayerNorm ? rows.layerNormRows([layerNorm]) : []),
    ...rows.recurrentRows(choices.recurrent),
    ...rows.embeddingRows(choices.embedding),
  ]);
}

const dynamic = [dynamicInt8, dynamicFloat16];
const nativeChoices: Choices = {
  conv: [weighted],
  linear: [weighted, ...dynamic],
  binary: [plain],
  plain: [plain],
  fixed: [plain],
  recurrent: dynamic,
  embedding: [weightOnly("quint8"), weightOnly("quint4x2")],
  hasLayerNorm: true,
  hasShapes: true,
};

/** What fewbit's own operators run: the union of fbgemm and qnnpack that PyTorch calls native. */
export function getNativeBackendConfig(): BackendConfig {
  return backend("native", nativeChoices);
}

export function getFbgemmBackendConfig(): BackendConfig {
  return backend("fbgemm", { ...nativeChoices, hasLayerNorm: false });
}

export function getX86BackendConfig(): BackendConfig {
  return backend("x86", { ...nativeChoices, binary: [weighted], fixed: [weighted], hasLayerNorm: false });
}

export function getQnnpackBackendConfig(): BackendConfig {
  const simple = [signedPlain, plain];
  return backend("qnnpack", {
    ...nativeChoices,
    conv: [signedWeighted, weighted],
    linear: [signedWeighted, weighted, ...dynamic],
    binary: simple,
    plain: simple,
    fixed: simple,
    hasLayerNorm: false,
    hasShapes: false,
  });
}

export function getOnednnBackendConfig(): BackendConfig {
  const linear = [weighted, dynamicInt8];
  const config = backend("onednn", {
    ...nativeChoices,
    linear,
    recurrent: [dynamicInt8],
    embedding: [weightOnly("qint8")],
    hasShapes: false,
  });
  return config.setBackendPatternConfigs([...rows.convAddRows([weighted]), ...rows.linearActivationRows(linear)]);
}
