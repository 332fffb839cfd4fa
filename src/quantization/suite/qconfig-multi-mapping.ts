/**
 * Several qconfigs for everything a QConfigMapping can name: as many mappings, filled together. Where one mapping has
 * a setting, the others have one too, null if need be, so that a wider setting of theirs does not step in.
 * Source: torch/ao/ns/fx/qconfig_multi_mapping.py.
 */

import { QConfigMapping } from "../fx/qconfig-mapping.ts";
import type { MappedQConfig } from "../fx/qconfig-mapping.ts";
import type { ObjectType } from "../fx/names.ts";
import { qconfigEquals } from "../qconfig.ts";

/** The qconfigs without null and repetitions. */
function distinct(qconfigs: readonly MappedQConfig[]): MappedQConfig[] {
  return qconfigs.filter(
    (qconfig, i) => qconfig !== null && qconfigs.findIndex((other) => qconfigEquals(other, qconfig)) === i,
  );
}

/** A mapping that says null wherever the given one says anything but globally. */
function nullsOf(mapping: QConfigMapping | undefined): QConfigMapping {
  const nulls = new QConfigMapping();
  if (!mapping) return nulls;
  for (const type of mapping.objectTypeQConfigs.keys()) nulls.setObjectType(type, null);
  for (const pattern of mapping.moduleNameRegexQConfigs.keys()) nulls.setModuleNameRegex(pattern, null);
  for (const name of mapping.moduleNameQConfigs.keys()) nulls.setModuleName(name, null);
  for (const { moduleName, objectType, index } of mapping.moduleNameObjectTypeOrderQConfigs)
    nulls.setModuleNameObjectTypeOrder(moduleName, objectType, index, null);
  return nulls;
}

/** Setters take a list of qconfigs each, and return the mapping. */
export class QConfigMultiMapping {
  readonly qconfigMappingsList: QConfigMapping[] = [];

  setGlobal(qconfigs: readonly MappedQConfig[]): this {
    return this.setAll(qconfigs, (mapping, qconfig) => mapping.setGlobal(qconfig));
  }

  setObjectType(type: ObjectType, qconfigs: readonly MappedQConfig[]): this {
    return this.setAll(qconfigs, (mapping, qconfig) => mapping.setObjectType(type, qconfig));
  }

  setModuleNameRegex(pattern: string, qconfigs: readonly MappedQConfig[]): this {
    return this.setAll(qconfigs, (mapping, qconfig) => mapping.setModuleNameRegex(pattern, qconfig));
  }

  setModuleName(name: string, qconfigs: readonly MappedQConfig[]): this {
    return this.setAll(qconfigs, (mapping, qconfig) => mapping.setModuleName(name, qconfig));
  }

  setModuleNameObjectTypeOrder(
    moduleName: string,
    type: ObjectType,
    index: number,
    qconfigs: readonly MappedQConfig[],
  ): this {
    return this.setAll(qconfigs, (mapping, qconfig) =>
      mapping.setModuleNameObjectTypeOrder(moduleName, type, index, qconfig),
    );
  }

  /** The mappings as they are, without filling up. */
  static fromListQConfigMapping(mappings: readonly QConfigMapping[]): QConfigMultiMapping {
    const multi = new QConfigMultiMapping();
    multi.qconfigMappingsList.push(...mappings.map((mapping) => mapping.copy()));
    return multi;
  }

  private setAll(
    qconfigs: readonly MappedQConfig[],
    set: (mapping: QConfigMapping, qconfig: MappedQConfig) => void,
  ): this {
    const given = distinct(qconfigs);
    const list = this.qconfigMappingsList;
    const nulls = nullsOf(list[0]);
    while (list.length < given.length) list.push(nulls.copy());
    list.forEach((mapping, i) => set(mapping, given[i] ?? null));
    return this;
  }
}
