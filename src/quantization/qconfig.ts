/**
 * QConfig: how a layer's activations and weights are to be quantized, as two constructors of observers (or of
 * fake-quantizes). Source: torch/ao/quantization/qconfig.py.
 */

import { QuantError } from "../errors.ts";
import type { AnyModule } from "../nn/module.ts";
import { FakeQuantize } from "./fake-quantize/base.ts";
import { isFactory, isModuleClass, sameFactory, toFactory } from "./factory.ts";
import type { FactoryLike, ModuleFactory } from "./factory.ts";
import { NoopObserver, ReuseInputObserver } from "./observers/passive.ts";

export interface QConfigOptions {
  readonly activation: FactoryLike;
  readonly weight: FactoryLike;
}

function checked(role: string, source: unknown): ModuleFactory {
  if (isFactory(source) || isModuleClass(source)) return toFactory(source as FactoryLike);
  throw new QuantError(
    "QConfig",
    { role, given: (source as object | null)?.constructor?.name ?? String(source) },
    "activation and weight must be constructors, not instances",
    "Pass the class, or MyObserver.withArgs({ ... }) to set options",
  );
}

/** Two constructors, frozen. `null` in place of a QConfig means: do not quantize. */
export class QConfig {
  readonly activation: ModuleFactory;
  readonly weight: ModuleFactory;

  /** @throws QuantError when given an instance instead of a class or constructor. */
  constructor({ activation, weight }: QConfigOptions) {
    this.activation = checked("activation", activation);
    this.weight = checked("weight", weight);
    Object.freeze(this);
  }
}

export type QConfigAny = QConfig | null | undefined;

/** Whether two qconfigs make the same modules: equal classes and equal options. Absent ones equal only each other. */
export function qconfigEquals(a: QConfigAny, b: QConfigAny): boolean {
  if (!a || !b) return (a ?? null) === (b ?? null);
  return sameFactory(a.activation, b.activation) && sameFactory(a.weight, b.weight);
}

/** Whether the activation observer remembers its last batch only: the mark of dynamic quantization in training. */
export function activationIsMemoryless(qconfig: QConfig): boolean {
  const made: AnyModule = qconfig.activation();
  const observer: object = made instanceof FakeQuantize ? made.activationPostProcess : made;
  return "averagingConstant" in observer && observer.averagingConstant === 1;
}

/** Whether the qconfig says that an output has its input's quantization parameters. */
export function isReuseInputQConfig(qconfig: QConfigAny): boolean {
  return !!qconfig && qconfig.activation() instanceof ReuseInputObserver && qconfig.weight() instanceof NoopObserver;
}
