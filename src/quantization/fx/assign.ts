/**
 * Which qconfig each unit has, by the five levels of a mapping.
 *
 * Layers are looked up by their own path and class; operators by their name, then by the path and class of the module
 * that calls them. A fused unit has its parts' setting by type, which must be one.
 * Source: torch/ao/quantization/fx/qconfig_mapping_utils.py.
 */

import { QuantError } from "../../errors.ts";
import { hasOp } from "../../ops/op.ts";
import { qconfigEquals } from "../qconfig.ts";
import type { BackendConfig, BackendPattern } from "./backend-config.ts";
import { unknownName } from "./names.ts";
import { qconfigByOrder, qconfigFor } from "./qconfig-mapping.ts";
import type { MappedQConfig, QConfigMapping } from "./qconfig-mapping.ts";
import { isLibraryLayerName } from "./trace.ts";
import type { Unit } from "./units.ts";

/** The one setting by type of a fused unit's parts; undefined when they have none. @throws QuantError when they differ. */
function typeSettingOf(mapping: QConfigMapping, { record }: Unit): MappedQConfig | undefined {
  const settings = record.parts.map((part) => mapping.objectTypeQConfigs.get(part));
  const differs = settings.some(
    (setting) => (setting === undefined) !== (settings[0] === undefined) || !qconfigEquals(setting, settings[0]),
  );
  if (differs) {
    throw new QuantError(
      "prepare",
      { unit: record.type, parts: record.parts, path: record.path },
      "the parts of a fused unit must have equal qconfigs by type",
      "Set the same qconfig for every part",
    );
  }
  return settings[0];
}

/** The mapping with settings for the fused types that occur. */
function withFusedTypes(mapping: QConfigMapping, units: readonly Unit[]): QConfigMapping {
  const fused = mapping.copy();
  for (const unit of units) {
    if (!unit.isLayer || unit.record.parts.length < 2) continue;
    const setting = typeSettingOf(mapping, unit);
    if (setting !== undefined) fused.objectTypeQConfigs.set(unit.type, setting);
  }
  return fused;
}

function parentPath(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("."), 0));
}

/** The qconfig of every unit; null for those left float. @throws QuantError when the parts of a fused unit disagree. */
export function assignQConfigs(given: QConfigMapping, units: readonly Unit[]): Map<Unit, MappedQConfig> {
  const mapping = withFusedTypes(given, units);
  const counts = new Map<string, number>();
  const assigned = new Map<Unit, MappedQConfig>();
  for (const unit of units) {
    const { path, parentType } = unit.record;
    const owner = unit.isLayer ? parentPath(path) : path;
    const count = `${owner} ${unit.type}`;
    const index = counts.get(count) ?? 0;
    counts.set(count, index + 1);
    const byType = unit.isLayer
      ? mapping.globalQConfig
      : qconfigFor(withoutNames(mapping), unit.type, "", mapping.globalQConfig);
    const found = qconfigFor(mapping, unit.isLayer ? unit.type : parentType, path, byType);
    assigned.set(unit, qconfigByOrder(mapping, owner, unit.type, index, found));
  }
  return assigned;
}

/** Only the levels global and object type. */
function withoutNames(mapping: QConfigMapping): QConfigMapping {
  const types = mapping.copy();
  types.moduleNameQConfigs.clear();
  types.moduleNameRegexQConfigs.clear();
  return types;
}

function typesIn(pattern: BackendPattern): string[] {
  return typeof pattern === "string" ? [pattern] : (pattern as readonly BackendPattern[]).flatMap(typesIn);
}

/**
 * Refuses settings that are about nothing: names and patterns no module has, and types that are neither in the model
 * nor known to the library. @param modules class name by path, root included under "".
 * @throws QuantError listing the names most like the one given.
 */
export function checkMapping(
  mapping: QConfigMapping,
  modules: ReadonlyMap<string, string>,
  backend: BackendConfig,
): void {
  const paths = [...modules.keys()].filter((path) => path !== "");
  for (const name of mapping.moduleNameQConfigs.keys())
    if (!modules.has(name)) unknownName("QConfigMapping", "module name", name, paths);
  for (const pattern of mapping.moduleNameRegexQConfigs.keys()) {
    const regex = new RegExp(`^(?:${pattern})`);
    if (!paths.some((path) => regex.test(path))) unknownName("QConfigMapping", "module-name pattern", pattern, paths);
  }
  const orders = mapping.moduleNameObjectTypeOrderQConfigs;
  for (const { moduleName } of orders)
    if (!modules.has(moduleName)) unknownName("QConfigMapping", "module name", moduleName, paths);
  const listed = new Set([...modules.values(), ...backend.configs.flatMap(({ pattern }) => typesIn(pattern))]);
  for (const type of [...mapping.objectTypeQConfigs.keys(), ...orders.map(({ objectType }) => objectType)]) {
    if (!listed.has(type) && !hasOp(type) && !isLibraryLayerName(type))
      unknownName("QConfigMapping", "object type", type, listed);
  }
}
