/**
 * Shadow loggers for graphs: beside every node of the second graph runs the first graph's node on the same inputs,
 * so that each error is the node's own and not inherited. Source: add_shadow_loggers,
 * torch/ao/ns/_numeric_suite_fx.py.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { Builder } from "../../graph/rewrite.ts";
import { dequantizeOp } from "../../ops/quantize/native.ts";
import { isQuantized } from "../../tensor/dtype.ts";
import { attachLogger, infoOfLoggers, matchNodes } from "./graph-suite.ts";
import type { SuiteResults } from "./graph-suite.ts";

/** The value in float: dequantized where it is a quantized tensor. */
function inFloat(value: Value, build: Builder): Value {
  return value.type && isQuantized(value.type.dtype) ? build.call(dequantizeOp, [value]) : value;
}

/** What the shadow reads in place of `own`: its stored tensors, and the other graph's activations in float. */
function shadowArgument(a: Graph, own: Argument, theirs: Argument | undefined, build: Builder): Argument {
  const stored = a.tensorOf(own);
  if (stored) return build.constant(stored, "shadow");
  if (!(own instanceof Value)) return own;
  return theirs instanceof Value ? inFloat(theirs, build) : own;
}

/** Adds the float node (and the relu the quantized one has fused) right behind its counterpart. */
function addShadow(a: Graph, b: Graph, last: Node, node: Node): Value | null {
  const build = new Builder(b, b.nodes[b.indexOf(node) + 1] ?? node);
  const relu =
    last.kind === "operator" && last.inputs[0]?.node.kind === "operator" && node.attrs["relu"] === true ? last : null;
  const first = relu ? relu.inputs[0]!.node : last;
  if (first.args.length > node.args.length + 1) return null;
  const args = first.args.map((arg, i) => shadowArgument(a, arg, node.args[i], build));
  const shadow = build.call(first.target, args, first.attrs, `${node.outputs[0]!.name}_shadow`);
  return relu ? build.call(relu.target, [shadow], relu.attrs) : shadow;
}

/**
 * A copy of `b` in which every node that has a counterpart in `a` is shadowed by it; run it, then read
 * `extractShadowLoggerInfo`.
 * @throws QuantError when the graphs have nothing in common.
 */
export function addShadowLoggers(nameA: string, a: GraphModule, nameB: string, b: GraphModule): GraphModule {
  const graph = b.graph.clone();
  for (const { name, a: nodeA, b: nodeB } of matchNodes(a.graph, graph)) {
    const shadow = addShadow(a.graph, graph, nodeA, nodeB);
    if (!shadow) continue;
    attachLogger(graph, nodeB, name, nameB);
    attachLogger(graph, shadow.node, name, nameA);
  }
  return new GraphModule(graph, b.training);
}

/** What the loggers of a shadowed graph kept. */
export function extractShadowLoggerInfo(model: GraphModule): SuiteResults {
  return infoOfLoggers([model]);
}
