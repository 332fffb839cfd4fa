/**
 * Exceptions to what settings and backend say: modules quantized on their own, modules nobody looks into, modules
 * with observed and quantized forms of their own, integer inputs and outputs, attributes to carry along.
 * Source: torch/ao/quantization/fx/custom_config.py.
 */

import { QuantError } from "../../errors.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { BackendConfig } from "./backend-config.ts";
import { objectTypeName, unknownName } from "./names.ts";
import type { ObjectType } from "./names.ts";
import type { QConfigMapping } from "./qconfig-mapping.ts";

/** How a standalone module is prepared; what is left out comes from its parent. */
export interface StandaloneModuleConfigEntry {
  readonly qconfigMapping: QConfigMapping | null;
  readonly exampleInputs: readonly unknown[] | null;
  readonly prepareCustomConfig: PrepareCustomConfig | null;
  readonly backendConfig: BackendConfig | null;
}

/** The form of a custom module that is observed, made from the float one. */
export interface ObservedClass {
  fromFloat(float: AnyModule): AnyModule;
}

/** The form of a custom module that runs in integers, made from the observed one. */
export interface QuantizedClass {
  fromObserved(observed: AnyModule): AnyModule;
}

export class PrepareCustomConfig {
  readonly standaloneModuleNames = new Map<string, StandaloneModuleConfigEntry>();
  readonly standaloneModuleClasses = new Map<string, StandaloneModuleConfigEntry>();
  readonly floatToObservedMapping = new Map<string, ObservedClass>();
  nonTraceableModuleNames: readonly string[] = [];
  nonTraceableModuleClasses: readonly string[] = [];
  inputQuantizedIndexes: readonly number[] = [];
  outputQuantizedIndexes: readonly number[] = [];
  preservedAttributes: readonly string[] = [];

  /** This module is prepared and converted as a model of its own. */
  setStandaloneModuleName(
    name: string,
    qconfigMapping: QConfigMapping | null = null,
    exampleInputs: readonly unknown[] | null = null,
    prepareCustomConfig: PrepareCustomConfig | null = null,
    backendConfig: BackendConfig | null = null,
  ): this {
    this.standaloneModuleNames.set(name, { qconfigMapping, exampleInputs, prepareCustomConfig, backendConfig });
    return this;
  }

  /** The same for every module of a class. */
  setStandaloneModuleClass(
    type: ObjectType,
    qconfigMapping: QConfigMapping | null = null,
    exampleInputs: readonly unknown[] | null = null,
    prepareCustomConfig: PrepareCustomConfig | null = null,
    backendConfig: BackendConfig | null = null,
  ): this {
    this.standaloneModuleClasses.set(objectTypeName(type), {
      qconfigMapping,
      exampleInputs,
      prepareCustomConfig,
      backendConfig,
    });
    return this;
  }

  /** Modules of a class are replaced by their observed form, which is observed like a layer. */
  setFloatToObservedMapping(float: ObjectType, observed: ObservedClass): this {
    this.floatToObservedMapping.set(objectTypeName(float), observed);
    return this;
  }

  /** These modules are called as a whole and stay float. */
  setNonTraceableModuleNames(names: readonly string[]): this {
    this.nonTraceableModuleNames = [...names];
    return this;
  }

  setNonTraceableModuleClasses(types: readonly ObjectType[]): this {
    this.nonTraceableModuleClasses = types.map(objectTypeName);
    return this;
  }

  /** Inputs, by position, that will be quint8 tensors. */
  setInputQuantizedIndexes(indexes: readonly number[]): this {
    this.inputQuantizedIndexes = [...indexes];
    return this;
  }

  /** Outputs, by position, that stay quantized. */
  setOutputQuantizedIndexes(indexes: readonly number[]): this {
    this.outputQuantizedIndexes = [...indexes];
    return this;
  }

  setPreservedAttributes(names: readonly string[]): this {
    this.preservedAttributes = [...names];
    return this;
  }
}

export class ConvertCustomConfig {
  readonly observedToQuantizedMapping = new Map<string, QuantizedClass>();
  preservedAttributes: readonly string[] = [];

  setObservedToQuantizedMapping(observed: ObjectType, quantized: QuantizedClass): this {
    this.observedToQuantizedMapping.set(objectTypeName(observed), quantized);
    return this;
  }

  setPreservedAttributes(names: readonly string[]): this {
    this.preservedAttributes = [...names];
    return this;
  }
}

export class FuseCustomConfig {
  preservedAttributes: readonly string[] = [];

  setPreservedAttributes(names: readonly string[]): this {
    this.preservedAttributes = [...names];
    return this;
  }
}

/** Copies attributes onto a graph's `preserved`. @throws QuantError for one the model does not have. */
export function keepAttributes<G extends GraphModule>(to: G, from: AnyModule, names: readonly string[]): G {
  const source = { ...from, ...("preserved" in from ? (from.preserved as object) : {}) } as Record<string, unknown>;
  for (const name of names) {
    if (!Object.hasOwn(source, name)) unknownName("preservedAttributes", "attribute", name, Object.keys(source));
    to.preserved[name] = source[name];
  }
  return to;
}

/** Checks names and positions against the model. @throws QuantError listing near names, or the number there is. */
export function checkPrepareCustomConfig(model: AnyModule, config: PrepareCustomConfig): void {
  const modules = model.namedModules();
  const paths = modules.map(([path]) => path);
  const types = modules.map(([, { constructor }]) => constructor.name);
  for (const name of [...config.standaloneModuleNames.keys(), ...config.nonTraceableModuleNames]) {
    if (!paths.includes(name)) unknownName("PrepareCustomConfig", "module", name, paths);
  }
  const classes = [
    ...config.standaloneModuleClasses.keys(),
    ...config.nonTraceableModuleClasses,
    ...config.floatToObservedMapping.keys(),
  ];
  for (const type of classes)
    if (!types.includes(type)) unknownName("PrepareCustomConfig", "module class", type, types);
}

/** @throws QuantError for positions the graph does not have. */
export function checkIndexes(what: string, indexes: readonly number[], count: number): void {
  for (const index of indexes) {
    if (!(Number.isInteger(index) && index >= 0 && index < count)) {
      throw new QuantError("PrepareCustomConfig", { [what]: index, count }, "a position must be one of the model's");
    }
  }
}
