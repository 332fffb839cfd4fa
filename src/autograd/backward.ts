/**
 * Reverse-mode differentiation: walks the tape from the last call to the first and applies each
 * operator's own rule.
 *
 * Rules are written with operators, so with `createGraph` the gradients can be differentiated again, and
 * a capture that calls `backward` records the whole training step.
 */

import { AutogradError } from "../errors.ts";
import { add } from "../ops/arithmetic.ts";
import { sumToShape } from "../ops/reduce.ts";
import { cast } from "../ops/unary.ts";
import { enableGrad, noGrad } from "../tensor/context.ts";
import { full } from "../tensor/create.ts";
import { sameShape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { tapeNodeOf } from "./tape.ts";
import type { TapeNode } from "./tape.ts";

export interface BackwardOptions {
  /** Gradient of the root; needed unless it has one element. */
  readonly gradient?: Tensor;
  /** Record the gradient computation itself, so that it can be differentiated. */
  readonly createGraph?: boolean;
}

type Gradients = Map<Tensor, Tensor>;

function differentiableInputs(node: TapeNode): Tensor[] {
  return node.inputs.filter((input): input is Tensor => input instanceof Tensor && input.requiresGrad);
}

/** Nodes `root` depends on, each after every node that uses its outputs. Iterative: networks are deep. */
function reverseOrder(root: Tensor): TapeNode[] {
  const seen = new Set<TapeNode>();
  const order: TapeNode[] = [];
  const stack: { node: TapeNode; parents: Tensor[]; next: number }[] = [];
  const visit = (tensor: Tensor): void => {
    const node = tapeNodeOf(tensor);
    if (!node || seen.has(node)) return;
    seen.add(node);
    stack.push({ node, parents: differentiableInputs(node), next: 0 });
  };
  visit(root);
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const parent = top.parents[top.next++];
    if (parent) visit(parent);
    else order.push(stack.pop()!.node);
  }
  return order.reverse();
}

function applyRule(node: TapeNode, gradients: Gradients): void {
  const { op, inputs, attrs, outputs } = node;
  const grads = outputs.map((output) => gradients.get(output) ?? null);
  const first = grads.find((grad) => grad !== null);
  if (!first) return;
  if (typeof op.backward === "string") throw new AutogradError(op.name, {}, `has no gradient: ${op.backward}`);
  const needs = inputs.map((input) => input instanceof Tensor && input.requiresGrad);
  const results = op.backward(grads[0] ?? first, { inputs, attrs, outputs, grads, needs });
  if (results.length !== inputs.length) {
    throw new AutogradError(
      op.name,
      { inputs: inputs.length, gradients: results.length },
      "its rule must return one gradient an input",
    );
  }
  results.forEach((gradient, i) => {
    const input = inputs[i];
    if (!gradient || !needs[i] || !(input instanceof Tensor)) return;
    const summed = cast(sumToShape(gradient, input.shape), input.dtype);
    const before = gradients.get(input);
    gradients.set(input, before ? add(before, summed) : summed);
  });
}

function seedOf(root: Tensor, gradient: Tensor | undefined): Tensor {
  if (!root.requiresGrad) {
    throw new AutogradError(
      "backward",
      { shape: root.shape },
      "nothing this tensor was computed from requires a gradient",
    );
  }
  const seed = gradient ?? (root.numel === 1 ? full(root.shape, 1, { dtype: root.dtype }) : null);
  if (!seed || !sameShape(seed.shape, root.shape)) {
    throw new AutogradError(
      "backward",
      { shape: root.shape, gradient: seed?.shape ?? null },
      "a tensor with more than one element needs a gradient of its own shape",
    );
  }
  return seed;
}

/** Gradients of everything `root` depends on; those of computed tensors are dropped as soon as they are used. */
function differentiate(root: Tensor, options: BackwardOptions, keep: ReadonlySet<Tensor>): Gradients {
  const gradients: Gradients = new Map([[root, seedOf(root, options.gradient)]]);
  const walk = (): void => {
    for (const node of reverseOrder(root)) {
      applyRule(node, gradients);
      for (const output of node.outputs) if (!keep.has(output)) gradients.delete(output);
    }
  };
  if (options.createGraph) enableGrad(walk);
  else noGrad(walk);
  return gradients;
}

/**
 * Adds the gradient of `root` to `.grad` of every leaf it was computed from.
 * @throws AutogradError when there is nothing to differentiate, or an operator on the way has no gradient.
 */
export function backward(root: Tensor, options: BackwardOptions = {}): void {
  const gradients = differentiate(root, options, new Set());
  for (const [tensor, gradient] of gradients) {
    if (tensor.gradSource !== null) continue;
    tensor.grad = tensor.grad ? noGrad(() => add(tensor.grad!, gradient)) : gradient;
  }
}

/**
 * Gradients of `root` for the given tensors, without touching any `.grad`; null for those it does not depend on.
 * @throws AutogradError as `backward`.
 */
export function grad(root: Tensor, inputs: readonly Tensor[], options: BackwardOptions = {}): (Tensor | null)[] {
  const gradients = differentiate(root, options, new Set(inputs));
  return inputs.map((input) => gradients.get(input) ?? null);
}
