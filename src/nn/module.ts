/**
 * Module: the base class of every layer and model.
 *
 * Parameters, buffers and submodules are the instance's own properties, found by looking: a `Parameter` is a
 * parameter, any other tensor a buffer, a `Module` a submodule. Nothing is registered. The constructor wraps
 * `forward`, so there is one way to call a module and hooks always run. Use TypeScript's `private`, not
 * `#fields`, in subclasses: `clone` copies own properties.
 */

import { ModuleError } from "../errors.ts";
import { activeTracer } from "../tensor/context.ts";
import { Parameter, Tensor } from "../tensor/tensor.ts";
import { cloneModule } from "./clone.ts";
import { printModule } from "./print.ts";
import { collectState, loadState } from "./state-dict.ts";
import type { LoadOptions, LoadResult, StateDict } from "./state-dict.ts";

/** A module of any signature. */
export type AnyModule = Module<never[], unknown>;

/** Runs before `forward`; what it returns, if anything, replaces the arguments. */
export type ForwardPreHook = (module: AnyModule, args: readonly unknown[]) => readonly unknown[] | void;
/** Runs after `forward`; what it returns, if anything, replaces the output. */
export type ForwardHook = (module: AnyModule, args: readonly unknown[], output: unknown) => unknown;

export interface HookHandle {
  remove(): void;
}

interface Hooks {
  pre: ForwardPreHook[];
  post: ForwardHook[];
}

export abstract class Module<In extends readonly unknown[] = [Tensor], Out = Tensor> {
  /** True while training; set by `train()` and `eval()`. */
  training = true;
  /**
   * Dotted path below the root, set when a quantization flow first walks the tree; errors name it.
   * Empty for a root and for modules no flow has seen.
   */
  path = "";
  /** The quantization configuration: undefined = inherit, null = do not quantize. See quantization/qconfig. */
  qconfig?: unknown;
  /** Property name → state-dict key, where PyTorch's key differs from the camelCase property. */
  static readonly stateNames: Readonly<Record<string, string>> = {};
  /** Own tensors a state dict may lack, as files of older versions do; they keep their values then. */
  static readonly optionalState: readonly string[] = [];

  declare private readonly hooks: Hooks;
  /** The stack of the line that made the module, so that reports can name it; shared by copies, resolved when asked. */
  declare readonly madeAt: Error;

  constructor() {
    Object.defineProperty(this, "hooks", { value: { pre: [], post: [] }, configurable: true });
    Object.defineProperty(this, "madeAt", { value: new Error(), configurable: true });
    wrapForward(this);
  }

  abstract forward(...inputs: In): Out;

  /** True for modules that a captured graph calls as a whole (observers): their forward reads values. */
  get isGraphLeaf(): boolean {
    return false;
  }

  registerForwardPreHook(hook: ForwardPreHook): HookHandle {
    return addHook(this.hooks.pre, hook);
  }

  registerForwardHook(hook: ForwardHook): HookHandle {
    return addHook(this.hooks.post, hook);
  }

  /** The hooks themselves, for flows that move them from one module to another. */
  get forwardHooks(): Hooks {
    return this.hooks;
  }

  /** Direct submodules by property name; lists and maps of modules belong to containers. */
  namedChildren(): [string, AnyModule][] {
    return Object.entries(this).filter((entry): entry is [string, AnyModule] => entry[1] instanceof Module);
  }

  children(): AnyModule[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /** This module ("") and all below, parents first, each once, by dotted path. */
  namedModules(prefix = "", seen = new Set<AnyModule>()): [string, AnyModule][] {
    if (seen.has(this)) return [];
    seen.add(this);
    const below = this.namedChildren().flatMap(([name, child]) =>
      child.namedModules(prefix ? `${prefix}.${name}` : name, seen),
    );
    return [[prefix, this], ...below];
  }

  modules(): AnyModule[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** The module at a dotted path. @throws ModuleError naming what exists there instead. */
  getSubmodule(path: string): AnyModule {
    let at: AnyModule = this;
    if (path === "") return at;
    for (const name of path.split(".")) {
      const children = at.namedChildren();
      const child = children.find(([key]) => key === name);
      if (!child) {
        throw new ModuleError(
          "getSubmodule",
          { path, at: name, children: children.map(([key]) => key) },
          "there is no module of that name",
        );
      }
      at = child[1];
    }
    return at;
  }

  /** Replaces the submodule at a dotted path. @throws ModuleError */
  setSubmodule(path: string, module: AnyModule): void {
    const cut = path.lastIndexOf(".");
    const parent = this.getSubmodule(cut < 0 ? "" : path.slice(0, cut));
    this.getSubmodule(path);
    parent.setChild(path.slice(cut + 1), module);
  }

  /** Replaces a direct submodule; containers that keep their children elsewhere override it. */
  setChild(name: string, module: AnyModule): void {
    (this as unknown as Record<string, AnyModule>)[name] = module;
  }

  /** Own tensors (parameters and buffers) by property name. */
  ownTensors(): [string, Tensor][] {
    return Object.entries(this).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
  }

  namedParameters(): [string, Parameter][] {
    const seen = new Set<Tensor>();
    return this.namedModules().flatMap(([prefix, module]) =>
      module.ownTensors().flatMap(([name, value]): [string, Parameter][] => {
        if (!(value instanceof Parameter) || seen.has(value)) return [];
        seen.add(value);
        return [[prefix ? `${prefix}.${name}` : name, value]];
      }),
    );
  }

  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  namedBuffers(): [string, Tensor][] {
    return this.namedModules().flatMap(([prefix, module]) =>
      module
        .ownTensors()
        .filter(([, value]) => !(value instanceof Parameter))
        .map(([name, value]): [string, Tensor] => [prefix ? `${prefix}.${name}` : name, value]),
    );
  }

  train(mode = true): this {
    this.training = mode;
    for (const child of this.children()) child.train(mode);
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Calls `fn` on every module, children first. */
  apply(fn: (module: AnyModule) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = null;
  }

  /** A deep copy: tensors copied, shared tensors and modules shared the same way in the copy. */
  clone(): this {
    return cloneModule(this);
  }

  /** The tree below this module, one line a module. */
  toString(): string {
    return printModule(this);
  }

  /** All parameters and buffers by PyTorch's keys. Tensors are shared, not copied. */
  stateDict(): StateDict {
    return collectState(this);
  }

  /**
   * Copies values in. Strict by default: every key must be there, and no other.
   * @throws ModuleError naming missing and unexpected keys; ShapeError, DtypeError naming the key that does not fit.
   */
  loadStateDict(state: StateDict, options: LoadOptions = {}): LoadResult {
    return loadState(this, state, options);
  }

  /** Extra entries a module keeps that are not plain tensors (packed weights); see state-dict.ts. */
  extraState?(): Readonly<Record<string, Tensor>>;
  /** Takes its extra entries back. Returns the keys it used. */
  loadExtraState?(state: ReadonlyMap<string, Tensor>): readonly string[];
  /** Called before own tensors are loaded, so that a module can resize buffers to what comes. */
  prepareLoad?(state: ReadonlyMap<string, Tensor>): void;
}

function addHook<T>(list: T[], hook: T): HookHandle {
  list.push(hook);
  return {
    remove() {
      const at = list.indexOf(hook);
      if (at >= 0) list.splice(at, 1);
    },
  };
}

/** Puts a `forward` on the instance that runs the hooks around the class's own. */
export function wrapForward(module: AnyModule): void {
  const { forward } = Object.getPrototypeOf(module) as { forward: (this: AnyModule, ...args: unknown[]) => unknown };
  const wrapped = (...given: unknown[]): unknown => {
    const { pre, post } = module.forwardHooks;
    let args: readonly unknown[] = given;
    for (const hook of [...pre]) args = hook(module, args) ?? args;
    const tracer = activeTracer();
    const run = (): unknown => forward.apply(module, [...args]);
    let output = tracer ? tracer.callModule(module, args, run) : run();
    for (const hook of [...post]) output = hook(module, args, output) ?? output;
    return output;
  };
  Object.defineProperty(module, "forward", { value: wrapped, configurable: true, writable: true });
}
