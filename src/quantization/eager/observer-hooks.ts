/**
 * The two hooks by which an attached observer sees tensors. They are named functions so that convert can find and
 * remove them. What the observer returns replaces the tensor: an observer returns it unchanged, a fake-quantize rounded.
 */

import { QuantError } from "../../errors.ts";
import { Sequential } from "../../nn/container.ts";
import type { AnyModule, ForwardHook, ForwardPreHook, Module } from "../../nn/module.ts";
import { Tensor } from "../../tensor/tensor.ts";

function observerOf(module: AnyModule): Module | undefined {
  return (module as { activationPostProcess?: Module }).activationPostProcess;
}

/** Recurrent layers return several tensors, which one observer cannot watch. */
function refuse(module: AnyModule): never {
  throw new QuantError(
    module.path || module.constructor.name,
    { class: module.constructor.name },
    "returns something else than one tensor, so its observer cannot watch it",
    `Set ${module.path || "its"}${module.path ? "." : " "}qconfig = null before prepare; quantizeDynamic can convert it on its own`,
  );
}

/**
 * Passes a module's output through its observer. A fused container does so twice: PyTorch keeps the observer among the
 * container's children, which it runs in order, and then calls the hook as well. Moving averages notice.
 */
export const observeOutput: ForwardHook = (module, _args, output) => {
  const observer = observerOf(module);
  if (observer && !(output instanceof Tensor)) refuse(module);
  const once = observer?.forward(output as Tensor);
  return observer && module instanceof Sequential ? observer.forward(once!) : once;
};

/** Passes a module's first argument through its observer: for ranges taken anew at every call. */
export const observeInput: ForwardPreHook = (module, args) => {
  const seen = observerOf(module)?.forward(args[0] as Tensor);
  return seen && [seen, ...args.slice(1)];
};

/** Takes a module's observer and its hooks away. */
export function removeObserver(module: AnyModule): void {
  const attached = module as { activationPostProcess?: unknown };
  const isObserver =
    typeof (attached.activationPostProcess as { calculateQParams?: unknown } | undefined)?.calculateQParams ===
    "function";
  if (isObserver) delete attached.activationPostProcess;
  const hooks = module.forwardHooks;
  hooks.post = hooks.post.filter((hook) => hook !== observeOutput);
  hooks.pre = hooks.pre.filter((hook) => hook !== observeInput);
}
