/**
 * Nested containers of tensors: arrays, maps and plain objects, flattened to a list and built again.
 *
 * Anything that is not a container or a tensor (numbers, strings, null) stays in the shape as it is.
 */

import { Tensor } from "../tensor/tensor.ts";

export type TreeSpec =
  | { readonly kind: "leaf" }
  | { readonly kind: "constant"; readonly value: unknown }
  | { readonly kind: "list"; readonly items: readonly TreeSpec[] }
  | { readonly kind: "object"; readonly entries: readonly (readonly [string, TreeSpec])[] };

/** The tensors of a nested value, left to right, and the shape they sat in. */
export function flattenTree(value: unknown): { leaves: Tensor[]; spec: TreeSpec } {
  const leaves: Tensor[] = [];
  const visit = (item: unknown): TreeSpec => {
    if (item instanceof Tensor) {
      leaves.push(item);
      return { kind: "leaf" };
    }
    if (Array.isArray(item)) return { kind: "list", items: item.map(visit) };
    if (typeof item === "object" && item !== null && Object.getPrototypeOf(item) === Object.prototype) {
      return { kind: "object", entries: Object.entries(item).map(([key, entry]) => [key, visit(entry)] as const) };
    }
    return { kind: "constant", value: item };
  };
  return { spec: visit(value), leaves };
}

/** Puts leaves back into their shape. */
export function unflattenTree<T>(spec: TreeSpec, leaves: Iterable<T>): unknown {
  const iterator = leaves[Symbol.iterator]();
  const build = (at: TreeSpec): unknown => {
    switch (at.kind) {
      case "leaf":
        return iterator.next().value;
      case "constant":
        return at.value;
      case "list":
        return at.items.map(build);
      case "object":
        return Object.fromEntries(at.entries.map(([key, entry]) => [key, build(entry)]));
    }
  };
  return build(spec);
}

/** Number of tensors a shape holds. */
export function countLeaves(spec: TreeSpec): number {
  switch (spec.kind) {
    case "leaf":
      return 1;
    case "constant":
      return 0;
    case "list":
      return spec.items.reduce((sum, item) => sum + countLeaves(item), 0);
    case "object":
      return spec.entries.reduce((sum, [, entry]) => sum + countLeaves(entry), 0);
  }
}
