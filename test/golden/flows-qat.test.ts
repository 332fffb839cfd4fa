/**
 * Quantization-aware training end to end against PyTorch's vectors: twenty steps from given weights and batches, then
 * the scales, the converted integers and the output.
 */

import { describe, expect, it } from "vitest";
import "../../src/ops/methods.ts";
import {
  convert,
  freezeBnStats,
  fuseModulesQat,
  getDefaultDynamicQuantModuleMappings,
  getDefaultQatModuleMappings,
  getEmbeddingQatModuleMappings,
  getEmbeddingStaticQuantModuleMappings,
  prepareQat,
} from "../../src/quantization/eager/index.ts";
import type { ModuleMapping } from "../../src/quantization/eager/index.ts";
import * as nn from "../../src/nn/index.ts";
import { ConvBnNd } from "../../src/nn/intrinsic/qat/conv-bn.ts";
import { Linear as DynamicQatLinear } from "../../src/nn/qat/dynamic/index.ts";
import { crossEntropy } from "../../src/ops/loss-classes.ts";
import { SGD } from "../../src/optim/index.ts";
import { disableObserver } from "../../src/quantization/index.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectNumbers, expectTensor, fieldsAt, listAt, numberAt, table, tensorAt, tensorsAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { expectRun, expectState, floatModel, qconfigOf, setQConfig } from "./flows.ts";
import type { FlowModel } from "./flow-models.ts";
import { loadGolden } from "./load.ts";
import type { Fields, GoldenCase } from "./load.ts";

interface Budgets {
  /** The first step: sums in another order. */
  readonly gradients: Budget;
  readonly losses: Budget;
  /** Twenty steps of momentum carry such differences along. Null: only the final scales are compared. */
  readonly trained: Budget | null;
}

const CLOSE: Budgets = {
  gradients: { absolute: 1e-6, ofLargest: 5e-6 },
  losses: { relative: 1e-5 },
  trained: { absolute: 2e-6, ofLargest: 2e-5 },
};

/**
 * With some thousand fake-quantized values a step, one or another lies so near a tie that the last bit of a float sum
 * decides its integer; from there on two correct trajectories part by such steps. Of nine seeds tried, each of these
 * models also has some whose trajectories stay as close as those of the small ones.
 */
const WIDE_MODELS: readonly string[] = ["SkipNet", "SkipTail", "MobileBlock"];
const PARTED: Budgets = {
  gradients: { absolute: 1e-6, ofLargest: 1e-1 },
  losses: { relative: 2e-2 },
  trained: null,
};
/** Final scales of trajectories that parted. */
const SCALES: Budget = { relative: 2e-2 };

function budgetsOf({ attrs }: GoldenCase): Budgets {
  return WIDE_MODELS.includes(attrs["model"] as string) ? PARTED : CLOSE;
}

/** Outputs of the trained model, where a last bit may move a value to the next step of its fake quantization. */
const OUTPUTS: Budget = { ofLargest: 2e-2 };
/** Converting equal states: folding batch norm, in float32. */
const CONVERTED: Budget = { absolute: 1e-7, ofLargest: 1e-6 };

/** Freezes what the case freezes before step `i`. */
function freeze(model: FlowModel, attrs: Fields, i: number): void {
  if (typeof attrs["freeze"] !== "object" || attrs["freeze"] === null) return;
  const at = fieldsAt(attrs, "freeze");
  if (i === numberAt(at, "observers")) model.apply(disableObserver);
  if (i === numberAt(at, "batchNorm")) model.apply(freezeBnStats);
}

function optimizerOf(model: FlowModel, attrs: Fields): SGD {
  const { lr, momentum, nesterov, weight_decay: weightDecay } = fieldsAt(attrs, "optimizer") as Readonly<Record<string, never>>;
  const given = { lr, momentum, nesterov, weightDecay };
  return new SGD(model.parameters(), Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}

function expectFirstGradients(model: FlowModel, expected: Fields, budget: Budget): void {
  const state = model.stateDict();
  for (const [key, grad] of Object.entries(fieldsAt(expected, "firstGrads"))) {
    expectTensor(state.get(key)!.grad!, grad as never, budget, `first gradient of ${key}`);
  }
}

function expectScales(model: FlowModel, expected: Fields): void {
  const state = model.stateDict();
  for (const [key, scale] of Object.entries(expected)) {
    if (key.endsWith(".scale")) expectTensor(state.get(key)!, scale as Tensor, SCALES, `trained: ${key}`);
  }
}

/** Trains on the case's batches and compares every loss. */
function train(model: FlowModel, one: GoldenCase, forward: (batch: Fields) => ReturnType<FlowModel["forward"]>): void {
  const optimizer = optimizerOf(model, one.attrs);
  const budgets = budgetsOf(one);
  const losses = (listAt(one.inputs, "batches") as readonly Fields[]).map((batch, i) => {
    freeze(model, one.attrs, i);
    optimizer.zeroGrad();
    const loss = crossEntropy(forward(batch), tensorAt(batch, "target"));
    loss.backward();
    if (i === 0 && "firstGrads" in one.expected) expectFirstGradients(model, one.expected, budgets.gradients);
    optimizer.step();
    return loss.item();
  });
  expectNumbers(losses, listAt(one.expected, "losses") as number[], budgets.losses, "losses");
  const trained = fieldsAt(one.expected, "trained");
  if (budgets.trained) expectState(model, trained, budgets.trained, "trained");
  else expectScales(model, trained);
}

function check(one: GoldenCase): void {
  const { attrs, inputs, expected } = one;
  const fuse = attrs["fuse"] as readonly (readonly string[])[];
  const model = floatModel(one).train();
  const fused = fuse.length > 0 ? fuseModulesQat(model, fuse) : model;
  setQConfig(fused, attrs);
  const prepared = prepareQat(fused);
  expect([...prepared.stateDict().keys()].filter((key) => !key.endsWith(".eps")).sort()).toEqual(listAt(expected, "preparedKeys"));
  if (attrs["slowPath"]) for (const module of prepared.modules()) if (module instanceof ConvBnNd) module.slowPath = true;
  train(prepared, one, (batch) => prepared.forward(tensorAt(batch, "x")));
  prepared.eval();
  expectTensor(prepared.forward(tensorsAt(inputs, "test")[0]!), tensorAt(expected, "fakeOutput"), OUTPUTS, "output before convert");
  // From here on PyTorch's own weights: a last bit of a weight decides between two integers, and those are to be equal.
  takeState(prepared, fieldsAt(expected, "beforeConvert"));
  const converted = convert(prepared);
  expectState(converted, fieldsAt(expected, "converted"), CONVERTED, "converted");
  expectRun(converted, one, CONVERTED);
}

/** Replaces the model's state by PyTorch's. */
function takeState(model: FlowModel, state: Fields): void {
  const entries = Object.entries(state).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
  const { unexpected } = model.loadStateDict(new Map(entries), { strict: false });
  expect(unexpected).toEqual([]);
}

const special: Readonly<Record<string, { readonly qat: () => ModuleMapping; readonly converted: () => ModuleMapping }>> = {
  dynamic: {
    qat: () => getDefaultQatModuleMappings().set(nn.Linear, DynamicQatLinear),
    converted: getDefaultDynamicQuantModuleMappings,
  },
  embedding: { qat: getEmbeddingQatModuleMappings, converted: getEmbeddingStaticQuantModuleMappings },
};

function checkSpecial(one: GoldenCase): void {
  const { attrs, inputs, expected } = one;
  const { qat, converted: mapping } = special[attrs["kind"] as string]!;
  const model = floatModel(one).train();
  const on = (attrs["qconfigOn"] ?? "") as string;
  model.getSubmodule(on).qconfig = qconfigOf(attrs["qconfig"]);
  const prepared = prepareQat(model, { mapping: qat() });
  train(prepared, one, (batch) =>
    "x" in batch ? prepared.forward(tensorAt(batch, "x")) : prepared.forward(tensorAt(batch, "indices"), tensorAt(batch, "offsets")),
  );
  prepared.eval();
  const examples = tensorsAt(inputs, "test");
  expectTensor(prepared.forward(...examples), tensorAt(expected, "fakeOutput"), OUTPUTS, "output before convert");
  takeState(prepared, fieldsAt(expected, "beforeConvert"));
  const converted = convert(prepared, { mapping: mapping() });
  expectState(converted, fieldsAt(expected, "converted"), CONVERTED, "converted");
  expectTensor(converted.forward(...examples), tensorAt(expected, "output"), CONVERTED, "output");
}

describe("quantization-aware training", () => {
  const { cases } = loadGolden("flows-qat");
  it.each(table(cases.filter(({ op }) => op === "qat")))("%s", (_, one) => check(one));
  it.each(table(cases.filter(({ op }) => op === "specialQat")))("%s", (_, one) => checkSpecial(one));
});
