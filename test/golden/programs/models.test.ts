/**
 * The float models of the golden programs: the TypeScript twins give PyTorch's outputs, and every case names one.
 */

import { describe, expect, it } from "vitest";
import { flattenTree } from "../../../src/graph/index.ts";
import type { Module } from "../../../src/nn/index.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { expectTensor } from "../compare.ts";
import { caseNames, loadCase, loadModel } from "./load.ts";
import { models } from "./models.ts";

/** Float32 sums in another order, through at most a handful of layers. */
const FLOAT = { relative: 1e-5, ofLargest: 2e-6 };

describe("golden models", () => {
  it.each(Object.keys(models))("%s", (id) => {
    const { model, test, floatOutput } = loadModel(id);
    const output = (model as Module<readonly Tensor[], unknown>).forward(...test);
    const actual = flattenTree(output).leaves;
    const expected = flattenTree(floatOutput).leaves;
    expect(actual.length).toBe(expected.length);
    actual.forEach((tensor, k) => expectTensor(tensor, expected[k]!, FLOAT, `${id}[${k}]`));
  });

  it.each(["fx", "pt2e", "qat", "quantize"] as const)("every %s case has its model", (mode) => {
    const unknown = caseNames(mode).map((name) => loadCase(mode, name).case.model).filter((id) => !Object.hasOwn(models, id));
    expect(unknown).toEqual([]);
  });
});
