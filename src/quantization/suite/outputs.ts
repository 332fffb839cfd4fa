/**
 * Outputs side by side: both models run on the same data and every layer's output is kept.
 * Source: torch/ao/ns/_numeric_suite.py.
 */

import { LSTM } from "../../nn/rnn.ts";
import type { AnyModule } from "../../nn/module.ts";
import { Linear as DynamicLinear, LSTM as DynamicLSTM } from "../../nn/quantized/dynamic/index.ts";
import { Linear as QuantizedLinear } from "../../nn/quantized/linear.ts";
import { NoopObserver } from "../observers/passive.ts";
import { getDefaultCompareOutputModuleList } from "../eager/mappings.ts";
import { prepare } from "../eager/prepare.ts";
import type { ModuleClass } from "../eager/types.ts";
import { QConfig } from "../qconfig.ts";
import { OutputLogger, getLoggerDict } from "./loggers.ts";
import type { LoggerClass } from "./loggers.ts";
import { findMatch } from "./matching.ts";
import type { FloatAndQuantized } from "./weights.ts";

export interface CompareOutputsOptions {
  /** A class like OutputLogger, whose `stats.tensor_val` is compared. */
  readonly loggerClass?: LoggerClass;
  /** Classes whose output is kept; the default is every class that quantization knows. */
  readonly allowList?: ReadonlySet<ModuleClass>;
}

/** Logged as a unit although they may have children. */
const units: ReadonlySet<ModuleClass> = new Set<ModuleClass>([DynamicLinear, QuantizedLinear, DynamicLSTM, LSTM]);

/** Attaches loggers to both models themselves, in the way observers are attached. */
export function prepareModelOutputs(
  floatModel: AnyModule,
  qModel: AnyModule,
  options: CompareOutputsOptions = {},
): void {
  const { loggerClass = OutputLogger, allowList = getDefaultCompareOutputModuleList() } = options;
  const qconfig = new QConfig({ activation: loggerClass, weight: NoopObserver });
  const given = { inplace: true, allowList, prepareCustomConfigDict: {} };
  floatModel.qconfig = qconfig;
  prepare(floatModel, given);
  qModel.qconfig = qconfig;
  prepare(qModel, { ...given, observerNonLeafModuleList: units });
}

/** Pairs what the loggers of two models kept, by the quantized model's keys. Loggers that saw nothing are left out. */
export function getMatchingActivations(
  floatModel: AnyModule,
  qModel: AnyModule,
): Record<string, FloatAndQuantized<unknown[]>> {
  const [float, quantized] = [getLoggerDict(floatModel), getLoggerDict(qModel)];
  const floatKeys = Object.keys(float).sort().reverse();
  const out: Record<string, FloatAndQuantized<unknown[]>> = {};
  for (const [key, stats] of Object.entries(quantized)) {
    const values = stats["tensor_val"] as unknown[];
    const found = values.length > 0 ? findMatch(floatKeys, key, "stats") : null;
    if (found !== null) out[key] = { float: float[found]!["tensor_val"] as unknown[], quantized: values };
  }
  return out;
}

/**
 * Runs copies of both models on `data` (the arguments of forward) and pairs the outputs of corresponding layers: how
 * error spreads through the model. Keys are paths followed by ".stats".
 */
export function compareModelOutputs(
  floatModel: AnyModule,
  qModel: AnyModule,
  data: readonly unknown[],
  options: CompareOutputsOptions = {},
): Record<string, FloatAndQuantized<unknown[]>> {
  const [float, quantized] = [floatModel.clone(), qModel.clone()];
  prepareModelOutputs(float, quantized, options);
  float.forward(...(data as never[]));
  quantized.forward(...(data as never[]));
  return getMatchingActivations(float, quantized);
}
