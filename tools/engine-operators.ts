/**
 * Writes docs/engine-operators.md: every operator a graph can have, and whether the engine has kernels for it, in compiled
 * graphs and in compiled training steps. Both columns are the tables that compilation itself asks.
 *
 *   node --conditions=fewbit-source tools/engine-operators.ts
 */

import { writeFileSync } from "node:fs";
import path from "node:path";
import { stepRuleOf } from "../src/compile/steps/index.ts";
import { trainingRuleOf } from "../src/compile/training/rules/index.ts";
import { Node, noSource } from "../src/graph/graph.ts";
import "../src/ops/all.ts";
import { allOps } from "../src/ops/op.ts";

export const PAGE = path.join(import.meta.dirname, "../docs/engine-operators.md");

export interface EngineRow {
  readonly operator: string;
  readonly inference: boolean;
  readonly training: boolean;
}

/** All operators by name. */
export function engineRows(): EngineRow[] {
  return allOps()
    .map(({ name }) => {
      const node = new Node("operator", name, [], {}, noSource);
      return {
        operator: name,
        inference: stepRuleOf(node) !== undefined,
        training: trainingRuleOf(node) !== undefined,
      };
    })
    .sort((a, b) => (a.operator < b.operator ? -1 : 1));
}

/** The page as text. */
export function enginePage(): string {
  const rows = engineRows();
  const count = (column: "inference" | "training"): number => rows.filter((row) => row[column]).length;
  const mark = (has: boolean): string => (has ? "kernel" : "");
  const lines = rows.map(
    ({ operator, inference, training }) => `| \`${operator}\` | ${mark(inference)} | ${mark(training)} |`,
  );
  return `# Operators the engine computes

Made by \`tools/engine-operators.ts\` from the rules that \`compile\` and \`compileTrainingStep\` ask. Where no kernel is
named, or the kernel does not take a case (another dtype, another axis), compiling refuses with the reason, or runs the
operator's reference with \`{ fallback: "reference" }\`; \`explain\` says which.

${rows.length} operators: ${count("inference")} in compiled graphs, ${count("training")} in compiled training steps.

| operator | compiled | training step |
| --- | --- | --- |
${lines.join("\n")}
`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(PAGE, enginePage());
