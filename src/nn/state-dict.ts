/**
 * State dicts: every parameter and buffer of a module tree by PyTorch's key, ready for safetensors.
 *
 * Keys are snake_case where PyTorch's are; a class lists the properties whose key differs in `stateNames`.
 */

import { DtypeError, ModuleError, ShapeError } from "../errors.ts";
import { isFloat } from "../tensor/dtype.ts";
import { sameShape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { AnyModule } from "./module.ts";

export type StateDict = ReadonlyMap<string, Tensor>;

export interface LoadOptions {
  /** False: load what fits and report the rest instead of throwing. */
  readonly strict?: boolean;
}

export interface LoadResult {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

/** Modules that quantization flows attach to layers of any class. */
const attached: Readonly<Record<string, string>> = {
  activationPostProcess: "activation_post_process",
  weightFakeQuant: "weight_fake_quant",
};

/** What a class says of its state, as static fields. */
interface StateClass {
  readonly stateNames: Readonly<Record<string, string>>;
  readonly optionalState: readonly string[];
}

function classOf(module: AnyModule): StateClass {
  return module.constructor as unknown as StateClass;
}

function keyOf(module: AnyModule, property: string): string {
  const names = (module.constructor as unknown as { stateNames: Readonly<Record<string, string>> }).stateNames;
  return names[property] ?? attached[property] ?? property;
}

function join(prefix: string, name: string): string {
  return prefix ? `${prefix}.${name}` : name;
}

function collectInto(module: AnyModule, prefix: string, out: Map<string, Tensor>): void {
  for (const [name, value] of module.ownTensors()) out.set(join(prefix, keyOf(module, name)), value);
  for (const [name, value] of Object.entries(module.extraState?.() ?? {})) out.set(join(prefix, name), value);
  for (const [name, child] of module.namedChildren()) collectInto(child, join(prefix, keyOf(module, name)), out);
}

/** Every parameter and buffer below `module`. A shared module appears under each of its names, as in PyTorch. */
export function collectState(module: AnyModule): StateDict {
  const out = new Map<string, Tensor>();
  collectInto(module, "", out);
  return out;
}

/** The entries below `prefix`, with the prefix removed. */
export function stateBelow(state: StateDict, prefix: string): Map<string, Tensor> {
  if (prefix === "") return new Map(state);
  const lead = `${prefix}.`;
  return new Map(
    [...state].filter(([key]) => key.startsWith(lead)).map(([key, value]) => [key.slice(lead.length), value]),
  );
}

function checkFits(key: string, own: Tensor, given: Tensor): void {
  if (!sameShape(own.shape, given.shape)) {
    throw new ShapeError("loadStateDict", { key, expected: own.shape, given: given.shape }, "shapes must agree");
  }
  if (isFloat(own.dtype) !== isFloat(given.dtype) || own.isQuantized !== given.isQuantized) {
    throw new DtypeError(
      "loadStateDict",
      { key, expected: own.dtype, given: given.dtype },
      "dtypes must be of one kind",
    );
  }
}

interface Plan {
  readonly copies: [own: Tensor, given: Tensor][];
  readonly extras: [module: AnyModule, state: ReadonlyMap<string, Tensor>][];
  readonly missing: string[];
  readonly used: Set<string>;
}

function planLoad(module: AnyModule, prefix: string, state: StateDict, plan: Plan): void {
  const below = stateBelow(state, prefix);
  module.prepareLoad?.(below);
  for (const [name, own] of module.ownTensors()) {
    const key = join(prefix, keyOf(module, name));
    const given = state.get(key);
    plan.used.add(key);
    if (!given) {
      if (!classOf(module).optionalState.includes(name)) plan.missing.push(key);
    } else {
      checkFits(key, own, given);
      plan.copies.push([own, given]);
    }
  }
  if (module.loadExtraState) {
    const wanted = Object.keys(module.extraState?.() ?? {});
    const absent = wanted.filter((key) => !below.has(key));
    for (const key of wanted) plan.used.add(join(prefix, key));
    if (absent.length === 0) plan.extras.push([module, below]);
    else plan.missing.push(...absent.map((key) => join(prefix, key)));
  }
  for (const [name, child] of module.namedChildren()) planLoad(child, join(prefix, keyOf(module, name)), state, plan);
}

/** See `Module.loadStateDict`. Nothing is changed unless everything fits. */
export function loadState(module: AnyModule, state: StateDict, { strict = true }: LoadOptions): LoadResult {
  const plan: Plan = { copies: [], extras: [], missing: [], used: new Set() };
  planLoad(module, "", state, plan);
  const unexpected = [...state.keys()].filter((key) => !plan.used.has(key));
  if (strict && plan.missing.length + unexpected.length > 0) {
    throw new ModuleError(
      "loadStateDict",
      { missing: plan.missing, unexpected },
      "the keys must be exactly those of the module",
      "Pass { strict: false } to load what fits",
    );
  }
  for (const [own, given] of plan.copies) own.assign(given.data);
  for (const [owner, extra] of plan.extras) owner.loadExtraState!(extra);
  return { missing: plan.missing, unexpected };
}
