/**
 * quantizeModel: torchao's `quantize_`. Replaces the linear layers of a model, in place, by what a config makes of
 * them; which layers, a filter or a map of names decides.
 */

import { ArgumentError, QuantError } from "../../errors.ts";
import { Linear } from "../../nn/linear.ts";
import type { AnyModule } from "../../nn/module.ts";
import { EPS } from "../../ops/quantize/numerics.ts";
import { halved, intxRange, quantizeToAffine } from "./affine-weight.ts";
import {
  Int4WeightOnlyConfig,
  Int8DynamicActivationInt8WeightConfig,
  Int8DynamicActivationIntxWeightConfig,
  Int8StaticActivationInt8WeightConfig,
  Int8WeightOnlyConfig,
  IntxWeightOnlyConfig,
} from "./configs.ts";
import {
  Float8DynamicActivationFloat8WeightConfig,
  Float8DynamicActivationInt4WeightConfig,
  Float8StaticActivationFloat8WeightConfig,
  Float8WeightOnlyConfig,
} from "./float8-configs.ts";
import { Float8Linear } from "./float8-linear.ts";
import { PerGroup } from "./granularity.ts";
import { AffineQuantizedLinear } from "./linear.ts";

/** Makes the replacement of a module; the module itself when there is nothing to do. */
export type ModuleHandler<C> = (module: AnyModule, config: C) => AnyModule;
type ConfigClass<C> = new (...args: never[]) => C;
export type FilterFn = (module: AnyModule, name: string) => boolean;

const handlers = new Map<ConfigClass<unknown>, ModuleHandler<never>>();

/** Teaches `quantizeModel` what to do for a class of configs; later calls for the same class win. */
export function registerQuantizeModuleHandler<C>(config: ConfigClass<C>, handler: ModuleHandler<C>): void {
  handlers.set(config, handler);
}

function requireLinear(config: string, module: AnyModule): Linear {
  if (module instanceof Linear) return module;
  throw new QuantError(
    config,
    { module: module.constructor.name, path: module.path },
    "can quantize linear layers only",
    "Narrow the filter",
  );
}

const INT8 = intxRange("int8");

registerQuantizeModuleHandler(Int8WeightOnlyConfig, (module, { granularity }) => {
  const layer = requireLinear("Int8WeightOnlyConfig", module);
  const weight = quantizeToAffine(layer.weight.detach(), {
    granularity,
    mappingType: "SYMMETRIC",
    range: INT8,
    eps: EPS,
  });
  return AffineQuantizedLinear.fromFloat(layer, weight, { kind: "float" });
});

registerQuantizeModuleHandler(
  Int8DynamicActivationInt8WeightConfig,
  (module, { granularity, actMappingType, reduceRange }) => {
    const layer = requireLinear("Int8DynamicActivationInt8WeightConfig", module);
    const range = reduceRange ? halved(INT8) : INT8;
    const weight = quantizeToAffine(layer.weight.detach(), { granularity, mappingType: "SYMMETRIC", range, eps: EPS });
    return AffineQuantizedLinear.fromFloat(layer, weight, {
      kind: "integer",
      granularity,
      mappingType: actMappingType,
      range,
      fixed: null,
    });
  },
);

registerQuantizeModuleHandler(Int8StaticActivationInt8WeightConfig, (module, config) => {
  const { granularity, reduceRange, actQuantScale, actQuantZeroPoint } = config;
  const layer = requireLinear("Int8StaticActivationInt8WeightConfig", module);
  const range = reduceRange ? halved(INT8) : INT8;
  const weight = quantizeToAffine(layer.weight.detach(), { granularity, mappingType: "SYMMETRIC", range, eps: EPS });
  const fixed = { scale: actQuantScale, zeroPoint: actQuantZeroPoint };
  const mappingType = actQuantZeroPoint ? "ASYMMETRIC" : "SYMMETRIC";
  return AffineQuantizedLinear.fromFloat(layer, weight, { kind: "integer", granularity, mappingType, range, fixed });
});

registerQuantizeModuleHandler(IntxWeightOnlyConfig, (module, { weightDtype, granularity, mappingType }) => {
  const layer = requireLinear("IntxWeightOnlyConfig", module);
  const weight = quantizeToAffine(layer.weight.detach(), { granularity, mappingType, range: intxRange(weightDtype) });
  return AffineQuantizedLinear.fromFloat(layer, weight, { kind: "float" });
});

registerQuantizeModuleHandler(
  Int8DynamicActivationIntxWeightConfig,
  (module, { weightDtype, weightGranularity, weightMappingType }) => {
    const layer = requireLinear("Int8DynamicActivationIntxWeightConfig", module);
    const range = intxRange(weightDtype);
    const weight = quantizeToAffine(layer.weight.detach(), {
      granularity: weightGranularity,
      mappingType: weightMappingType,
      range,
    });
    return AffineQuantizedLinear.fromFloat(layer, weight, { kind: "perToken" });
  },
);

/** Layers whose width is no multiple of the group are left as they are, as in torchao. */
registerQuantizeModuleHandler(Int4WeightOnlyConfig, (module, { groupSize }) => {
  const layer = requireLinear("Int4WeightOnlyConfig", module);
  if (layer.weight.size(-1) % groupSize !== 0) return module;
  const settings = {
    granularity: new PerGroup(groupSize),
    mappingType: "ASYMMETRIC",
    range: intxRange("int4"),
  } as const;
  return AffineQuantizedLinear.fromFloat(layer, quantizeToAffine(layer.weight.detach(), settings), { kind: "float" });
});

registerQuantizeModuleHandler(Float8WeightOnlyConfig, (module, { weightDtype, granularity }) => {
  const layer = requireLinear("Float8WeightOnlyConfig", module);
  return Float8Linear.fromFloat(layer, { dtype: weightDtype, granularity }, null);
});

registerQuantizeModuleHandler(Float8DynamicActivationFloat8WeightConfig, (module, config) => {
  const { activationDtype, weightDtype, granularity, activationValueLb, activationValueUb } = config;
  const layer = requireLinear("Float8DynamicActivationFloat8WeightConfig", module);
  const bounds = { valueLb: activationValueLb, valueUb: activationValueUb };
  const activation = { dtype: activationDtype, granularity, scale: null, ...bounds };
  return Float8Linear.fromFloat(layer, { dtype: weightDtype, granularity }, activation);
});

registerQuantizeModuleHandler(Float8StaticActivationFloat8WeightConfig, (module, config) => {
  const { scale, activationDtype, weightDtype, granularity } = config;
  const layer = requireLinear("Float8StaticActivationFloat8WeightConfig", module);
  return Float8Linear.fromFloat(
    layer,
    { dtype: weightDtype, granularity },
    { dtype: activationDtype, granularity, scale },
  );
});

/** Layers whose width is no multiple of the group are left as they are. */
registerQuantizeModuleHandler(Float8DynamicActivationInt4WeightConfig, (module, { groupSize }) => {
  const layer = requireLinear("Float8DynamicActivationInt4WeightConfig", module);
  if (layer.weight.size(-1) % groupSize !== 0) return module;
  const settings = {
    granularity: new PerGroup(groupSize),
    mappingType: "SYMMETRIC",
    range: intxRange("int4"),
  } as const;
  const weight = quantizeToAffine(layer.weight.detach(), settings);
  return AffineQuantizedLinear.fromFloat(layer, weight, { kind: "float8PerRow" });
});

/**
 * Configs by name: exact names first, then `re:` patterns (which must match the whole name) in the order given;
 * null leaves a module as it is.
 */
export class FqnToConfig {
  readonly entries: readonly (readonly [name: string, config: object | null])[];

  constructor(entries: Iterable<readonly [string, object | null]>) {
    this.entries = [...entries];
    Object.freeze(this);
  }

  /** The config of a module; undefined when no entry names it. */
  find(name: string): object | null | undefined {
    const exact = this.entries.find(([key]) => key === name || key === `${name}.weight`);
    if (exact) return exact[1];
    return this.entries.find(([key]) => key.startsWith("re:") && new RegExp(`^(?:${key.slice(3)})$`).test(name))?.[1];
  }
}

function isLinear(module: AnyModule): boolean {
  return module instanceof Linear;
}

/** @throws QuantError for a class of configs without handler. */
function handlerOf(config: object): ModuleHandler<never> {
  const handler = handlers.get(config.constructor as ConfigClass<unknown>);
  if (handler) return handler;
  throw new QuantError(
    "quantizeModel",
    { config: config.constructor.name },
    "there is no handler for this class of config",
    "Add one with registerQuantizeModuleHandler",
  );
}

/** What a config makes of one module. @throws QuantError for a class of configs without handler. */
export function quantizeWith(module: AnyModule, config: object): AnyModule {
  return handlerOf(config)(module, config as never);
}

function replace(model: AnyModule, path: string, module: AnyModule, config: object): void {
  if (path === "")
    throw new QuantError(
      "quantizeModel",
      { module: module.constructor.name },
      "the root itself cannot be replaced",
      "Put it into a Sequential",
    );
  module.path = path;
  const replacement = quantizeWith(module, config);
  if (replacement !== module) model.setSubmodule(path, replacement);
}

/**
 * Quantizes the modules a filter accepts (linear layers by default), or those a FqnToConfig names, in place.
 * @throws QuantError for configs without handler and modules a config cannot take; ArgumentError for a filter beside
 * a FqnToConfig, and for names in it that match nothing.
 */
export function quantizeModel(
  model: AnyModule,
  config: object,
  filterFn: FilterFn | null = config instanceof FqnToConfig ? null : isLinear,
): void {
  const modules = model.namedModules();
  if (!(config instanceof FqnToConfig)) {
    handlerOf(config);
    for (const [path, module] of modules) if (filterFn?.(module, path)) replace(model, path, module, config);
    return;
  }
  if (filterFn)
    throw new ArgumentError("quantizeModel", {}, "a FqnToConfig names its modules, so there must be no filter");
  const unmatched = config.entries.filter(
    ([key]) => !modules.some(([path]) => new FqnToConfig([[key, {}]]).find(path) !== undefined),
  );
  if (unmatched.length > 0) {
    throw new ArgumentError(
      "quantizeModel",
      {
        unmatched: unmatched.map(([key]) => key),
        modules: modules.filter(([, module]) => isLinear(module)).map(([path]) => path),
      },
      "names that match no module",
    );
  }
  for (const [path, module] of modules) {
    const own = config.find(path);
    if (own && isLinear(module)) replace(model, path, module, own);
  }
}
