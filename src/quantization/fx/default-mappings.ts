/**
 * The mappings each backend starts from. Besides the backend's own qconfig: reshapes reuse their input's parameters,
 * transposed convolutions have one scale a weight where the kernels know no other, layer norms keep float weights,
 * and functions with a known range have fixed parameters.
 * Source: _get_default_qconfig_mapping, torch/ao/quantization/qconfig_mapping.py.
 */

import type { FixedQParamsFakeQuantize } from "../fake-quantize/fixed.ts";
import {
  defaultFixedQParamsRange0to1FakeQuant,
  defaultFixedQParamsRangeNeg1to1FakeQuant,
  defaultWeightFakeQuant,
} from "../fake-quantize/named.ts";
import type { ModuleFactory } from "../factory.ts";
import {
  defaultFixedQParamsRange0to1Observer,
  defaultFixedQParamsRangeNeg1to1Observer,
  defaultPlaceholderObserver,
  defaultWeightObserver,
} from "../observers/named.ts";
import type { FixedQParamsObserver } from "../observers/passive.ts";
import { QConfig } from "../qconfig.ts";
import {
  defaultQuint8WeightQConfig,
  defaultReuseInputQConfig,
  getDefaultQConfig,
  getDefaultQatQConfig,
} from "../qconfig-defaults.ts";
import type { QuantBackend } from "../qconfig-defaults.ts";
import { QConfigMapping } from "./qconfig-mapping.ts";

const ZERO_TO_ONE = ["Hardsigmoid", "hardsigmoid", "Sigmoid", "sigmoid", "Softmax"];
const MINUS_ONE_TO_ONE = ["Tanh", "tanh"];
const TRANSPOSED = [1, 2, 3].flatMap((rank) => [`ConvTranspose${rank}d`, `convTranspose${rank}d`]);
const LAYER_NORM = ["LayerNorm", "layerNorm"];

/** Observer of the fixed parameters an operator's output has, by type name. */
export const fixedQParamsObservers: ReadonlyMap<string, ModuleFactory<FixedQParamsObserver>> = new Map([
  ...ZERO_TO_ONE.map((type) => [type, defaultFixedQParamsRange0to1Observer] as const),
  ...MINUS_ONE_TO_ONE.map((type) => [type, defaultFixedQParamsRangeNeg1to1Observer] as const),
]);

const fixedFakeQuants: ReadonlyMap<string, ModuleFactory<FixedQParamsFakeQuantize>> = new Map([
  ...ZERO_TO_ONE.map((type) => [type, defaultFixedQParamsRange0to1FakeQuant] as const),
  ...MINUS_ONE_TO_ONE.map((type) => [type, defaultFixedQParamsRangeNeg1to1FakeQuant] as const),
]);

function withDefaults(
  qconfig: QConfig,
  weight: ModuleFactory,
  perTensorTransposed: boolean,
  isQat: boolean,
): QConfigMapping {
  const mapping = new QConfigMapping().setGlobal(qconfig).setObjectType("reshape", defaultReuseInputQConfig);
  const transposed = new QConfig({
    activation: qconfig.activation,
    weight: perTensorTransposed ? weight : qconfig.weight,
  });
  for (const type of TRANSPOSED) mapping.setObjectType(type, transposed);
  const layerNorm = new QConfig({ activation: qconfig.activation, weight: defaultPlaceholderObserver });
  for (const type of LAYER_NORM) mapping.setObjectType(type, layerNorm);
  mapping.setObjectType("PReLU", defaultQuint8WeightQConfig);
  for (const [type, activation] of isQat ? fixedFakeQuants : fixedQParamsObservers) {
    mapping.setObjectType(type, new QConfig({ activation, weight }));
  }
  return mapping;
}

function transposedIsPerTensor(backend: QuantBackend): boolean {
  return backend === "x86" || backend === "fbgemm";
}

/** The backend's mapping for post-training static quantization. @throws ArgumentError for unknown backends and versions. */
export function getDefaultQConfigMapping(backend: QuantBackend = "x86", version = 0): QConfigMapping {
  return withDefaults(
    getDefaultQConfig(backend, version),
    defaultWeightObserver,
    transposedIsPerTensor(backend),
    false,
  );
}

/**
 * The backend's mapping for quantization-aware training.
 * @param version 0: FakeQuantize; 1: the fused form.
 * @throws ArgumentError for unknown backends and versions.
 */
export function getDefaultQatQConfigMapping(backend: QuantBackend = "x86", version = 1): QConfigMapping {
  return withDefaults(
    getDefaultQatQConfig(backend, version),
    defaultWeightFakeQuant,
    transposedIsPerTensor(backend),
    true,
  );
}
