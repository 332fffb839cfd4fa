/**
 * Does a captured graph serve other batch sizes? A second capture with one row more tells.
 *
 * Where the two differ in a `shape` attribute by exactly the batch size, in one place, that place becomes -1
 * ("whatever is left" for reshape, "as it is" for expand). Any other difference means that the model's code
 * baked the batch size in; the graph then remembers where and runs for that size only.
 */

import { FewbitError } from "../errors.ts";
import { findOp, hasOp } from "../ops/op.ts";
import type { Attrs, AttrValue } from "../ops/op.ts";
import { sameShape } from "../tensor/shape.ts";
import { Value, describe } from "./graph.ts";
import type { Graph, Node } from "./graph.ts";

function same(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || JSON.stringify(a) === JSON.stringify(b);
}

/** The shape with its batch entry freed, or null when the two differ in any other way. */
function freed(a: AttrValue, b: AttrValue, batch: number): readonly number[] | null {
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return null;
  const [one, two] = [a as number[], b as number[]];
  const differing = one.flatMap((size, i) => (size === two[i] ? [] : [i]));
  const at = differing[0];
  if (differing.length !== 1 || at === undefined || one[at]! % batch !== 0) return null;
  if (one[at]! / batch !== two[at]! / (batch + 1)) return null;
  return one.map((size, i) => (i === at ? -1 : size));
}

function merged(node: Node, other: Node, batch: number): Attrs | string {
  if (same(node.attrs, other.attrs)) return node.attrs;
  const attrs: Record<string, AttrValue> = { ...node.attrs };
  for (const key of new Set([...Object.keys(node.attrs), ...Object.keys(other.attrs)])) {
    if (same(node.attrs[key], other.attrs[key])) continue;
    const shape = key === "shape" ? freed(node.attrs[key], other.attrs[key], batch) : null;
    if (!shape)
      return `attribute ${key} is ${JSON.stringify(node.attrs[key])}, and ${JSON.stringify(other.attrs[key])} for one row more`;
    attrs[key] = shape;
  }
  return attrs;
}

/** Whether the operator still gives the node's types with these attributes; an expand of a size 1 does not. */
function givesItsTypes(node: Node, attrs: Attrs): boolean {
  if (node.kind !== "operator" || attrs === node.attrs || !hasOp(node.target)) return true;
  const inputs = node.args.map((arg) => (arg instanceof Value ? arg.type : arg));
  if (inputs.some((input, i) => input === null && node.args[i] !== null)) return true;
  try {
    const types = findOp(node.target).infer(inputs, attrs);
    return node.outputs.every(({ type }, i) => type === null || sameShape(type.shape, types[i]!.shape));
  } catch (error) {
    if (error instanceof FewbitError) return false;
    throw error;
  }
}

function sameArguments(node: Node, other: Node, pairs: ReadonlyMap<unknown, unknown>): boolean {
  return node.args.length === other.args.length && node.args.every((arg, i) => same2(arg, other.args[i], pairs));
}

function same2(a: unknown, b: unknown, pairs: ReadonlyMap<unknown, unknown>): boolean {
  return typeof a === "object" && a !== null ? pairs.get(a) === b : Object.is(a, b);
}

/** First place where the graphs disagree, after freeing what can be freed; null when they agree. */
function compare(graph: Graph, other: Graph, batch: number): { node: Node | null; reason: string } | null {
  if (graph.nodes.length !== other.nodes.length)
    return { node: null, reason: "its code takes another path for one row more" };
  const pairs = new Map<unknown, unknown>();
  for (const [i, node] of graph.nodes.entries()) {
    const twin = other.nodes[i]!;
    if (node.kind !== twin.kind || node.target !== twin.target || !sameArguments(node, twin, pairs)) {
      return { node, reason: "its code takes another path for one row more" };
    }
    if (
      node.kind === "attribute" &&
      !same(graph.attributes.get(node.target)?.shape, other.attributes.get(node.target)?.shape)
    ) {
      return { node, reason: "a tensor is made whose shape contains the batch size" };
    }
    const attrs = merged(node, twin, batch);
    if (typeof attrs === "string") return { node, reason: attrs };
    if (!givesItsTypes(node, attrs)) return { node, reason: "its shape cannot be left open" };
    node.attrs = attrs;
    node.outputs.forEach((value, k) => pairs.set(value, twin.outputs[k]));
  }
  return null;
}

/** Frees the batch size in `graph` where that is sound, and notes in `fixedBatch` where it is not. */
export function generalizeBatch(graph: Graph, captureOther: () => Graph, batch: number): void {
  let difference: { node: Node | null; reason: string } | null;
  try {
    difference = compare(graph, captureOther(), batch);
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error;
    difference = { node: null, reason: `one row more fails: ${error.message}` };
  }
  if (!difference) return;
  const { node, reason } = difference;
  graph.fixedBatch = {
    size: batch,
    reason: node ? `${describe(node)}: ${reason}` : reason,
    location: node?.source.location ?? "",
  };
}
