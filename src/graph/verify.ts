/**
 * The verifier: what every graph must satisfy, checked after capture and after every pass.
 */

import { FewbitError, GraphError } from "../errors.ts";
import { findOp, hasOp } from "../ops/op.ts";
import { sameShape } from "../tensor/shape.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { Value, describe, isForeign } from "./graph.ts";
import type { Argument, Graph, Node } from "./graph.ts";
import { isTrainingOnly } from "./updates.ts";

function fail(graph: Graph, node: Node | null, rule: string, fields: Record<string, unknown> = {}): never {
  throw new GraphError(`graph ${graph.name}`, { ...(node && { node: describe(node) }), ...fields }, rule);
}

/** Whether the stored tensor is there and of the type claimed: kernels read as much of it as the type says. */
function checkStored(graph: Graph, node: Node): void {
  const stored = graph.attributes.get(node.target);
  if (!stored) fail(graph, node, "names a stored tensor the graph does not hold");
  const { type } = node.output;
  if (!type || (type.dtype === stored.dtype && sameShape(type.shape, stored.shape))) return;
  const { dtype, shape } = stored;
  fail(graph, node, "claims another type than its stored tensor has", { claimed: type, stored: { dtype, shape } });
}

function checkTargets(graph: Graph, node: Node): void {
  if (node.kind === "attribute") checkStored(graph, node);
  if (node.kind === "module" && !graph.modules.has(node.target))
    fail(graph, node, "names a module the graph does not hold");
  if (node.kind === "operator" && !hasOp(node.target) && !isForeign(node))
    fail(graph, node, "calls an operator that does not exist");
}

function countOf<T>(list: readonly T[], item: T): number {
  let count = 0;
  for (let i = 0; i < list.length; i++) if (list[i] === item) count++;
  return count;
}

function checkArguments(graph: Graph, node: Node, defined: ReadonlySet<Value>): void {
  for (const arg of node.args) {
    if (!(arg instanceof Value)) continue;
    if (!defined.has(arg)) fail(graph, node, "reads a value that is not computed before it", { value: `%${arg.name}` });
    const uses = countOf(node.args, arg);
    const noted = countOf(arg.users, node);
    if (uses !== noted)
      fail(graph, node, "is not noted right as a user of what it reads", { value: `%${arg.name}`, uses, noted });
  }
}

/** Whether an operator's own type rule gives the types the node claims. */
function checkTypes(graph: Graph, node: Node): void {
  if (node.kind !== "operator" || !hasOp(node.target)) return;
  const inputs = node.args.map((arg) => (arg instanceof Value ? arg.type : arg));
  if (findOp(node.target).isValueDependent) return;
  if (node.args.some((arg) => arg instanceof Value && arg.type === null)) return;
  let types: readonly TensorType[];
  try {
    types = findOp(node.target).infer(inputs, node.attrs);
  } catch (cause) {
    if (!(cause instanceof FewbitError)) throw cause;
    fail(graph, node, `breaks its operator's rule: ${cause.message}`);
  }
  node.outputs.forEach((value, i) => {
    const { type } = value;
    const expected = types[i];
    if (!expected && isTrainingOnly(value) && value.users.length === 0) return;
    if (!expected || (type && (type.dtype !== expected.dtype || !sameShape(type.shape, expected.shape)))) {
      fail(graph, node, "claims another type than its operator gives", { output: i, claimed: type, expected });
    }
  });
}

function checkReturned(graph: Graph, value: Argument, defined: ReadonlySet<Value>): void {
  if (value instanceof Value && !defined.has(value))
    fail(graph, null, "returns a value that is not computed", { value: `%${value.name}` });
}

/**
 * @throws GraphError naming the node and the rule: topological order, users, stored names, known operators, types,
 * unique value names.
 */
export function verify(graph: Graph): void {
  const defined = new Set<Value>();
  const names = new Set<string>();
  for (const node of graph.nodes) {
    checkTargets(graph, node);
    checkArguments(graph, node, defined);
    checkTypes(graph, node);
    for (const value of node.outputs) {
      if (names.has(value.name)) fail(graph, node, "defines a name a second time", { name: value.name });
      names.add(value.name);
      defined.add(value);
    }
  }
  for (const value of [...graph.outputs, ...graph.updates.values()]) checkReturned(graph, value, defined);
}
