/**
 * Capture against torch.export: the models of the golden programs give the same operators in the same order.
 */

import { describe, expect, it } from "vitest";
import { capture } from "../../../src/graph/index.ts";
import { hasOp } from "../../../src/ops/op.ts";
import { caseNames, loadCase, loadModel } from "./load.ts";
import type { Program } from "./load.ts";
import { operators } from "./vocabulary.ts";

/** The exported program of each model, from its first PT2E case. */
function exportedPrograms(): [string, Program][] {
  const found = new Map<string, Program>();
  for (const name of caseNames("pt2e")) {
    const { case: recipe, programs } = loadCase("pt2e", name);
    const exported = programs["exported"];
    if (exported && !found.has(recipe.model)) found.set(recipe.model, exported);
  }
  return [...found];
}

describe("capture and torch.export agree", () => {
  it.each(exportedPrograms())("%s", (id, exported) => {
    const { model, calibration } = loadModel(id);
    const captured = capture(model, calibration[0]!).graph.nodes.filter((node) => node.kind === "operator");
    expect(captured.map((node) => node.target)).toEqual(operators(exported));
  });

  it("every operator of the prepared FX programs is one of fewbit's", () => {
    const leaves = new Set(["gate", "graphModule", "observedScale", "lstm", "gru", "lstmCell", "gruCell", "rnnCell"]);
    const unknown = caseNames("fx").flatMap((name) => {
      const prepared = loadCase("fx", name).programs["prepared"];
      return prepared ? operators(prepared).filter((op) => !hasOp(op) && !leaves.has(op)) : [];
    });
    expect(unknown).toEqual([]);
  });
});
