/**
 * The backends PyTorch describes, as choices of dtypes for the groups of backend-patterns.ts. qnnpack prefers signed
 * activations whose scale is at least 2^-12; x86 and fbgemm have no layer norm; oneDNN has fusions of its own.
 * Source: torch/ao/quantization/backend_config/{native,x86,fbgemm,qnnpack,onednn}.py.
 */

import { BackendConfig, BackendPatternConfig, ObservationType } from "./backend-config.ts";
import type { DTypeConfig } from "./backend-config.ts";
import {
  dynamicFloat16,
  dynamicInt8,
  int8Plain,
  int8Weighted,
  layerNorm,
  plain,
  signedDynamic,
  signedPlain,
  signedWeighted,
  weightOnly,
  weighted,
} from "./backend-dtypes.ts";
import * as rows from "./backend-patterns.ts";

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

const EXECUTORCH_SHARING = [
  "Flatten", "adaptiveAvgPool2d", "elu", "hardtanh", "maxPool2d", "pad", "relu", "relu6", "leakyRelu",
  "AdaptiveAvgPool2d", "ConstantPad2d", "ELU", "MaxPool2d", "ReLU6", "Hardtanh", "LeakyReLU", "clamp", "reshape",
  "mean", "permute",
]; // prettier-ignore

/** Backends that PyTorch reaches through ExecuTorch (XNNPACK): signed activations first, two-dimensional convolutions. */
export function getExecutorchBackendConfig(): BackendConfig {
  const simple = [signedPlain, plain];
  const linear = [signedWeighted, weighted, dynamicInt8, signedDynamic, dynamicFloat16];
  const embedding = [weightOnly("quint8")];
  return new BackendConfig("executorch").setBackendPatternConfigs([
    ...rows.linearLayerRows(linear),
    ...rows.convRows(2, [signedWeighted, weighted]),
    ...rows.binaryOperatorRows(["add", "sub", "mul"], [signedPlain, weighted]),
    ...rows.sharingRows(simple, EXECUTORCH_SHARING),
    new BackendPatternConfig("BatchNorm2d").setDtypeConfigs(simple),
    ...rows.catRows(simple),
    ...rows.embeddingRows(embedding),
    new BackendPatternConfig("embedding").setDtypeConfigs(embedding).setInputTypeToIndex({ weight: 1 }),
  ]);
}

/** TensorRT: qint8 throughout. */
export function getTensorrtBackendConfig(): BackendConfig {
  const addmm = new BackendPatternConfig("addmm")
    .setObservationType(ObservationType.OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT)
    .setDtypeConfigs([int8Weighted])
    .setInputTypeToIndex({ bias: 0, weight: 2 });
  return new BackendConfig("tensorrt").setBackendPatternConfigs([
    ...rows.allConvRows([int8Weighted]),
    addmm,
    ...rows.catRows([int8Plain]),
    ...rows.linearRows([int8Weighted]),
    ...rows.binaryRows([int8Weighted]),
    ...rows.sharingRows([int8Plain]),
    ...rows.shapeRows([int8Plain]),
  ]);
}
