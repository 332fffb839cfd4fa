/**
 * A dry run of prepare and convert on a copy, with observers that saw made-up data: what every unit would become, or
 * the error it would give. The rules are eager mode's own, because its functions are what runs.
 */

import { FusedModule } from "../../nn/intrinsic/fused.ts";
import type { AnyModule } from "../../nn/module.ts";
import { FakeQuantizeBase } from "../../quantization/fake-quantize/base.ts";
import { ObserverBase } from "../../quantization/observers/base.ts";
import { prepare, prepareQat } from "../../quantization/eager/prepare.ts";
import { swapModule } from "../../quantization/eager/convert.ts";
import { removeObserver } from "../../quantization/eager/observer-hooks.ts";
import { QuantStub } from "../../quantization/stubs.ts";
import { fromArray } from "../../tensor/create.ts";
import { outermostUnits, isWatcher } from "./units.ts";

export type Flow = "static" | "qat";

export interface DryRun {
  /** What each unit is after prepare, by path. */
  readonly prepared: ReadonlyMap<string, AnyModule>;
  /** What each unit is after convert, by path; functionals included. */
  readonly converted: ReadonlyMap<string, AnyModule>;
  /** Units convert refuses, and why. */
  readonly refused: ReadonlyMap<string, Error>;
  /** Units that were meant to become integers and will not: refused, fused for the other flow, stubs without qconfig. */
  readonly meant: ReadonlySet<string>;
}

/** Any data with two signs, in two channels whatever the axis: the parameters are thrown away. */
const MADE_UP = [-1, 1, -1, 1, -1, 1, -1, 1];

function feed(watcher: AnyModule): void {
  const x = fromArray(MADE_UP, [2, 2, 2]);
  if (watcher instanceof ObserverBase) watcher.observe(x);
  else if (watcher instanceof FakeQuantizeBase) watcher.forward(x);
}

function hasData(watcher: AnyModule): boolean {
  return watcher instanceof ObserverBase && watcher.hasObserved;
}

/** Output observers only: weights are observed by convert, and made-up data would spoil per-channel ones. */
function feedAll(model: AnyModule): void {
  for (const [path, module] of model.namedModules()) {
    if (!isWatcher(module) || path.endsWith("weightFakeQuant") || path.includes("weightFakeQuant.")) continue;
    try {
      if (!hasData(module)) feed(module);
    } catch {
      // A watcher that cannot take the data is reported when its module is converted.
    }
  }
}

function isPrepared(model: AnyModule): boolean {
  return model.modules().some(isWatcher);
}

/** A model without any qconfig is left as it is: prepare would only warn. */
function prepareOnce(copy: AnyModule, flow: Flow): AnyModule {
  if (isPrepared(copy) || !copy.modules().some((module) => module.qconfig)) return copy;
  const options = { inplace: true };
  return flow === "qat" && copy.training ? prepareQat(copy, options) : prepare(copy, options);
}

/** Fused for the other flow, or a stub that no qconfig reaches. */
function isMeant(unit: AnyModule): boolean {
  return (
    (unit instanceof FusedModule && Boolean(unit.qconfig)) || (unit instanceof QuantStub && unit.qconfig === undefined)
  );
}

/** Prepares and converts a copy of `model`, unit by unit. @throws QuantError as prepare does. */
export function dryRun(model: AnyModule, flow: Flow): DryRun {
  const copy = model.clone();
  const root = prepareOnce(copy, flow);
  feedAll(root);
  const prepared = new Map(outermostUnits(root));
  const converted = new Map<string, AnyModule>();
  const refused = new Map<string, Error>();
  for (const [path, unit] of prepared) {
    try {
      const swapped = swapModule(unit, { uninitializedObservers: "ignore" });
      // convert takes observers off what it leaves as it is.
      if (swapped === unit) removeObserver(unit);
      converted.set(path, swapped);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      refused.set(path, error);
    }
  }
  const hasQConfig = root.modules().some((module) => module.qconfig);
  const meant = [...converted].filter(([path, unit]) => hasQConfig && unit === prepared.get(path) && isMeant(unit));
  return { prepared, converted, refused, meant: new Set([...refused.keys(), ...meant.map(([path]) => path)]) };
}
