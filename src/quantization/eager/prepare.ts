/**
 * `prepare`: observers where a static quantization needs to know a range.
 * Source: prepare and _add_observer_, torch/ao/quantization/quantize.py.
 */

import { QuantError } from "../../errors.ts";
import { Sequential } from "../../nn/container.ts";
import { Dropout } from "../../nn/dropout.ts";
import { FloatFunctional } from "../../nn/float-functional.ts";
import { FusedModule } from "../../nn/intrinsic/fused.ts";
import type { AnyModule, Module } from "../../nn/module.ts";
import { QFunctional } from "../../nn/quantized/functional-modules.ts";
import { activationIsMemoryless } from "../qconfig.ts";
import type { QConfig } from "../qconfig.ts";
import type { ModuleFactory } from "../factory.ts";
import { DeQuantStub } from "../stubs.ts";
import { convertInPlace } from "./convert.ts";
import {
  fixedRangeFakeQuants,
  getDefaultCustomConfigDict,
  getDefaultQConfigPropagationList,
  getDefaultQatModuleMappings,
  noObserverSet,
} from "./mappings.ts";
import { observeInput, observeOutput } from "./observer-hooks.ts";
import { propagateQConfig } from "./propagate.ts";
import { classOf } from "./types.ts";
import type { CustomConfig, ModuleClass, ModuleMapping } from "./types.ts";

export interface PrepareOptions {
  /** Change the model itself instead of a copy. */
  readonly inplace?: boolean;
  /** Classes whose output is observed when they are leaves; the default is every class that has a quantized one. */
  readonly allowList?: ReadonlySet<ModuleClass>;
  /** Classes observed as a unit although they have children. */
  readonly observerNonLeafModuleList?: ReadonlySet<ModuleClass>;
  readonly prepareCustomConfigDict?: CustomConfig;
}

type Attached = AnyModule & { activationPostProcess?: AnyModule };

function qconfigOf(module: AnyModule): QConfig | null {
  return (module.qconfig as QConfig | null | undefined) ?? null;
}

/** Gives a module an observer and the hook that calls it, before or after its forward. */
function attach(module: AnyModule, special?: ModuleFactory): void {
  const qconfig = qconfigOf(module);
  if (!qconfig || module instanceof DeQuantStub) return;
  const observer = (special ?? qconfig.activation)();
  observer.path = module.path;
  (module as Attached).activationPostProcess = observer;
  // Observer hooks run first, before hooks of the user's, as prepended hooks do in PyTorch.
  if (activationIsMemoryless(qconfig)) module.forwardHooks.pre.unshift(observeInput);
  else module.forwardHooks.post.unshift(observeOutput);
}

interface Rules {
  readonly allowList: ReadonlySet<ModuleClass>;
  readonly nonLeaf: ReadonlySet<ModuleClass>;
  readonly custom: CustomConfig;
  readonly noObserver: readonly ModuleClass[];
}

function replaceCustom(parent: AnyModule, name: string, child: AnyModule, rules: Rules): boolean {
  const observedClass = rules.custom.float_to_observed_custom_module_class?.get(classOf(child));
  if (!observedClass || !qconfigOf(child)) return false;
  const observed = observedClass.fromFloat(child as never, prepareTools);
  observed.path = child.path;
  parent.setChild(name, observed);
  if (!rules.noObserver.some((unobserved) => observed instanceof unobserved)) attach(observed);
  return true;
}

function addToChild(parent: AnyModule, name: string, child: AnyModule, rules: Rules): void {
  const fixed = child.training ? fixedRangeFakeQuants.get(classOf(child)) : undefined;
  if (classOf(child) === Dropout) return;
  if (child instanceof FloatFunctional || child instanceof QFunctional) {
    const qconfig = qconfigOf(child);
    if (qconfig) child.activationPostProcess = qconfig.activation() as unknown as Module;
  } else if (child instanceof FusedModule || rules.nonLeaf.has(classOf(child))) attach(child);
  else if (fixed) attach(child, fixed);
  else if (!replaceCustom(parent, name, child, rules)) addObservers(child, rules);
}

function addObservers(module: AnyModule, rules: Rules): void {
  const children = module.namedChildren();
  for (const [name, child] of children) addToChild(module, name, child, rules);
  if (children.length === 0 && !(module instanceof Sequential) && rules.allowList.has(classOf(module))) attach(module);
}

/**
 * A copy of the model (or the model itself) with observers, ready for calibration. Layers to quantize have a `qconfig`,
 * their own or a parent's.
 * @throws QuantError for a qconfig that is not one.
 */
export function prepare<M extends AnyModule>(model: M, options: PrepareOptions = {}): M {
  const { inplace = false, observerNonLeafModuleList = new Set() } = options;
  const prepared = inplace ? model : model.clone();
  propagateQConfig(prepared);
  if (!prepared.modules().some((module) => qconfigOf(module))) {
    console.warn(
      "prepare: no module has a qconfig, so nothing will be observed. Set model.qconfig, or that of the parts to quantize",
    );
  }
  addObservers(prepared, {
    allowList: options.allowList ?? getDefaultQConfigPropagationList(),
    nonLeaf: observerNonLeafModuleList,
    custom: options.prepareCustomConfigDict ?? getDefaultCustomConfigDict(),
    noObserver: [...noObserverSet()],
  });
  return prepared;
}

export interface PrepareQatOptions {
  readonly inplace?: boolean;
  readonly mapping?: ModuleMapping;
}

/**
 * A copy of the model (or the model itself) whose layers train with fake-quantized weights and outputs.
 * @throws QuantError in eval mode.
 */
export function prepareQat<M extends AnyModule>(model: M, options: PrepareQatOptions = {}): M {
  const { inplace = false, mapping = getDefaultQatModuleMappings() } = options;
  if (!model.training) {
    throw new QuantError(
      "prepareQat",
      { training: false },
      "the model must be in training mode",
      "Call model.train() first; for calibration without training use prepare",
    );
  }
  const prepared = inplace ? model : model.clone();
  propagateQConfig(prepared);
  convertInPlace(prepared, { mapping });
  const classes = new Set([...mapping.values()].map((target) => target as unknown as ModuleClass));
  return prepare(prepared, { inplace: true, observerNonLeafModuleList: classes });
}

/** What custom modules get to prepare their children by. */
const prepareTools = {
  prepare: <M extends AnyModule>(module: M): M => prepare(module, { inplace: true }),
  prepareQat: <M extends AnyModule>(module: M): M => prepareQat(module, { inplace: true }),
};
