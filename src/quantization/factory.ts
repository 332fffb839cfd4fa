/**
 * Module constructors as values: a class and some of its options, frozen. This is what a QConfig holds, because a
 * model needs a fresh observer in every place. Calling one makes a module; `withArgs` makes another constructor.
 * Source: _with_args, torch/ao/quantization/observer.py.
 */

import { Module } from "../nn/module.ts";
import type { AnyModule } from "../nn/module.ts";

export type Args = Readonly<Record<string, unknown>>;

/** A class whose constructor takes one object of options. */
export type OptionsClass<T, O> = new (options: O) => T;

export interface ModuleFactory<T extends AnyModule = AnyModule, O = Args> {
  /** A new module, with further options over the factory's own. */
  (more?: object): T;
  /** The class it makes. */
  readonly observer: OptionsClass<T, never>;
  /** The options it gives; later ones win. */
  readonly args: Args;
  /** Functions asked for an option's value at each construction. */
  readonly callableArgs: Readonly<Record<string, () => unknown>>;
  withArgs(more: Partial<O>): ModuleFactory<T, O>;
  withCallableArgs(more: { readonly [K in keyof O]?: () => O[K] }): ModuleFactory<T, O>;
}

/** A factory of `observer` with some options. */
export function factoryOf<T extends AnyModule, O>(
  observer: OptionsClass<T, O>,
  args: Partial<O> = {},
  callableArgs: { readonly [K in keyof O]?: () => O[K] } = {},
): ModuleFactory<T, O> {
  const make = (more: object = {}): T => {
    const asked: Record<string, unknown> = {};
    for (const [key, ask] of Object.entries(callableArgs as Record<string, () => unknown>)) asked[key] = ask();
    const options: unknown = { ...args, ...asked, ...more };
    return new observer(options as O);
  };
  return Object.freeze(
    Object.assign(make, {
      observer: observer,
      args: Object.freeze({ ...args }) as Args,
      callableArgs: Object.freeze({ ...callableArgs }) as Readonly<Record<string, () => unknown>>,
      withArgs: (more: Partial<O>) => factoryOf(observer, { ...args, ...more }, callableArgs),
      withCallableArgs: (more: { readonly [K in keyof O]?: () => O[K] }) =>
        factoryOf(observer, args, { ...callableArgs, ...more }),
    }),
  );
}

export function isFactory(value: unknown): value is ModuleFactory {
  return typeof value === "function" && Object.hasOwn(value, "observer") && Object.hasOwn(value, "args");
}

/** Whether a value is a class of modules. */
export function isModuleClass(value: unknown): value is OptionsClass<AnyModule, Args> {
  return typeof value === "function" && (value as { prototype?: unknown }).prototype instanceof Module;
}

/** A class or a factory, as options and qconfigs take them. */
export type FactoryLike<T extends AnyModule = AnyModule> = ModuleFactory<T, never> | OptionsClass<T, never>;

/** The factory of a class without options, or the factory itself. */
export function toFactory<T extends AnyModule>(source: FactoryLike<T>): ModuleFactory<T> {
  return isFactory(source) ? source : factoryOf(source as OptionsClass<T, Args>);
}

function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  const factories = [a, b].every((v) => isFactory(v) || isModuleClass(v));
  return factories && sameFactory(a as FactoryLike, b as FactoryLike);
}

function sameArgs(a: Args, b: Args): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameValue(a[key], b[key]))
  );
}

/** Whether two constructors make the same module: equal class and equal options. */
export function sameFactory(a: FactoryLike, b: FactoryLike): boolean {
  const [first, second] = [toFactory(a), toFactory(b)];
  return (
    first.observer === second.observer &&
    sameArgs(first.args, second.args) &&
    sameArgs(first.callableArgs, second.callableArgs)
  );
}

function showArgument(value: unknown): string {
  if (isFactory(value)) return showFactory(value);
  return typeof value === "function" ? value.name : String(value);
}

/** A constructor as text: `HistogramObserver(reduceRange=true)`. */
export function showFactory({ observer, args }: Pick<ModuleFactory, "observer" | "args">): string {
  const shown = Object.entries(args).map(([key, value]) => `${key}=${showArgument(value)}`);
  return `${observer.name}(${shown.join(", ")})`;
}
