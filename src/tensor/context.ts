/**
 * The three things every operator call looks up without being told: whether gradients are recorded,
 * whether a capture is listening, and the default random generator.
 *
 * This is the only mutable module state of the library. It is scoped by callbacks, so it cannot leak.
 */

import { ArgumentError } from "../errors.ts";
import { Generator } from "./random.ts";
import type { Tensor, TensorType } from "./tensor.ts";

/** Listens to operator calls instead of computing them; see graph/capture. */
export interface Tracer {
  /** Notes the call and returns tensors of the given types that stand for its outputs. */
  record(
    opName: string,
    inputs: readonly (Tensor | number | null)[],
    attrs: Readonly<Record<string, unknown>>,
    types: readonly TensorType[],
  ): Tensor[];
  /** Runs a module's forward, knowing which module it is; or stands in for it when the module is a leaf. */
  callModule(module: object, args: readonly unknown[], run: () => unknown): unknown;
  /** Notes that a stored tensor gets a new value. */
  assign(target: Tensor, value: Tensor): void;
}

const context: { gradEnabled: boolean; tracer: Tracer | null; generator: Generator } = {
  gradEnabled: true,
  tracer: null,
  generator: new Generator(0),
};

function scoped<K extends keyof typeof context, T>(key: K, value: (typeof context)[K], fn: () => T): T {
  const before = context[key];
  context[key] = value;
  try {
    const result = fn();
    if (result instanceof Promise) {
      throw new ArgumentError(key, {}, "the callback must be synchronous: the setting ends when it returns");
    }
    return result;
  } finally {
    context[key] = before;
  }
}

export function isGradEnabled(): boolean {
  return context.gradEnabled;
}

/** Runs `fn` without recording gradients. */
export function noGrad<T>(fn: () => T): T {
  return scoped("gradEnabled", false, fn);
}

/** Runs `fn` with gradients recorded, also inside `noGrad`. */
export function enableGrad<T>(fn: () => T): T {
  return scoped("gradEnabled", true, fn);
}

export function activeTracer(): Tracer | null {
  return context.tracer;
}

/** Runs `fn` with every operator call handed to `tracer`; null suspends a capture. */
export function withTracer<T>(tracer: Tracer | null, fn: () => T): T {
  return scoped("tracer", tracer, fn);
}

export function defaultGenerator(): Generator {
  return context.generator;
}

/** Seeds the generator that is used where none is given. */
export function manualSeed(seed: number): Generator {
  return context.generator.manualSeed(seed);
}
