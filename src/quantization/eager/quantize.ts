/**
 * The flows in one call: static, quantization-aware and dynamic. Source: torch/ao/quantization/quantize.py.
 */

import { ArgumentError, ModuleError } from "../../errors.ts";
import * as nn from "../../nn/index.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { DType } from "../../tensor/dtype.ts";
import {
  defaultDynamicQConfig,
  float16DynamicQConfig,
  floatQParamsWeightOnlyQConfig,
  floatQParamsWeightOnlyQConfig4bit,
} from "../qconfig-defaults.ts";
import type { QConfig } from "../qconfig.ts";
import { convert } from "./convert.ts";
import type { ConvertOptions } from "./convert.ts";
import { getDefaultDynamicQuantModuleMappings } from "./mappings.ts";
import { nearNames } from "./names.ts";
import { prepare, prepareQat } from "./prepare.ts";
import { propagateQConfig } from "./propagate.ts";
import type { QConfigDict } from "./propagate.ts";
import type { ModuleClass } from "./types.ts";

/** Runs calibration or training on a prepared model. */
export type RunFn<M extends AnyModule, Args extends readonly unknown[]> = (model: M, ...args: Args) => void;

/**
 * Static quantization in one call: eval mode, prepare, `runFn(prepared, ...runArgs)`, convert.
 * @throws QuantError as prepare and convert do.
 */
export function quantize<M extends AnyModule, Args extends readonly unknown[]>(
  model: M,
  runFn: RunFn<M, Args>,
  runArgs: Args,
  options: ConvertOptions = {},
): M {
  const prepared = prepare((options.inplace ? model : model.clone()).eval(), { inplace: true });
  runFn(prepared, ...runArgs);
  return convert(prepared, { ...options, inplace: true });
}

/**
 * Quantization-aware training in one call: training mode, prepareQat, `runFn`, convert.
 * @throws QuantError as prepareQat and convert do.
 */
export function quantizeQat<M extends AnyModule, Args extends readonly unknown[]>(
  model: M,
  runFn: RunFn<M, Args>,
  runArgs: Args,
  options: ConvertOptions = {},
): M {
  const prepared = prepareQat((options.inplace ? model : model.clone()).train(), { inplace: true });
  runFn(prepared, ...runArgs);
  return convert(prepared, { ...options, inplace: true });
}

export type DynamicQuantDType = Extract<DType, "qint8" | "float16" | "quint8" | "quint4x2">;

const recurrent: readonly ModuleClass[] = [nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.RNNCell, nn.GRUCell];

const dynamicDefaults: Readonly<Record<DynamicQuantDType, { qconfig: QConfig; classes: readonly ModuleClass[] }>> = {
  qint8: { qconfig: defaultDynamicQConfig, classes: recurrent },
  float16: { qconfig: float16DynamicQConfig, classes: recurrent },
  quint8: { qconfig: floatQParamsWeightOnlyQConfig, classes: [nn.EmbeddingBag, nn.Embedding] },
  quint4x2: { qconfig: floatQParamsWeightOnlyQConfig4bit, classes: [nn.EmbeddingBag] },
};

export interface QuantizeDynamicOptions extends ConvertOptions {
  /** The dtype of weights, where qconfigSpec does not say: qint8 (default), float16, quint8 or quint4x2 (embeddings). */
  readonly dtype?: DynamicQuantDType;
}

/** What to quantize: classes and dotted paths, with or without their qconfigs. */
export type QConfigSpec = ReadonlySet<ModuleClass | string> | QConfigDict;

function checkNames(model: AnyModule, spec: QConfigDict): void {
  const known = model.namedModules().map(([path]) => path);
  for (const key of spec.keys()) {
    if (typeof key !== "string" || known.includes(key)) continue;
    const near = nearNames(key, known);
    throw new ModuleError(
      "quantizeDynamic",
      { name: key },
      "there is no module of that name",
      near.length > 0 ? `Did you mean ${near.join(", ")}?` : undefined,
    );
  }
}

function specOf(spec: QConfigSpec | null, dtype: DynamicQuantDType): QConfigDict {
  if (spec && "get" in spec) return spec;
  const defaults = dynamicDefaults[dtype] as (typeof dynamicDefaults)[DynamicQuantDType] | undefined;
  if (!defaults)
    throw new ArgumentError(
      "quantizeDynamic",
      { dtype },
      `the dtype must be one of ${Object.keys(dynamicDefaults).join(", ")}`,
    );
  return new Map([...(spec ?? defaults.classes)].map((key) => [key, defaults.qconfig]));
}

/**
 * Replaces layers by ones with quantized weights whose activations are quantized at every call. The root is never
 * replaced. `qconfigSpec` null means the default classes of the dtype.
 * @throws ModuleError for unknown paths, ArgumentError for an unknown dtype.
 */
export function quantizeDynamic<M extends AnyModule>(
  model: M,
  qconfigSpec: QConfigSpec | null = null,
  options: QuantizeDynamicOptions = {},
): M {
  const { dtype = "qint8", mapping = getDefaultDynamicQuantModuleMappings(), inplace = false } = options;
  const spec = specOf(qconfigSpec, dtype);
  checkNames(model, spec);
  const copy = inplace ? model : model.clone();
  copy.eval();
  propagateQConfig(copy, spec);
  return convert(copy, { ...options, mapping, inplace: true });
}

/** Runs the model on the inputs of every `[input, target]` pair: the simplest calibration. */
export function defaultEvalFn(model: AnyModule, data: Iterable<readonly unknown[]>): void {
  for (const [input] of data) (model as unknown as { forward(x: unknown): unknown }).forward(input);
}
