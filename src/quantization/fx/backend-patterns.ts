/**
 * The rows of PyTorch's backends, by group. Every function gives one group's patterns for a choice of dtypes.
 * Source: torch/ao/quantization/backend_config/_common_operator_config_utils.py and onednn.py.
 */

import { BackendPatternConfig, DTypeConfig, MatchAllNode, ObservationType } from "./backend-config.ts";
import type { DTypeWithConstraints } from "./backend-config.ts";

const { OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT, OUTPUT_SHARE_OBSERVER_WITH_INPUT, INPUT_OUTPUT_NOT_OBSERVED } =
  ObservationType;

type Row = BackendPatternConfig;
type DTypes = readonly DTypeConfig[];

const WEIGHT_AND_BIAS = { weight: 1, bias: 2 };

function row(pattern: ConstructorParameters<typeof BackendPatternConfig>[0], dtypes: DTypes): Row {
  return new BackendPatternConfig(pattern).setDtypeConfigs(dtypes);
}

/** A layer and its training twin, both stored as the reference layer. */
function layer(root: string, unit: string, qat: string | null, dtypes: DTypes): Row[] {
  const stored = (config: Row): Row => config.setRootModule(root).setReferenceQuantizedModule(`reference.${root}`);
  const rows = [stored(row(unit, dtypes))];
  if (qat === null) return rows;
  rows[0]!.setQatModule(qat);
  return [...rows, stored(row(qat, dtypes))];
}

/** Convolutions of one rank. */
export function convRows(rank: 1 | 2 | 3, dtypes: DTypes): Row[] {
  const [conv, bn, f] = [`Conv${rank}d`, `BatchNorm${rank}d`, `conv${rank}d`];
  const [convRelu, convBn, convBnRelu] = [`ConvReLU${rank}d`, `ConvBn${rank}d`, `ConvBnReLU${rank}d`];
  const trained = (unit: string): Row =>
    row(`qat.${unit}`, dtypes).setRootModule(conv).setReferenceQuantizedModule(`reference.${conv}`);
  return [
    ...layer(conv, conv, `qat.${conv}`, dtypes),
    row(f, dtypes).setInputTypeToIndex(WEIGHT_AND_BIAS),
    row([conv, "ReLU"], dtypes).setFusedModule(convRelu),
    row([conv, "relu"], dtypes).setFusedModule(convRelu),
    row(convRelu, dtypes).setQatModule(`qat.${convRelu}`),
    trained(convRelu),
    row([f, "ReLU"], dtypes),
    row([f, "relu"], dtypes),
    row([conv, bn], dtypes).setFusedModule(convBn),
    row([conv, bn, "ReLU"], dtypes).setFusedModule(convBnRelu),
    row([conv, bn, "relu"], dtypes).setRootModule(conv).setFusedModule(convBnRelu),
    row(convBn, dtypes).setQatModule(`qat.${convBn}`),
    row(convBnRelu, dtypes).setQatModule(`qat.${convBnRelu}`),
    trained(convBn),
    trained(convBnRelu),
  ];
}

function transposedRows(rank: 1 | 2 | 3, dtypes: DTypes): Row[] {
  const transposed = `ConvTranspose${rank}d`;
  return [
    ...layer(transposed, transposed, null, dtypes),
    row([transposed, `BatchNorm${rank}d`], dtypes)
      .setRootModule(transposed)
      .setReferenceQuantizedModule(`reference.${transposed}`)
      .setFusedModule(transposed),
    row(`convTranspose${rank}d`, dtypes).setInputTypeToIndex(WEIGHT_AND_BIAS),
  ];
}

export function allConvRows(dtypes: DTypes): Row[] {
  return ([1, 2, 3] as const).flatMap((rank) => [...convRows(rank, dtypes), ...transposedRows(rank, dtypes)]);
}

/** A linear layer or operator, alone. */
export function linearLayerRows(dtypes: DTypes): Row[] {
  return [
    ...layer("Linear", "Linear", "qat.Linear", dtypes),
    row("linear", dtypes).setInputTypeToIndex(WEIGHT_AND_BIAS),
  ];
}

export function linearRows(dtypes: DTypes): Row[] {
  return [
    ...linearLayerRows(dtypes),
    row(["Linear", "ReLU"], dtypes).setFusedModule("LinearReLU"),
    row(["Linear", "relu"], dtypes).setFusedModule("LinearReLU"),
    ...layer("Linear", "LinearReLU", "qat.LinearReLU", dtypes),
    row(["linear", "ReLU"], dtypes),
    row(["linear", "relu"], dtypes),
    row(["Linear", "BatchNorm1d"], dtypes).setFusedModule("LinearBn1d"),
    ...layer("Linear", "LinearBn1d", "qat.LinearBn1d", dtypes),
  ];
}

const byTensorArgs = new Map<number, ObservationType>([
  [0, OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT],
  [1, OUTPUT_SHARE_OBSERVER_WITH_INPUT],
  [2, OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT],
]);

/** Operators of two operands, with and without relu behind. */
export function binaryOperatorRows(operators: readonly string[], dtypes: DTypes): Row[] {
  const rows = operators.flatMap((op) => [row([op, "ReLU"], dtypes), row([op, "relu"], dtypes), row(op, dtypes)]);
  for (const config of rows) config.setNumTensorArgsToObservationType(byTensorArgs);
  return rows;
}

export function binaryRows(dtypes: DTypes): Row[] {
  return [...binaryOperatorRows(["add", "mul"], dtypes), row("matmul", dtypes)];
}

export function catRows(dtypes: DTypes): Row[] {
  return [row("cat", dtypes).setObservationType(OUTPUT_SHARE_OBSERVER_WITH_INPUT)];
}

const DEFAULT_LAYERS = [
  "ELU",
  "LeakyReLU",
  "Hardswish",
  "InstanceNorm1d",
  "InstanceNorm2d",
  "InstanceNorm3d",
  "Dropout",
  "PReLU",
];
const DEFAULT_OPERATORS = ["elu", "hardswish", "leakyRelu", "dropout"];

export function defaultRows(dtypes: DTypes): Row[] {
  return [
    ...[...DEFAULT_LAYERS, ...DEFAULT_OPERATORS].map((type) => row(type, dtypes)),
    row("groupNorm", dtypes).setInputTypeToIndex({ weight: 2, bias: 3 }),
    row("instanceNorm", dtypes).setInputTypeToIndex({ weight: 3, bias: 4 }),
  ];
}

const ZERO_TO_ONE = ["Hardsigmoid", "hardsigmoid", "Sigmoid", "sigmoid", "Softmax"];
const MINUS_ONE_TO_ONE = ["Tanh", "tanh"];

/** Any integers of 8 bits, with parameters that must be exactly these. */
function exactly(scale: number, zeroPoint: number): DTypeWithConstraints {
  return {
    dtype: "quint8",
    quantMinLowerBound: 0,
    quantMaxUpperBound: 255,
    scaleExactMatch: scale,
    zeroPointExactMatch: zeroPoint,
  };
}

/** The given dtypes with quint8 ones constrained to the fixed parameters; others stay as they are. */
function fixedTo(dtypes: DTypes, constraint: DTypeWithConstraints): DTypeConfig[] {
  return dtypes.map((config) => {
    const fixed = (side: DTypeWithConstraints | null): DTypeWithConstraints | undefined =>
      side?.dtype === "quint8" ? constraint : (side ?? undefined);
    const { input, output, weight, bias, isDynamic } = config;
    const [inputDtype, outputDtype] = [fixed(input), fixed(output)];
    return new DTypeConfig({
      ...(inputDtype && { inputDtype }),
      ...(outputDtype && { outputDtype }),
      ...(weight && { weightDtype: weight }),
      ...(bias && { biasDtype: bias }),
      isDynamic,
    });
  });
}

export function fixedRows(dtypes: DTypes): Row[] {
  return [
    ...ZERO_TO_ONE.map((type) => row(type, fixedTo(dtypes, exactly(1 / 256, 0)))),
    ...MINUS_ONE_TO_ONE.map((type) => row(type, fixedTo(dtypes, exactly(2 / 256, 128)))),
  ];
}

const SHARING_LAYERS = [
  "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "Hardtanh",
  "Identity", "MaxPool1d", "MaxPool2d", "MaxPool3d", "PixelShuffle", "PixelUnshuffle", "ReLU", "ReLU6",
]; // prettier-ignore
const SHARING_OPERATORS = [
  "adaptiveAvgPool1d", "adaptiveAvgPool2d", "adaptiveAvgPool3d", "hardtanh", "interpolate", "maxPool1d", "maxPool2d",
  "maxPool3d", "pixelShuffle", "pixelUnshuffle", "relu", "relu6", "avgPool1d", "avgPool2d", "avgPool3d", "clamp",
  "reshape", "mean", "narrow", "repeatInterleave", "permute", "stack", "floorDivide", "repeat",
]; // prettier-ignore

export function sharingRows(
  dtypes: DTypes,
  types: readonly string[] = [...SHARING_LAYERS, ...SHARING_OPERATORS],
): Row[] {
  return types.map((type) => row(type, dtypes).setObservationType(OUTPUT_SHARE_OBSERVER_WITH_INPUT));
}

export function shapeRows(dtypes: DTypes): Row[] {
  return ["shape", "size"].map((type) => row(type, dtypes).setObservationType(INPUT_OUTPUT_NOT_OBSERVED));
}

export function batchNormRows(dtypes: DTypes): Row[] {
  return [2, 3].flatMap((rank) => [
    row([`BatchNorm${rank}d`, "ReLU"], dtypes).setFusedModule(`BNReLU${rank}d`),
    row([`BatchNorm${rank}d`, "relu"], dtypes).setFusedModule(`BNReLU${rank}d`),
    row(`BatchNorm${rank}d`, dtypes),
    row(`BNReLU${rank}d`, dtypes),
  ]);
}

export function layerNormRows(dtypes: DTypes): Row[] {
  return [row("LayerNorm", dtypes), row("layerNorm", dtypes).setInputTypeToIndex({ weight: 2, bias: 3 })];
}

export function recurrentRows(dtypes: DTypes): Row[] {
  return ["GRUCell", "LSTMCell", "RNNCell", "LSTM", "GRU"].flatMap((type) => layer(type, type, null, dtypes));
}

export function embeddingRows(dtypes: DTypes): Row[] {
  return ["Embedding", "EmbeddingBag"].flatMap((type) => layer(type, type, `qat.${type}`, dtypes));
}

/** oneDNN's fusions of a linear layer with leaky relu or tanh. */
export function linearActivationRows(dtypes: DTypes): Row[] {
  return [
    ...["LeakyReLU", "leakyRelu"].map((act) => row(["Linear", act], dtypes).setFusedModule("LinearLeakyReLU")),
    row("LinearLeakyReLU", dtypes).setRootModule("Linear").setReferenceQuantizedModule("reference.Linear"),
    ...["LeakyReLU", "leakyRelu"].map((act) => row(["linear", act], dtypes)),
    row(["Linear", "BatchNorm1d", "LeakyReLU"], dtypes).setFusedModule("LinearLeakyReLU"),
    ...["Tanh", "tanh"].map((act) => row(["Linear", act], dtypes).setFusedModule("LinearTanh")),
    row("LinearTanh", dtypes).setRootModule("Linear").setReferenceQuantizedModule("reference.Linear"),
    ...["Tanh", "tanh"].map((act) => row(["linear", act], dtypes)),
  ];
}

/** oneDNN's sums of a convolution and anything, in either order, with or without batch norm and relu. */
export function convAddRows(dtypes: DTypes): Row[] {
  const sums = [
    [["Conv2d", "BatchNorm2d"], MatchAllNode],
    ["Conv2d", MatchAllNode],
    [MatchAllNode, ["Conv2d", "BatchNorm2d"]],
    [MatchAllNode, "Conv2d"],
  ];
  const unit = (type: string): Row =>
    row(type, dtypes).setRootModule("Conv2d").setReferenceQuantizedModule("reference.Conv2d");
  return [
    ...sums.map((operands) => row([operands, "add"], dtypes).setFusedModule("ConvAdd2d")),
    unit("ConvAdd2d"),
    ...sums.map((operands) => row([operands, "add", "ReLU"], dtypes).setFusedModule("ConvAddReLU2d")),
    unit("ConvAddReLU2d"),
  ];
}
