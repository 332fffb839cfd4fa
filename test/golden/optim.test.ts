/**
 * Optimizer trajectories and learning-rate sequences against PyTorch's vectors.
 */

import { describe, expect, it } from "vitest";
import {
  Adam,
  AdamW,
  ConstantLR,
  CosineAnnealingLR,
  CosineAnnealingWarmRestarts,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  MultiStepLR,
  OneCycleLR,
  PolynomialLR,
  ReduceLROnPlateau,
  SGD,
  StepLR,
} from "../../src/optim/index.ts";
import type { LRScheduler, Optimizer } from "../../src/optim/index.ts";
import { zeros } from "../../src/tensor/create.ts";
import { Parameter } from "../../src/tensor/tensor.ts";
import { expectNumbers, expectTensor, listAt, numberAt, table, tensorAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import type { Fields, GoldenCase } from "./load.ts";

/** A few float32 roundings over six steps: fused and separate multiply-adds. */
const STEPS: Budget = { absolute: 2e-7, relative: 5e-7 };
/** Rates are doubles; PyTorch computes some of them by recurrence. */
const RATES: Budget = { relative: 1e-12, absolute: 1e-15 };

type Make = (params: readonly Parameter[], options: object) => Optimizer;

const optimizers: Readonly<Record<string, Make>> = {
  SGD: (params, options) => new SGD(params, options),
  Adam: (params, options) => new Adam(params, options),
  AdamW: (params, options) => new AdamW(params, options),
};

function checkOptimizer({ op, inputs, attrs, expected }: GoldenCase): void {
  const [w, b] = [new Parameter(tensorAt(inputs, "w").copy()), new Parameter(tensorAt(inputs, "b").copy())];
  const optimizer = optimizers[op]!([w, b], attrs);
  const states = listAt(expected, "states") as readonly Fields[];
  (listAt(inputs, "grads") as readonly Fields[]).forEach((grads, i) => {
    w.grad = tensorAt(grads, "w");
    b.grad = tensorAt(grads, "b");
    optimizer.step();
    expectTensor(w, tensorAt(states[i]!, "w"), STEPS, `step ${i}: w`);
    expectTensor(b, tensorAt(states[i]!, "b"), STEPS, `step ${i}: b`);
  });
}

function number(attrs: Fields, key: string): number | undefined {
  return key in attrs ? numberAt(attrs, key) : undefined;
}

const schedulers: Readonly<Record<string, (optimizer: SGD, attrs: Fields) => LRScheduler>> = {
  StepLR: (o, a) => new StepLR(o, numberAt(a, "stepSize"), number(a, "gamma")),
  MultiStepLR: (o, a) => new MultiStepLR(o, listAt(a, "milestones") as number[], number(a, "gamma")),
  ExponentialLR: (o, a) => new ExponentialLR(o, numberAt(a, "gamma")),
  CosineAnnealingLR: (o, a) => new CosineAnnealingLR(o, numberAt(a, "tMax"), number(a, "etaMin")),
  LinearLR: (o, a) => new LinearLR(o, number(a, "startFactor"), 1, number(a, "totalIters")),
  ConstantLR: (o, a) => new ConstantLR(o, number(a, "factor"), number(a, "totalIters")),
  PolynomialLR: (o, a) => new PolynomialLR(o, number(a, "totalIters"), number(a, "power")),
  OneCycleLR: (o, a) => new OneCycleLR(o, { maxLr: numberAt(a, "maxLr"), totalSteps: numberAt(a, "totalSteps") }),
  CosineAnnealingWarmRestarts: (o, a) => new CosineAnnealingWarmRestarts(o, numberAt(a, "t0"), number(a, "tMult")),
  LambdaLR: (o, a) => new LambdaLR(o, (step) => numberAt(a, "base") ** step),
};

function checkScheduler({ op, attrs, expected }: GoldenCase): void {
  const optimizer = new SGD([new Parameter(zeros([1]))], { lr: numberAt(attrs, "lr") });
  const scheduler = schedulers[op]!(optimizer, attrs);
  const wanted = listAt(expected, "lrs") as number[];
  const rates = wanted.map(() => {
    const [rate] = scheduler.getLastLr();
    scheduler.step();
    return rate!;
  });
  expectNumbers(rates, wanted, RATES, "rates");
}

const { cases } = loadGolden("training");

describe("optimizers", () => {
  it.each(table(cases.filter(({ op }) => op in optimizers)))("%s", (_, one) => checkOptimizer(one));
});

describe("schedules", () => {
  it.each(table(cases.filter(({ op }) => op in schedulers)))("%s", (_, one) => checkScheduler(one));

  it("ReduceLROnPlateau", () => {
    const { inputs, attrs, expected } = cases.find(({ op }) => op === "ReduceLROnPlateau")!;
    const optimizer = new SGD([new Parameter(zeros([1]))], { lr: numberAt(attrs, "lr") });
    const scheduler = new ReduceLROnPlateau(optimizer, { factor: numberAt(attrs, "factor"), patience: numberAt(attrs, "patience") });
    const rates = (listAt(inputs, "metrics") as number[]).map((metric) => {
      scheduler.step(metric);
      return optimizer.paramGroups[0]!.lr;
    });
    expect(rates).toEqual(listAt(expected, "lrs"));
  });
});
