/**
 * `convert`: swapping observed modules for quantized ones. Source: convert and swap_module,
 * torch/ao/quantization/quantize.py.
 */

import { FusedModule } from "../../nn/intrinsic/fused.ts";
import { ConvBnNd } from "../../nn/intrinsic/qat/conv-bn.ts";
import { LinearBn1d } from "../../nn/intrinsic/qat/linear-bn.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { FromFloatOptions } from "../../nn/quantized/observed.ts";
import {
  getDefaultCustomConfigDict,
  getDefaultStaticQuantModuleMappings,
  getDefaultStaticQuantReferenceModuleMappings,
} from "./mappings.ts";
import { observeInput, observeOutput, removeObserver } from "./observer-hooks.ts";
import { classOf } from "./types.ts";
import type { CustomConfig, ModuleMapping } from "./types.ts";

export interface ConvertOptions extends FromFloatOptions {
  /** Change the model itself instead of a copy. */
  readonly inplace?: boolean;
  /** Which class replaces which; the default is the static table, or the reference table. */
  readonly mapping?: ModuleMapping;
  /** Remove qconfigs and observers afterwards (default). */
  readonly removeQConfig?: boolean;
  /** Make reference modules: float computation with the weights integers will have. */
  readonly isReference?: boolean;
  readonly convertCustomConfigDict?: CustomConfig;
}

type Plan = Required<Pick<ConvertOptions, "mapping">> & {
  readonly custom: CustomConfig;
  readonly options: FromFloatOptions;
};

function planOf(options: ConvertOptions): Plan {
  const { mapping, isReference = false, convertCustomConfigDict = getDefaultCustomConfigDict() } = options;
  const table = isReference ? getDefaultStaticQuantReferenceModuleMappings : getDefaultStaticQuantModuleMappings;
  const { usePrecomputedFakeQuant, uninitializedObservers, engine } = options;
  return {
    mapping: mapping ?? table(),
    custom: convertCustomConfigDict,
    options: { usePrecomputedFakeQuant, uninitializedObservers, engine },
  };
}

/** Path and hooks go over to the module that takes another's place; observer hooks stay behind. */
function moveIdentity(from: AnyModule, to: AnyModule): void {
  if (to === from) return;
  to.path = from.path;
  const { pre, post } = from.forwardHooks;
  for (const hook of pre) if (hook !== observeInput) to.registerForwardPreHook(hook);
  for (const hook of post) if (hook !== observeOutput) to.registerForwardHook(hook);
}

function swap(module: AnyModule, { mapping, custom, options }: Plan): AnyModule {
  if (module.qconfig === undefined || module.qconfig === null) return module;
  const quantizedClass = custom.observed_to_quantized_custom_module_class?.get(classOf(module));
  const target = mapping.get(classOf(module));
  let swapped: AnyModule;
  if (quantizedClass)
    swapped = quantizedClass.fromObserved(module as never, { convert: (child) => convert(child, options) });
  else if (target) swapped = target.fromFloat(module as never, options);
  else return module;
  moveIdentity(module, swapped);
  return swapped;
}

/**
 * The quantized module of an observed one by `mapping`, or the module itself when it has none or no qconfig.
 * @throws QuantError when its observers saw nothing.
 */
export function swapModule(module: AnyModule, options: ConvertOptions = {}): AnyModule {
  return swap(module, planOf(options));
}

/** Fused modules and observed custom modules are swapped as one, not part by part. */
function isUnit(module: AnyModule, { custom }: Plan): boolean {
  if (module instanceof FusedModule || module instanceof ConvBnNd || module instanceof LinearBn1d) return true;
  return custom.observed_to_quantized_custom_module_class?.has(classOf(module)) ?? false;
}

function convertChildren(module: AnyModule, plan: Plan): void {
  for (const [name, child] of module.namedChildren()) {
    if (!isUnit(child, plan)) convertChildren(child, plan);
    const swapped = swap(child, plan);
    if (swapped !== child) module.setChild(name, swapped);
  }
}

/** Swaps everything below a module and leaves qconfigs where they are. */
export function convertInPlace(module: AnyModule, options: ConvertOptions): void {
  convertChildren(module, planOf(options));
}

function removeQConfig(module: AnyModule): void {
  for (const child of module.children()) removeQConfig(child);
  delete module.qconfig;
  removeObserver(module);
}

/**
 * A copy of the model (or the model itself) with its observed modules quantized; the root itself is never swapped.
 * @throws QuantError when an observer saw no data (unless uninitializedObservers is "warn"), naming module and reason.
 */
export function convert<M extends AnyModule>(model: M, options: ConvertOptions = {}): M {
  const { inplace = false, removeQConfig: clean = true } = options;
  const converted = inplace ? model : model.clone();
  convertInPlace(converted, options);
  if (clean) removeQConfig(converted);
  return converted;
}
