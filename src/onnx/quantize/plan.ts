/**
 * The dry run: decisions told as rows, one for each operator of the model.
 */

import type { Graph, Node } from "../../graph/graph.ts";
import { decide, requireSome } from "./decide.ts";
import type { Decision } from "./decide.ts";
import { isProduct, nodeName, operatorName, weightAxis } from "./operators.ts";
import type { QuantizeOptions } from "./options.ts";
import type { OperatorPlan, Precision, QuantizePlan } from "./report.ts";
import { activationDType } from "./settings.ts";
import type { Settings } from "./settings.ts";

const FLOAT_BYTES = 4;
const SCALE_BYTES = 4;

function precisionOf({ quantized }: Decision, { method, weights, activations }: Settings): Precision {
  if (!quantized) return "float";
  if (method === "weightOnly") return weights.bits === 4 ? "int4" : "int8";
  return activations.bits === 16 ? "int16" : "int8";
}

function weightBytes(graph: Graph, node: Node, decision: Decision, { weights }: Settings) {
  const axis = weightAxis[node.target];
  const tensor = axis === undefined ? null : graph.tensorOf(node.args[1] ?? null);
  if (!tensor || axis === undefined) return { before: 0, after: 0 };
  const before = tensor.numel * FLOAT_BYTES;
  if (!decision.quantized) return { before, after: before };
  const channels = weights.perChannel ? tensor.shape[axis]! : 1;
  const groups = weights.groupSize === null ? 1 : Math.ceil(tensor.numel / tensor.shape[axis]! / weights.groupSize);
  return { before, after: Math.ceil((tensor.numel * weights.bits) / 8) + channels * groups * SCALE_BYTES };
}

function weightText(node: Node, { quantized }: Decision, { weights, target }: Settings): string | null {
  if (!quantized || weightAxis[node.target] === undefined) return null;
  const { bits, perChannel, groupSize, symmetric } = weights;
  const spread = groupSize !== null ? `in groups of ${groupSize}` : perChannel ? "per channel" : "per tensor";
  const limited = bits === 8 && target.weights.limit < 127 ? ", 7 bits used" : "";
  return `int${bits} ${spread}${symmetric ? "" : ", asymmetric"}${limited}`;
}

function row(graph: Graph, node: Node, decision: Decision, settings: Settings, fromFile: boolean): OperatorPlan {
  const reads = decision.quantized && settings.method !== "weightOnly";
  const why =
    decision.quantized && decision.floatResult && isProduct(decision.kind) && settings.method === "static"
      ? `${decision.why}, its result a float`
      : decision.why;
  return {
    name: nodeName(node),
    operator: operatorName(node, fromFile),
    precision: precisionOf(decision, settings),
    why,
    activations: reads ? activationDType(settings) : null,
    weights: weightText(node, decision, settings),
    weightBytes: weightBytes(graph, node, decision, settings),
  };
}

function warningsOf({ target, activations, weights, method }: Settings): string[] {
  const warnings: string[] = [];
  if (method === "static" && activations.bits === 16 && target.name === "wasm")
    warnings.push("the wasm engine multiplies 16-bit activations in float: smaller errors, no speed");
  if (method !== "weightOnly" && weights.bits === 4)
    warnings.push(`${target.name} widens 4-bit weights before it multiplies: a smaller file, no speed`);
  if (method === "static" && target.activations.symmetric && !activations.symmetric)
    warnings.push(`${target.name} wants symmetric activations`);
  if (method === "static" && target.name.startsWith("onnxruntime") && activations.signed && !activations.symmetric)
    warnings.push("onnxruntime multiplies unsigned activations faster than signed ones");
  return warnings;
}

/** Decisions as rows. @throws OnnxError when nothing would be quantized. */
export function planOf(
  graph: Graph,
  settings: Settings,
  options: QuantizeOptions,
  fromFile: boolean,
  decisions: ReadonlyMap<Node, Decision> = decide(graph, settings, options, fromFile),
): QuantizePlan {
  requireSome(decisions);
  const operators = [...decisions].map(([node, decision]) => row(graph, node, decision, settings, fromFile));
  const counts: Record<Precision, number> = { int8: 0, int16: 0, int4: 0, float: 0 };
  for (const { precision } of operators) counts[precision]++;
  return {
    method: settings.method,
    target: settings.target.name,
    observer: settings.method === "static" ? settings.observer : null,
    format: settings.format,
    operators,
    counts,
    warnings: warningsOf(settings),
  };
}
