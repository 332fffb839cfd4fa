/**
 * QConfigMapping: which part of a model is quantized how, at five levels. From weakest to strongest: global, object
 * type, module-name pattern, module name, and the n-th call of a type within a module.
 * Source: torch/ao/quantization/qconfig_mapping.py and fx/qconfig_mapping_utils.py.
 */

import { ArgumentError } from "../../errors.ts";
import { qconfigEquals } from "../qconfig.ts";
import type { QConfig } from "../qconfig.ts";
import { objectTypeName } from "./names.ts";
import type { ObjectType } from "./names.ts";

/** null says: leave it float. */
export type MappedQConfig = QConfig | null;

/** A setting for the `index`-th call of a type within a module. */
export interface ObjectTypeOrder {
  readonly moduleName: string;
  readonly objectType: string;
  readonly index: number;
  readonly qconfig: MappedQConfig;
}

/** The same settings as plain data: `""` global, the rest lists of entries. */
export interface QConfigDict {
  readonly ""?: MappedQConfig;
  readonly object_type?: readonly (readonly [ObjectType, MappedQConfig])[];
  readonly module_name_regex?: readonly (readonly [string, MappedQConfig])[];
  readonly module_name?: readonly (readonly [string, MappedQConfig])[];
  readonly module_name_object_type_order?: readonly (readonly [string, ObjectType, number, MappedQConfig])[];
}

const DICT_KEYS = ["", "object_type", "module_name_regex", "module_name", "module_name_object_type_order"];

/** Settings are kept in the order they were made; setting a name again replaces its qconfig in place. */
export class QConfigMapping {
  globalQConfig: MappedQConfig = null;
  readonly objectTypeQConfigs = new Map<string, MappedQConfig>();
  readonly moduleNameRegexQConfigs = new Map<string, MappedQConfig>();
  readonly moduleNameQConfigs = new Map<string, MappedQConfig>();
  readonly moduleNameObjectTypeOrderQConfigs: ObjectTypeOrder[] = [];

  setGlobal(qconfig: MappedQConfig): this {
    this.globalQConfig = qconfig;
    return this;
  }

  setObjectType(type: ObjectType, qconfig: MappedQConfig): this {
    this.objectTypeQConfigs.set(objectTypeName(type), qconfig);
    return this;
  }

  /** The pattern is matched from the start of a module's path; the first pattern set that matches wins. */
  setModuleNameRegex(pattern: string, qconfig: MappedQConfig): this {
    this.moduleNameRegexQConfigs.set(pattern, qconfig);
    return this;
  }

  /** Also for everything inside the module, unless that has a setting of its own. */
  setModuleName(name: string, qconfig: MappedQConfig): this {
    this.moduleNameQConfigs.set(name, qconfig);
    return this;
  }

  setModuleNameObjectTypeOrder(moduleName: string, type: ObjectType, index: number, qconfig: MappedQConfig): this {
    const entry = { moduleName, objectType: objectTypeName(type), index, qconfig };
    const list = this.moduleNameObjectTypeOrderQConfigs;
    const at = list.findIndex(
      (old) => old.moduleName === moduleName && old.objectType === entry.objectType && old.index === index,
    );
    list.splice(at < 0 ? list.length : at, 1, entry);
    return this;
  }

  /** @throws ArgumentError for a key that is none of the five levels. */
  static fromDict(dict: QConfigDict): QConfigMapping {
    for (const key of Object.keys(dict)) {
      if (!DICT_KEYS.includes(key))
        throw new ArgumentError("QConfigMapping.fromDict", { key, known: DICT_KEYS }, "the key names no level");
    }
    const mapping = new QConfigMapping().setGlobal(dict[""] ?? null);
    for (const [type, qconfig] of dict.object_type ?? []) mapping.setObjectType(type, qconfig);
    for (const [pattern, qconfig] of dict.module_name_regex ?? []) mapping.setModuleNameRegex(pattern, qconfig);
    for (const [name, qconfig] of dict.module_name ?? []) mapping.setModuleName(name, qconfig);
    for (const [name, type, index, qconfig] of dict.module_name_object_type_order ?? []) {
      mapping.setModuleNameObjectTypeOrder(name, type, index, qconfig);
    }
    return mapping;
  }

  toDict(): QConfigDict {
    return {
      "": this.globalQConfig,
      object_type: [...this.objectTypeQConfigs],
      module_name_regex: [...this.moduleNameRegexQConfigs],
      module_name: [...this.moduleNameQConfigs],
      module_name_object_type_order: this.moduleNameObjectTypeOrderQConfigs.map(
        ({ moduleName, objectType, index, qconfig }) => [moduleName, objectType, index, qconfig] as const,
      ),
    };
  }

  copy(): QConfigMapping {
    return QConfigMapping.fromDict(this.toDict());
  }
}

function byModuleName(mapping: QConfigMapping, path: string, fallback: MappedQConfig): MappedQConfig {
  for (let name = path; name !== ""; name = name.slice(0, Math.max(name.lastIndexOf("."), 0))) {
    const found = mapping.moduleNameQConfigs.get(name);
    if (found !== undefined) return found;
  }
  return fallback;
}

function byRegex(mapping: QConfigMapping, path: string, fallback: MappedQConfig): MappedQConfig {
  for (const [pattern, qconfig] of mapping.moduleNameRegexQConfigs) {
    if (new RegExp(`^(?:${pattern})`).test(path)) return qconfig;
  }
  return fallback;
}

/** The qconfig of something of this type at this path, without the order level. */
export function qconfigFor(mapping: QConfigMapping, type: string, path: string, weakest: MappedQConfig): MappedQConfig {
  const byType = mapping.objectTypeQConfigs.get(type);
  return byModuleName(mapping, path, byRegex(mapping, path, byType === undefined ? weakest : byType));
}

/** The order level: the setting for the `index`-th call of the type in the module, or the fallback. */
export function qconfigByOrder(
  mapping: QConfigMapping,
  path: string,
  type: string,
  index: number,
  fallback: MappedQConfig,
): MappedQConfig {
  const found = mapping.moduleNameObjectTypeOrderQConfigs.find(
    (entry) => entry.moduleName === path && entry.objectType === type && entry.index === index,
  );
  return found ? found.qconfig : fallback;
}

/** Two mappings' equally named settings that differ, where the second may also say null; empty when it fits. */
export function conflictsWith(prepared: QConfigMapping, converted: QConfigMapping): string[] {
  const differs = (a: MappedQConfig, b: MappedQConfig | undefined): boolean =>
    b === undefined || (b !== null && !qconfigEquals(a, b));
  const levels = ["objectTypeQConfigs", "moduleNameRegexQConfigs", "moduleNameQConfigs"] as const;
  const conflicts = levels.flatMap((level) =>
    [...prepared[level]].flatMap(([name, qconfig]) => (differs(qconfig, converted[level].get(name)) ? [name] : [])),
  );
  return qconfigEquals(prepared.globalQConfig, converted.globalQConfig) ? conflicts : ["global", ...conflicts];
}
