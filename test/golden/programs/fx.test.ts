/**
 * FX graph mode against PyTorch's programs: observers at the same places with the same sharing and statistics.
 */

import { describe, expect, it } from "vitest";
import { flattenTree } from "../../../src/graph/index.ts";
import { QuantError } from "../../../src/errors.ts";
import * as fx from "../../../src/quantization/fx/index.ts";
import { expectTensor } from "../compare.ts";
import { convertOptionsOf, fxCase, testInputs } from "./fx-case.ts";
import type { FxCase } from "./fx-case.ts";
import { goldenSteps, goldenWeights, ownWeights, runSteps, tokensOf, valuesByPosition } from "./fx-run.ts";
import type { Program } from "./load.ts";
import { caseNames } from "./load.ts";
import { goldenPrepared, inReadingOrder, ownPrepared } from "./fx-shape.ts";

/** Cases that differ from PyTorch on purpose, and why. */
const different: Readonly<Record<string, string>> = {
  "default-fbgemm-shared-linear":
    "PyTorch puts LinearReLU in the shared layer's place, and so adds a relu to the call that has none; here each call is fused by itself",
};

/** Cases whose lowered program differs from PyTorch's on purpose, and why. */
const loweredDifferently: Readonly<Record<string, string>> = {
  "default-fbgemm-shared-conv-branches":
    "PyTorch keeps a layer's output parameters in the layer, so the second of its two calls overwrites the first's; here each call has its own, as in the reference",
};

const names = caseNames("fx").filter((name) => !name.startsWith("error-") && !Object.hasOwn(different, name));

describe("prepareFx places observers as PyTorch does", () => {
  it.each(names)("%s", (name) => {
    const one = fxCase(name);
    const prepared = one.prepare();
    for (const batch of one.data.calibration) prepared.forward(...batch);
    expect(ownPrepared(prepared.graph)).toEqual(goldenPrepared(one.golden.programs["prepared"]!));
  });
});

/** Outputs are integers times a scale, or what float layers made of such. */
const OUTPUT = { relative: 1e-5, ofLargest: 2e-6 };

/** Observed scales follow float sums in another order: two units in the last place of float32. */
const SCALE = 2.4e-7;

function calibrated(one: FxCase): fx.ObservedGraphModule {
  const prepared = one.prepare();
  for (const batch of one.data.calibration) prepared.forward(...batch);
  return prepared;
}

/** Same operators in order, same parameters and sums of integers wherever both sides have an integer tensor. */
function expectProgram(one: FxCase, model: { readonly graph: Parameters<typeof runSteps>[0] }, program: Program): void {
  const own = runSteps(model.graph, testInputs(one), inReadingOrder);
  const golden = goldenSteps(program);
  expect(tokensOf(own.steps)).toEqual(tokensOf(golden));
  const values = valuesByPosition(own.steps);
  for (const [position, expected] of valuesByPosition(golden)) {
    const { scale, ...rest } = expected;
    const value = values.get(position)!;
    expect({ ...value, position, scale: Math.abs(value.scale - scale) <= SCALE * scale }).toEqual({ ...rest, position, scale: true });
  }
  if (program.output === undefined || one.recipe["loweredRuns"] === false) return;
  const expected = flattenTree(program.output).leaves;
  own.outputs.forEach((tensor, k) => {
    if (!tensor.isQuantized) expectTensor(tensor, expected[k]!, OUTPUT, `output ${k}`);
  });
  const integers = Object.values(program.integerOutputs ?? {});
  expect(own.integers.map((tensor) => Array.from(tensor.data))).toEqual(integers.map((tensor) => Array.from(tensor.data)));
}

describe("convertToReferenceFx gives PyTorch's quantize and dequantize nodes", () => {
  it.each(names)("%s", (name) => {
    const one = fxCase(name);
    expectProgram(one, fx.convertToReferenceFx(calibrated(one), convertOptionsOf(one.recipe)), one.golden.programs["reference"]!);
  });
});

describe("convertFx gives PyTorch's integers", () => {
  it.each(names.filter((name) => !Object.hasOwn(loweredDifferently, name)))("%s", (name) => {
    const one = fxCase(name);
    const program = one.golden.programs["lowered"]!;
    const converted = fx.convertFx(calibrated(one), convertOptionsOf(one.recipe));
    expectProgram(one, converted, program);
    expect(ownWeights(converted.graph, inReadingOrder)).toEqual(goldenWeights(program));
  });
});

describe("prepareFx refuses what PyTorch refuses", () => {
  it.each(caseNames("fx").filter((name) => name.startsWith("error-")))("%s", (name) => {
    const one = fxCase(name);
    expect(one.golden.throws).toBeDefined();
    expect(() => one.prepare()).toThrow(QuantError);
  });
});
