/**
 * Quantization-aware training of exported graphs against torchao: 20 steps from the same weights on the same batches,
 * then conversion. Budgets are those by which PyTorch differs from itself with another convolution
 * (golden/programs/README.md).
 */

import { describe, expect, it } from "vitest";
import { backward } from "../../../src/autograd/backward.ts";
import { capture, flattenTree } from "../../../src/graph/index.ts";
import { SGD } from "../../../src/optim/index.ts";
import { mseLoss } from "../../../src/ops/index.ts";
import { convertPt2e, prepareQatPt2e } from "../../../src/quantization/pt2e/index.ts";
import type { Parameter, Tensor } from "../../../src/tensor/tensor.ts";
import { expectNumbers, expectTensor, listAt, numberAt, tensorAt } from "../compare.ts";
import type { Fields } from "../load.ts";
import { caseNames, loadCase, loadModel } from "./load.ts";
import type { Program } from "./load.ts";
import { makeQuantizer } from "./pt2e-quantizers.ts";
import { formOfGraph, formOfProgram } from "./shape.ts";

const LOSS = { relative: 3.5e-4 };
const SCALE = { relative: 2.9e-7 };
/** Trained weights and running statistics: 20 steps' worth of gradients that go to a neighbouring step at a tie. */
const TRAINED = { relative: 1e-3, ofLargest: 1e-3 };
const EXACT_INTEGERS = {};

describe("QAT gives torchao's losses, parameters and programs", () => {
  it.each(caseNames("qat").filter((name) => name.startsWith("pt2e")))("%s", (name) => {
    const { case: recipe, programs, rest } = loadCase("qat", name);
    const { model, calibration, test } = loadModel(recipe.model);
    const prepared = prepareQatPt2e(capture(model.train(), calibration[0]!), makeQuantizer(recipe["quantizer"]));
    const optimizer = new SGD(prepared.parameters() as Iterable<Parameter>, { lr: numberAt(recipe, "learningRate") });
    const batches = rest["training"] as readonly Fields[];
    const losses = Array.from({ length: numberAt(recipe, "steps") }, (_, step) => {
      const batch = batches[step % batches.length]!;
      optimizer.zeroGrad();
      const loss = mseLoss(prepared.run(tensorAt(batch, "input")), tensorAt(batch, "target"));
      backward(loss);
      optimizer.step();
      return loss.item();
    });
    expectNumbers(losses, listAt(rest, "losses") as number[], LOSS, "losses");
    const state = prepared.stateDict();
    for (const part of ["state", "batchNorm"]) {
      for (const [key, value] of Object.entries(rest[part] as Readonly<Record<string, Tensor>>)) expectTensor(state.get(key)!, value, TRAINED, key);
    }
    const converted = convertPt2e(prepared);
    const actual = formOfGraph(converted);
    const expected = formOfProgram(programs["converted"] as Program);
    expect(actual.lines).toEqual(expected.lines);
    expected.parameters.forEach(({ scale, zeroPoint }, i) => {
      expectNumbers(actual.parameters[i]!.scale, scale, SCALE, `scale ${i}`);
      expectNumbers(actual.parameters[i]!.zeroPoint, zeroPoint, EXACT_INTEGERS, `zero point ${i}`);
    });
    const outputs = flattenTree(converted.forward(...test)).leaves;
    flattenTree(programs["converted"]!.output).leaves.forEach((output, i) => {
      const step = actual.parameters.at(-1)!.scale[0]!;
      expectTensor(outputs[i]!, output, { absolute: step * 1.001 }, `${name}[${i}]`);
    });
  });
});
