/**
 * Graphs as text, one line a node: what tests snapshot, people read and files keep. parse.ts reads it back.
 *
 *   graph @Net(%x: float32[1,3]) {
 *     %fc_weight = attribute "fc.weight" : float32[2,3]
 *     %linear = linear(%x, %fc_weight, null) {} : float32[1,2] @ "fc" "Linear" "model.ts:14"  // 1 user
 *     return %linear
 *   }
 *
 * Everything after `//` is for the reader only.
 */

import type { QParams } from "../tensor/qparams.ts";
import { Value } from "./graph.ts";
import type { Argument, Graph, Node, ValueType } from "./graph.ts";

/** JSON, with the numbers JSON lacks spelled as strings that parse.ts knows. */
export function printData(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item !== "number" || Number.isFinite(item)) return Object.is(item, -0) ? "$-0" : item;
    return `$${item}`;
  });
}

function printQParams(qparams: QParams): string {
  if (qparams.kind === "perTensor") return `<scale=${qparams.scale}, zp=${qparams.zeroPoint}>`;
  return `<${printData(qparams)}>`;
}

export function printType(type: ValueType): string {
  if (!type) return "?";
  return `${type.dtype}[${type.shape.join(",")}]${type.qparams ? printQParams(type.qparams) : ""}`;
}

function printArgument(arg: Argument): string {
  if (arg instanceof Value) return `%${arg.name}`;
  return arg === null ? "null" : printData(arg);
}

function printCall(node: Node): string {
  if (node.kind === "attribute") return `attribute ${JSON.stringify(node.target)}`;
  const callee = node.kind === "module" ? `module ${JSON.stringify(node.target)}` : node.target;
  const attrs = Object.entries(node.attrs).filter(([, value]) => value !== undefined);
  const text = attrs.map(([key, value]) => `${key}=${printData(value)}`).join(", ");
  return `${callee}(${node.args.map(printArgument).join(", ")})${text ? ` {${text}}` : ""}`;
}

function printSource({ source: { path, moduleType, location } }: Node): string {
  if (!path && !moduleType && !location) return "";
  return ` @ ${[path, moduleType, location].map((part) => JSON.stringify(part)).join(" ")}`;
}

function printNode(graph: Graph, node: Node): string {
  const names = node.outputs.map((value) => `%${value.name}`).join(", ");
  const types = node.outputs.map((value) => printType(value.type)).join(", ");
  const users = node.outputs.map((value) => graph.useCount(value)).join(", ");
  return `  ${names} = ${printCall(node)} : ${types}${printSource(node)}  // ${users} ${users === "1" ? "user" : "users"}`;
}

/** The whole graph as text. Deterministic: equal graphs print equal. */
export function printGraph(graph: Graph): string {
  const inputs = graph.inputs.map((value) => `%${value.name}: ${printType(value.type)}`).join(", ");
  const lines = [`graph @${graph.name}(${inputs}) {`];
  if (graph.inputTree) lines.push(`  takes ${printData(graph.inputTree)}`);
  if (graph.outputTree) lines.push(`  gives ${printData(graph.outputTree)}`);
  if (graph.fixedBatch) lines.push(`  fixedBatch ${printData(graph.fixedBatch)}`);
  for (const node of graph.nodes) if (node.kind !== "input") lines.push(printNode(graph, node));
  for (const [name, value] of graph.updates) lines.push(`  update ${JSON.stringify(name)} = ${printArgument(value)}`);
  lines.push(`  return ${graph.outputs.map(printArgument).join(", ")}`, "}");
  return `${lines.join("\n")}\n`;
}
