/**
 * Deep copy of a module tree.
 *
 * Own properties are copied recursively; what was one object stays one object in the copy (shared layers,
 * tied weights). Functions, qconfigs and other frozen values are shared; objects that
 * have a `clone` of their own (graphs) are asked for it.
 */

import { Parameter, Tensor } from "../tensor/tensor.ts";
import { Module, wrapForward } from "./module.ts";
import type { AnyModule } from "./module.ts";

type Copies = Map<object, object>;

/** A copy that is a Parameter where the original is one. */
export function cloneTensor(tensor: Tensor): Tensor {
  const copy = tensor.copy();
  if (tensor instanceof Parameter) return new Parameter(copy, tensor.requiresGrad);
  copy.requiresGrad = tensor.requiresGrad && tensor.gradSource === null;
  return copy;
}

function cloneValue(value: unknown, copies: Copies): unknown {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const done = copies.get(value);
  if (done) return done;
  if (value instanceof Module) return cloneInto(value as AnyModule, copies);
  let copy: object;
  if (value instanceof Tensor) copy = cloneTensor(value);
  else if (ArrayBuffer.isView(value)) copy = (value as Uint8Array).slice();
  else if (Array.isArray(value)) {
    copy = [];
    copies.set(value, copy);
    for (const item of value) (copy as unknown[]).push(cloneValue(item, copies));
  } else if (value instanceof Map) {
    copy = new Map([...value].map(([key, item]) => [key, cloneValue(item, copies)]));
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    copy = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cloneValue(item, copies)]));
  } else if (isCloneable(value)) {
    copy = value.clone();
  } else return value;
  copies.set(value, copy);
  return copy;
}

function isCloneable(value: object): value is { clone(): object } {
  return "clone" in value && typeof value.clone === "function";
}

function cloneInto<M extends AnyModule>(module: M, copies: Copies): M {
  const copy = Object.create(Object.getPrototypeOf(module) as object) as M;
  copies.set(module, copy);
  const { pre, post } = module.forwardHooks;
  Object.defineProperty(copy, "hooks", { value: { pre: [...pre], post: [...post] }, configurable: true });
  Object.defineProperty(copy, "madeAt", { value: module.madeAt, configurable: true });
  wrapForward(copy);
  for (const [name, value] of Object.entries(module)) {
    (copy as unknown as Record<string, unknown>)[name] = name === "qconfig" ? value : cloneValue(value, copies);
  }
  return copy;
}

/** A deep copy of `module`, hooks included. */
export function cloneModule<M extends AnyModule>(module: M): M {
  return cloneInto(module, new Map());
}
