/**
 * Handing qconfigs down the module tree, and telling every module its path.
 *
 * A module's qconfig is, in rising order: what its parent has, what the dictionary says for its class, what it says for
 * its path, and the module's own property. Source: propagate_qconfig_, torch/ao/quantization/quantize.py.
 */

import { QuantError } from "../../errors.ts";
import type { AnyModule } from "../../nn/module.ts";
import { QConfig } from "../qconfig.ts";
import type { QConfigAny } from "../qconfig.ts";
import type { CustomConfig, ModuleClass } from "./types.ts";
import { classOf } from "./types.ts";

/** QConfigs by class or by dotted path ("" is the root); null switches quantization off. */
export type QConfigDict = ReadonlyMap<ModuleClass | string, QConfig | null>;

function ownQConfig(module: AnyModule): QConfigAny {
  const { qconfig } = module;
  if (qconfig === undefined || qconfig === null || qconfig instanceof QConfig) return qconfig;
  throw new QuantError(
    module.path || module.constructor.name,
    { qconfig: typeof qconfig },
    "qconfig must be a QConfig or null",
  );
}

function lookUp(dict: QConfigDict, key: ModuleClass | string, otherwise: QConfigAny): QConfigAny {
  return dict.has(key) ? dict.get(key) : otherwise;
}

function isExcluded(name: string, child: AnyModule, config: CustomConfig | undefined): boolean {
  if (config?.non_traceable_module_name?.includes(name)) return true;
  return config?.non_traceable_module_class?.includes(classOf(child)) ?? false;
}

function propagate(
  module: AnyModule,
  dict: QConfigDict,
  inherited: QConfigAny,
  path: string,
  custom?: CustomConfig,
): void {
  if (path !== "" || module.path === "") module.path = path;
  const given = lookUp(dict, path, lookUp(dict, classOf(module), inherited));
  const own = ownQConfig(module);
  const qconfig = own === undefined ? given : own;
  if (qconfig !== undefined) module.qconfig = qconfig;
  for (const [name, child] of module.namedChildren()) {
    // Exclusions concern direct children of the root only, as in PyTorch.
    if (isExcluded(name, child, custom)) continue;
    propagate(child, dict, qconfig, path ? `${path}.${name}` : name);
  }
}

/**
 * Sets `qconfig` on every module below `model`, in place, and `path`, by which errors name modules.
 * @throws QuantError when a qconfig is not a QConfig.
 */
export function propagateQConfig(
  model: AnyModule,
  qconfigDict: QConfigDict = new Map(),
  prepareCustomConfigDict?: CustomConfig,
): void {
  propagate(model, qconfigDict, undefined, "", prepareCustomConfigDict);
}
