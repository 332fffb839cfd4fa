/**
 * Values read where they lie: what permuting makes of a value is the same numbers under other strides, and products can
 * read those. So heads of attention are not copied.
 */

import type { Argument } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { stridesOf } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { PlanBuilder } from "../plan.ts";

export interface StridedView {
  /** The value whose row-major numbers are read. */
  readonly base: Argument;
  readonly shape: Shape;
  /** In elements, one an axis. */
  readonly strides: readonly number[];
}

/** A value as it is. */
export function plainView(arg: Argument, plan: PlanBuilder): StridedView {
  const { shape } = plan.type(arg);
  return { base: arg, shape, strides: stridesOf(shape) };
}

/** A value through the permutations that made it. */
export function viewOf(arg: Argument, plan: PlanBuilder): StridedView {
  if (!(arg instanceof Value) || arg.node.target !== "permute" || arg.node.kind !== "operator")
    return plainView(arg, plan);
  const { base, strides } = viewOf(arg.node.args[0]!, plan);
  const dims = arg.node.attrs["dims"] as readonly number[];
  return { base, shape: plan.type(arg).shape, strides: dims.map((axis) => strides[axis]!) };
}

/** The same, when the last axis of what it reads is dense; else the value as it is. */
export function denseRowsView(arg: Argument, plan: PlanBuilder): StridedView {
  const view = viewOf(arg, plan);
  return view.strides.at(-1) === 1 || view.shape.at(-1) === 1 ? view : plainView(arg, plan);
}

/** Offset of every index of `sizes`, in row-major order, under the given strides. */
export function offsetsOf(sizes: Shape, strides: readonly number[]): number[] {
  return sizes.reduce<number[]>(
    (offsets, size, axis) =>
      offsets.flatMap((offset) => Array.from({ length: size }, (_, i) => offset + i * strides[axis]!)),
    [0],
  );
}

/** Strides over the axes of `batch`, which the view's leading axes broadcast to. */
export function batchStrides({ shape, strides }: StridedView, batch: Shape): number[] {
  const lead = batch.length - (shape.length - 2);
  return batch.map((_, axis) => (axis < lead || shape[axis - lead] === 1 ? 0 : strides[axis - lead]!));
}
