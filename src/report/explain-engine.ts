/**
 * What the engine does with a graph, step by step: which kernel, in integers or float, and why; without running it.
 * Graphs that cannot be compiled are told as such, with the operators at fault.
 */

import { compile } from "../compile/index.ts";
import { isForeign } from "../graph/graph.ts";
import type { GraphModule } from "../graph/graph-module.ts";
import { zeroInputs } from "../graph/zero-inputs.ts";
import { isCompilable } from "../onnx/backend/index.ts";
import { alignRows } from "./table.ts";

export interface EngineStep {
  readonly node: string;
  readonly kernel: string;
  readonly precision: string;
  /** Why this kernel and not a faster one; empty for the best there is. */
  readonly why: string;
  /** Multiplications and additions. */
  readonly operations: number;
}

export interface EngineExplanation {
  readonly runs: "compiled" | "interpreted";
  readonly steps: readonly EngineStep[];
  /** Steps by precision. */
  readonly counts: Readonly<Record<string, number>>;
  readonly arenaBytes: number;
  readonly constantBytes: number;
}

function countsOf(steps: readonly EngineStep[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { precision } of steps) counts[precision] = (counts[precision] ?? 0) + 1;
  return counts;
}

function interpreted(module: GraphModule): EngineExplanation {
  const steps = module.graph.nodes
    .filter(({ kind }) => kind === "operator")
    .map((node) => ({
      node: node.outputs[0]?.name ?? node.target,
      kernel: node.target,
      precision: "reference",
      why: isForeign(node)
        ? "an operator of the file that is run as it is, or only carried"
        : node.outputs.some(({ type }) => type === null)
          ? "its type is known only when it runs"
          : "",
      operations: 0,
    }));
  return { runs: "interpreted", steps, counts: countsOf(steps), arenaBytes: 0, constantBytes: 0 };
}

/** @throws EngineError when the plan does not fit into memory. */
export function explainEngine(module: GraphModule): EngineExplanation {
  if (!isCompilable(module)) return interpreted(module);
  const executable = compile(module.graph, { fallback: "reference" });
  try {
    const { steps, arenaBytes, constantBytes } = executable.explain(zeroInputs(module.graph), { repeats: 0 });
    const told = steps.map(({ node, kernel, precision, why, operations }) => ({
      node,
      kernel,
      precision,
      why,
      operations,
    }));
    return { runs: "compiled", steps: told, counts: countsOf(told), arenaBytes, constantBytes };
  } finally {
    executable.dispose();
  }
}

export function engineText({ runs, steps, counts, arenaBytes, constantBytes }: EngineExplanation): string {
  const rows = steps.map(({ node, kernel, precision, why, operations }) => [
    node.split(",")[0]!,
    precision,
    kernel,
    operations > 0 ? String(operations) : "",
    why,
  ]);
  const total = Object.entries(counts).map(([precision, count]) => `${count} ${precision}`);
  const foot = `${runs}, steps: ${total.join(", ")}${runs === "compiled" ? `; memory ${arenaBytes} bytes, constants ${constantBytes} bytes` : ""}`;
  return `${alignRows(["value", "precision", "kernel", "operations", "why"], rows)}\n\n${foot}`;
}
