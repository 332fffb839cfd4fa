/**
 * Units: the modules that quantization treats as one thing. A capture calls them as a whole, because they are what
 * eager mode observes and swaps. Which classes those are is read from eager mode's own tables.
 */

import { FusedModule } from "../../nn/intrinsic/fused.ts";
import type { AnyModule } from "../../nn/module.ts";
import {
  getDefaultCustomConfigDict,
  getDefaultDynamicQuantModuleMappings,
  getEmbeddingQatModuleMappings,
  getEmbeddingStaticQuantModuleMappings,
} from "../../quantization/eager/mappings.ts";
import { classOf } from "../../quantization/eager/types.ts";
import type { ModuleClass } from "../../quantization/eager/types.ts";
import { UniformQuantizationObserverBase } from "../../quantization/observers/base.ts";
import { isLibraryLayer } from "../../quantization/fx/trace.ts";

const custom = getDefaultCustomConfigDict();

function classesOfTables(): Set<ModuleClass> {
  const swaps = [
    getEmbeddingStaticQuantModuleMappings(),
    getEmbeddingQatModuleMappings(),
    getDefaultDynamicQuantModuleMappings(),
    custom.float_to_observed_custom_module_class!,
    custom.observed_to_quantized_custom_module_class!,
  ];
  return new Set(swaps.flatMap((swap) => [...swap].flat() as unknown as ModuleClass[]));
}

const tables = classesOfTables();
const staticTable = getEmbeddingStaticQuantModuleMappings();

/** Whether a module looks at tensors and returns them: an observer or a fake-quantize. */
export function isWatcher(module: AnyModule): boolean {
  return module.isGraphLeaf && "calculateQParams" in module;
}

/** Whether a module learns parameters from calibration data: fixed and dynamic observers need none. */
export function learnsFromData(module: AnyModule | undefined): module is UniformQuantizationObserverBase {
  return module instanceof UniformQuantizationObserverBase && !module.isDynamic;
}

/** Whether a capture should call the module as a whole. */
export function isUnit(module: AnyModule): boolean {
  if (tables.has(classOf(module)) || module instanceof FusedModule || isWatcher(module)) return true;
  return isLibraryLayer(module) && module.children().every(isWatcher);
}

/** Whether static eager quantization has an integer class for the module. */
export function isSwappable(module: AnyModule): boolean {
  const key = classOf(module);
  return staticTable.has(key) || (custom.float_to_observed_custom_module_class?.has(key) ?? false);
}

/** Outermost units of a model by path, watchers left out; a module used under several names counts under its first. */
export function outermostUnits(root: AnyModule): [string, AnyModule][] {
  const found: [string, AnyModule][] = [];
  for (const [path, module] of root.namedModules()) {
    if (path === "" || isWatcher(module) || found.some(([outer]) => path.startsWith(`${outer}.`))) continue;
    if (isUnit(module)) found.push([path, module]);
  }
  return found;
}
