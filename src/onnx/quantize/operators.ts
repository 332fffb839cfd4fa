/**
 * What an operator of a graph is to a quantizer: its kind, and whether this call of it has an integer form at all.
 */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { OperatorKind } from "./targets.ts";

/** Operators with a weight as their second input, and the axis of its output channels. */
export const weightAxis: Readonly<Record<string, number>> = {
  conv1d: 0,
  conv2d: 0,
  conv3d: 0,
  convTranspose1d: 1,
  convTranspose2d: 1,
  convTranspose3d: 1,
  linear: 0,
};

const kinds: Readonly<Record<OperatorKind, readonly string[]>> = {
  conv: ["conv1d", "conv2d", "conv3d"],
  convTranspose: ["convTranspose1d", "convTranspose2d", "convTranspose3d"],
  linear: ["linear"],
  matmul: ["matmul"],
  add: ["add"],
  mul: ["mul"],
  move: [
    "relu", "relu6", "hardtanh", "clamp", "maxPool1d", "maxPool2d", "maxPool3d", "adaptiveMaxPool1d",
    "adaptiveMaxPool2d", "reshape", "permute", "slice", "pad",
  ], // prettier-ignore
  average: ["avgPool1d", "avgPool2d", "adaptiveAvgPool1d", "adaptiveAvgPool2d", "mean"],
  cat: ["cat"],
  activation: ["sigmoid", "hardswish", "leakyRelu"],
};

const kindByTarget = new Map(
  (Object.keys(kinds) as OperatorKind[]).flatMap((kind) => kinds[kind].map((target) => [target, kind] as const)),
);

export function kindOf({ kind, target }: Node): OperatorKind | null {
  return kind === "operator" ? (kindByTarget.get(target) ?? null) : null;
}

/** Products pay for quantization; all others only stay in integers between them. */
export function isProduct(kind: OperatorKind | null): boolean {
  return kind === "conv" || kind === "convTranspose" || kind === "linear" || kind === "matmul";
}

/** Clamps that a product or sum before them does on its integers. */
const clamps = new Set(["relu", "relu6", "hardtanh", "clamp"]);

/** Name of the operator in the file, when it came from one; else the graph's own name of it. */
export function operatorName({ source, target }: Node, fromFile: boolean): string {
  return fromFile && source.moduleType !== "" ? source.moduleType : target;
}

/** Name of the node in the file, or of its output. */
export function nodeName({ source, outputs }: Node): string {
  return source.path || (outputs[0]?.name ?? "");
}

/** The clamp whose work a node's requantization does: its only reader. */
export function clampBehind(graph: Graph, node: Node): Node | null {
  const [output] = node.outputs;
  const [reader] = output?.users ?? [];
  if (!output || !reader || graph.useCount(output) !== 1) return null;
  if (reader.target === "clamp" && (reader.attrs["min"] ?? null) === null) return null;
  return clamps.has(reader.target) ? reader : null;
}

function isStored(graph: Graph, arg: unknown): boolean {
  return arg instanceof Value && graph.tensorOf(arg) !== null;
}

/** Why this call has no integer form; null when it has one. */
export function refusal(graph: Graph, node: Node): string | null {
  const kind = kindOf(node);
  if (kind === null) return "there is no integer form of it";
  const [x, other] = node.args;
  const type = node.outputs[0]?.type;
  if (!type || (x instanceof Value && !x.type)) return "its shape is known only when it runs";
  if (type.dtype !== "float32") return `it computes ${type.dtype}`;
  if (!(x instanceof Value) || isStored(graph, x)) return "its input is a constant";
  if (kind === "conv" || kind === "convTranspose" || kind === "linear") {
    if (!isStored(graph, other)) return "its weight is computed while it runs";
    if (graph.tensorOf(other!)!.dtype !== "float32") return "its weight is not float32";
  }
  if (kind === "matmul" || kind === "add" || kind === "mul") {
    if (!(other instanceof Value) || isStored(graph, other)) return "one side is a constant";
    if (kind !== "matmul" && !sameShape(x.type!.shape, other.type?.shape ?? [])) return "its sides differ in shape";
  }
  if (node.target === "pad" && (node.attrs["mode"] !== "constant" || node.attrs["value"] !== 0))
    return "only padding with zeros moves integers";
  return null;
}
