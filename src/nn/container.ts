/**
 * Modules that hold modules: Sequential, ModuleList, ModuleDict.
 *
 * Children live in a map, not in properties, so that any name is free; keys are PyTorch's ("0", "1", ...
 * for positional children).
 */

import { ModuleError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";
import type { AnyModule } from "./module.ts";

/** Holds children by name, in order. */
export abstract class Container<In extends readonly unknown[] = [Tensor], Out = Tensor> extends Module<In, Out> {
  protected readonly items: Map<string, AnyModule>;

  constructor(entries: Iterable<readonly [string, AnyModule]>) {
    super();
    this.items = new Map(entries);
    for (const [name, child] of this.items) {
      if (child instanceof Module) continue;
      throw new ModuleError(this.constructor.name, { name, given: typeof child }, "every child must be a module");
    }
  }

  /** The children, and modules that flows attached as properties (observers). */
  override namedChildren(): [string, AnyModule][] {
    return [...this.items, ...super.namedChildren()];
  }

  override setChild(name: string, module: AnyModule): void {
    if (this.items.has(name)) this.items.set(name, module);
    else super.setChild(name, module);
  }

  get length(): number {
    return this.items.size;
  }

  /** The child at a position; negative ones count from the end. @throws ModuleError */
  at(index: number): AnyModule {
    const child = [...this.items.values()].at(index);
    if (!child)
      throw new ModuleError(
        this.constructor.name,
        { index, length: this.length },
        "there is no child at that position",
      );
    return child;
  }

  [Symbol.iterator](): IterableIterator<AnyModule> {
    return this.items.values();
  }
}

function positional(modules: readonly AnyModule[]): [string, AnyModule][] {
  return modules.map((module, i) => [String(i), module]);
}

/** Modules by name, for a Sequential with names. */
export type NamedModules = Readonly<Record<string, AnyModule>>;

function entriesOf(given: readonly (AnyModule | NamedModules)[]): [string, AnyModule][] {
  const [first] = given;
  if (given.length === 1 && first && !(first instanceof Module)) return Object.entries(first);
  return positional(given as readonly AnyModule[]);
}

/**
 * Calls its children one after the other, each on what the one before returned.
 * `new Sequential(a, b)` names them "0", "1"; `new Sequential({ first: a, second: b })` as given.
 */
export class Sequential<In extends readonly unknown[] = [Tensor], Out = Tensor> extends Container<In, Out> {
  constructor(...modules: readonly AnyModule[] | readonly [NamedModules]) {
    super(entriesOf(modules));
  }

  forward(...inputs: In): Out {
    let values: readonly unknown[] = inputs;
    for (const child of this.items.values()) {
      values = [(child as unknown as { forward(...args: readonly unknown[]): unknown }).forward(...values)];
    }
    return values[0] as Out;
  }

  /** Adds a child at the end, named by its position. */
  append(module: AnyModule): this {
    this.items.set(String(this.items.size), module);
    return this;
  }
}

/** A list of modules, to be called by the module that holds it. */
export class ModuleList extends Container<never[], never> {
  constructor(modules: Iterable<AnyModule> = []) {
    super(positional([...modules]));
  }

  append(module: AnyModule): this {
    this.items.set(String(this.items.size), module);
    return this;
  }

  /** @throws ModuleError always: a list has no order of calls of its own. */
  forward(): never {
    throw new ModuleError("ModuleList", { length: this.length }, "a list is not called; call its modules");
  }
}

/** Modules by name, to be called by the module that holds them. */
export class ModuleDict extends Container<never[], never> {
  constructor(modules: NamedModules = {}) {
    super(Object.entries(modules));
  }

  get(name: string): AnyModule | undefined {
    return this.items.get(name);
  }

  set(name: string, module: AnyModule): this {
    this.items.set(name, module);
    return this;
  }

  keys(): string[] {
    return [...this.items.keys()];
  }

  /** @throws ModuleError always: a dictionary has no order of calls of its own. */
  forward(): never {
    throw new ModuleError("ModuleDict", { names: this.keys() }, "a dictionary is not called; call its modules");
  }
}
