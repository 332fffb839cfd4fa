/**
 * QuantizationConfig: the specs a quantizer gives to the values of one kind of layer, and how they are read.
 * Source: torchao/quantization/pt2e/quantizer/utils.py.
 */

import { ArgumentError, QuantError } from "../../errors.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import type { QuantizationSpec } from "./spec.ts";

/** @throws QuantError for what is no config, such as a Quantizer's name or a QConfig. */
export function requireConfig(where: string, config: unknown): void {
  if (typeof config === "object" && config !== null && "inputActivation" in config && "weight" in config) return;
  throw new QuantError(
    where,
    { config: typeof config },
    "the setting must be a QuantizationConfig",
    "For example getSymmetricQuantizationConfig() or getDefaultX86QuantizationConfig()",
  );
}

/**
 * The settings of a whole quantizer: there is one, and it is for the flow it is used in. Fake-quantizes in a model that
 * does not train calibrate on values they have rounded; observers in one that trains let it learn nothing of rounding.
 * @throws QuantError when nothing would be quantized, or for configs made for the other flow.
 */
export function requireSettings(
  quantizer: string,
  settings: Iterable<QuantizationConfig | null>,
  isQat: boolean,
): void {
  const configs = [...settings].filter((config) => config !== null);
  if (configs.length === 0) {
    throw new QuantError(
      quantizer,
      {},
      "it has no setting, so nothing would be quantized",
      `For example new ${quantizer}().setGlobal(config)`,
    );
  }
  if (!isQat && configs.some((config) => config.isQat)) {
    throw new QuantError(
      "preparePt2e",
      { quantizer, isQat: true },
      "the config is for training: it has fake-quantizes where calibration needs observers",
      "Call prepareQatPt2e, or make the config without isQat",
    );
  }
  if (isQat && !configs.some((config) => config.isQat)) {
    throw new QuantError(
      "prepareQatPt2e",
      { quantizer, isQat: false },
      "the config is for calibration: it has observers where training needs fake-quantizes",
      "Make the config with { isQat: true }, or call preparePt2e",
    );
  }
}

export interface QuantizationConfig {
  readonly inputActivation: QuantizationSpec | null;
  readonly outputActivation: QuantizationSpec | null;
  readonly weight: QuantizationSpec | null;
  readonly bias: QuantizationSpec | null;
  readonly isQat: boolean;
}

const PER_TENSOR: readonly QScheme[] = ["per_tensor_affine", "per_tensor_symmetric"];
const SYMMETRIC: readonly QScheme[] = ["per_tensor_symmetric", "per_channel_symmetric"];

function checked(part: string, spec: QuantizationSpec | null, schemes: readonly QScheme[]): QuantizationSpec | null {
  if (!spec || spec.qscheme === null || schemes.includes(spec.qscheme)) return spec;
  throw new ArgumentError(
    "QuantizationConfig",
    { part, qscheme: spec.qscheme },
    `the scheme must be one of ${schemes.join(", ")}`,
  );
}

/** The spec of values a layer reads. @throws ArgumentError unless it is per tensor. */
export function getInputActQspec(config: QuantizationConfig): QuantizationSpec | null {
  return checked("inputActivation", config.inputActivation, PER_TENSOR);
}

/** The spec of what a layer gives. @throws ArgumentError unless it is per tensor. */
export function getOutputActQspec(config: QuantizationConfig): QuantizationSpec | null {
  return checked("outputActivation", config.outputActivation, PER_TENSOR);
}

/** The spec of a layer's weight; float16 stores have no scheme. @throws ArgumentError unless it is symmetric. */
export function getWeightQspec(config: QuantizationConfig): QuantizationSpec | null {
  return checked("weight", config.weight, SYMMETRIC);
}

/** The spec of a layer's bias; null leaves it float. */
export function getBiasQspec(config: QuantizationConfig): QuantizationSpec | null {
  return config.bias;
}

/** Whether ranges are taken when the model runs. */
export function isDynamicConfig({ inputActivation }: QuantizationConfig): boolean {
  return inputActivation?.isDynamic ?? false;
}
