/**
 * Shared types of the eager flow: module classes as table keys, and the custom-module contract.
 */

import type { AnyModule } from "../../nn/module.ts";
import type { ConvertTools, PrepareTools } from "../../nn/quantizable/tools.ts";
import type { FromFloatOptions } from "../../nn/quantized/observed.ts";

/** A class of modules, as a key of tables. */
export type ModuleClass = abstract new (...args: never[]) => AnyModule;

/** What a swap table's values must offer: how to make one from the module they replace. */
export interface FromFloat {
  readonly name: string;
  fromFloat(module: never, options?: FromFloatOptions): AnyModule;
}

/** Which class replaces which. */
export type ModuleMapping = ReadonlyMap<ModuleClass, FromFloat>;

/** An observed custom class: makes itself from a float module and prepares its own children. */
export interface ObservedClass {
  readonly name: string;
  fromFloat(module: never, tools: PrepareTools): AnyModule;
}

/** A quantized custom class: makes itself from an observed module. */
export interface QuantizedClass {
  readonly name: string;
  fromObserved(module: never, tools: ConvertTools): AnyModule;
}

/** Keys as in PyTorch's dictionaries. */
export interface CustomConfig {
  readonly float_to_observed_custom_module_class?: ReadonlyMap<ModuleClass, ObservedClass>;
  readonly observed_to_quantized_custom_module_class?: ReadonlyMap<ModuleClass, QuantizedClass>;
  /** Names and classes of direct children that keep their qconfig to themselves. */
  readonly non_traceable_module_name?: readonly string[];
  readonly non_traceable_module_class?: readonly ModuleClass[];
}

/** The class of a module, as a key. */
export function classOf(module: AnyModule): ModuleClass {
  return module.constructor as unknown as ModuleClass;
}
