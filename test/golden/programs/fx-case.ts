/**
 * A golden FX case's recipe in fewbit's terms: mapping, backend, custom configs; and its run.
 */

import * as nn from "../../../src/nn/index.ts";
import type { AnyModule } from "../../../src/nn/module.ts";
import { Linear as QuantizedLinear } from "../../../src/nn/quantized/index.ts";
import * as q from "../../../src/quantization/index.ts";
import * as fx from "../../../src/quantization/fx/index.ts";
import type { MappedQConfig } from "../../../src/quantization/fx/index.ts";
import { quantizePerTensor } from "../../../src/ops/quantize/native.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { Scale } from "./structures.ts";
import { typeNames } from "./fx-names.ts";
import { loadCase, loadModel } from "./load.ts";
import type { GoldenModel, ProgramCase } from "./load.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Fields = { readonly [key: string]: Json };

const named = q as unknown as Readonly<Record<string, unknown>>;

const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Named qconfigs whose names are more than PyTorch's in camel case. */
function namedQConfig(name: string): MappedQConfig {
  const key = camel(name).replace(/qconfig/i, "QConfig").replace(/Qparams/, "QParams");
  const found = named[key];
  if (!(found instanceof q.QConfig)) throw new Error(`there is no qconfig ${key}`);
  return found;
}

function factory(given: Json): q.ModuleFactory {
  const { class: type, observer, ...settings } = given as { class: string; observer?: Json };
  if (typeof observer === "string") return (named[type] as { withArgs(args: object): q.ModuleFactory }).withArgs({ ...settings, observer: named[observer] });
  const made = named[type] as { withArgs(args: object): q.ModuleFactory };
  return made.withArgs({ ...settings, ...(observer !== undefined && { observer: factory(observer) }) });
}

const ENGINES = ["x86", "fbgemm", "qnnpack", "onednn"];

function qconfig(given: Json): MappedQConfig {
  if (given === null) return null;
  if (typeof given === "string") return ENGINES.includes(given) ? q.getDefaultQConfig(given as "x86") : namedQConfig(given);
  const { activation, weight } = given as Fields;
  return new q.QConfig({ activation: factory(activation!), weight: factory(weight!) });
}

export function mappingOf(given: Json): fx.QConfigMapping {
  const { default: engine } = given as { readonly default?: "x86" };
  return withSettings(engine ? fx.getDefaultQConfigMapping(engine) : new fx.QConfigMapping(), given as Fields);
}

/** The same for training. */
export function qatMappingOf(given: Json): fx.QConfigMapping {
  const { default: engine } = given as { readonly default?: "x86" };
  return withSettings(engine ? fx.getDefaultQatQConfigMapping(engine) : new fx.QConfigMapping(), given as Fields);
}

function withSettings(mapping: fx.QConfigMapping, settings: Fields): fx.QConfigMapping {
  if (settings["global"] !== undefined) mapping.setGlobal(qconfig(settings["global"]));
  const list = (key: string): readonly (readonly Json[])[] => (settings[key] ?? []) as readonly (readonly Json[])[];
  for (const [type, value] of list("objectType")) for (const name of typeNames(type as string)) mapping.setObjectType(name, qconfig(value!));
  for (const [pattern, value] of list("moduleNameRegex")) mapping.setModuleNameRegex(pattern as string, qconfig(value!));
  for (const [name, value] of list("moduleName")) mapping.setModuleName(name as string, qconfig(value!));
  for (const [name, type, index, value] of list("moduleNameObjectTypeOrder")) {
    mapping.setModuleNameObjectTypeOrder(name as string, typeNames(type as string)[0]!, index as number, qconfig(value!));
  }
  return mapping;
}

const backends: Readonly<Record<string, () => fx.BackendConfig>> = {
  x86: fx.getX86BackendConfig,
  fbgemm: fx.getFbgemmBackendConfig,
  qnnpack: fx.getQnnpackBackendConfig,
  onednn: fx.getOnednnBackendConfig,
};

export function backendOf(recipe: Fields): fx.BackendConfig | null {
  const name = recipe["backendConfig"] as string | undefined;
  return name ? backends[name]!() : null;
}

interface CustomRecipe {
  readonly standaloneModuleNames?: readonly (readonly [string, Json])[];
  readonly standaloneModuleClasses?: readonly (readonly [string, Json])[];
  readonly nonTraceableModuleNames?: readonly string[];
  readonly nonTraceableModuleClasses?: readonly string[];
  readonly inputQuantizedIndexes?: readonly number[];
  readonly outputQuantizedIndexes?: readonly number[];
  readonly preservedAttributes?: readonly string[];
  readonly customScale?: boolean;
}

export function customOf(recipe: Fields): fx.PrepareCustomConfig {
  const given = (recipe["prepareCustom"] ?? {}) as CustomRecipe;
  const custom = new fx.PrepareCustomConfig();
  for (const [name, mapping] of given.standaloneModuleNames ?? []) custom.setStandaloneModuleName(name, mappingOf(mapping));
  for (const [type, mapping] of given.standaloneModuleClasses ?? []) custom.setStandaloneModuleClass(type, mappingOf(mapping));
  custom.setNonTraceableModuleNames(given.nonTraceableModuleNames ?? []);
  custom.setNonTraceableModuleClasses(given.nonTraceableModuleClasses ?? []);
  custom.setInputQuantizedIndexes(given.inputQuantizedIndexes ?? []);
  custom.setOutputQuantizedIndexes(given.outputQuantizedIndexes ?? []);
  custom.setPreservedAttributes(given.preservedAttributes ?? []);
  if (given.customScale) custom.setFloatToObservedMapping(Scale, ObservedScale);
  return custom;
}

/** What conversion is told: another mapping, attributes to carry along. */
export function convertOptionsOf(recipe: Fields): fx.ConvertFxOptions {
  const custom = new fx.ConvertCustomConfig().setPreservedAttributes((recipe["convertPreservedAttributes"] ?? []) as readonly string[]);
  custom.setObservedToQuantizedMapping(ObservedScale, QuantizedScale);
  const mapping = recipe["convertMapping"];
  const inputs = recipe["testInputQParams"] as fx.ConvertFxOptions["inputQParams"];
  return { convertCustomConfig: custom, engine: recipe["engine"] as "fbgemm", ...(mapping !== undefined && { qconfigMapping: mappingOf(mapping) }), ...(inputs && { inputQParams: inputs }) };
}

/** The test inputs, quantized where the case says so. */
export function testInputs({ recipe, data }: FxCase): readonly Tensor[] {
  const qparams = (recipe["testInputQParams"] ?? []) as readonly ({ scale: number; zeroPoint: number } | null)[];
  return data.test.map((x, i) => {
    const one = qparams[i];
    return one ? quantizePerTensor(x, one.scale, one.zeroPoint, "quint8") : x;
  });
}

/** The observed form of the custom module Scale: the same layer. */
export class ObservedScale extends nn.Module {
  fc: nn.Linear;

  constructor(fc: nn.Linear) {
    super();
    this.fc = fc;
  }

  forward(x: Tensor): Tensor {
    return this.fc.forward(x);
  }

  static fromFloat(float: AnyModule): ObservedScale {
    return new ObservedScale((float as unknown as Scale).fc);
  }
}

/** Its quantized form: takes and gives quint8, with the output parameters that were observed. */
export class QuantizedScale extends nn.Module {
  fc: QuantizedLinear;

  constructor(fc: QuantizedLinear) {
    super();
    this.fc = fc;
  }

  forward(x: Tensor): Tensor {
    return this.fc.forward(x);
  }

  static fromObserved(observed: AnyModule): QuantizedScale {
    const { fc, qconfig, activationPostProcess } = observed as unknown as ObservedScale & { activationPostProcess: AnyModule };
    return new QuantizedScale(QuantizedLinear.fromFloat(Object.assign(fc, { qconfig, activationPostProcess })));
  }
}

export interface FxCase {
  readonly golden: ProgramCase;
  readonly recipe: Fields;
  readonly data: GoldenModel;
  prepare(): fx.ObservedGraphModule;
}

/** A case ready to be prepared. */
export function fxCase(name: string): FxCase {
  const golden = loadCase("fx", name);
  const recipe = golden.case as unknown as Fields;
  const data = loadModel(golden.case.model);
  Object.assign(data.model, recipe["attributes"] ?? {});
  const prepare = (): fx.ObservedGraphModule =>
    fx.prepareFx(data.model, mappingOf(recipe["mapping"]!), data.calibration[0]!, customOf(recipe), backendOf(recipe), { equalize: recipe["equalization"] === true });
  return { golden, recipe, data, prepare };
}
