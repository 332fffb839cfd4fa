/**
 * Quantization-aware training in FX graph mode: 20 steps from PyTorch's weights give its losses, weights and
 * parameters, and conversion its program and integers.
 */

import { describe, expect, it } from "vitest";
import { backward, mseLoss } from "../../../src/index.ts";
import { SGD } from "../../../src/optim/index.ts";
import { disableObserver } from "../../../src/quantization/index.ts";
import * as fx from "../../../src/quantization/fx/index.ts";
import { unitRecordOf } from "../../../src/quantization/fx/units.ts";
import { observedOf } from "../../../src/quantization/pt2e/convert.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { backendOf, qatMappingOf } from "./fx-case.ts";
import { goldenSteps, runSteps, tokensOf } from "./fx-run.ts";
import { inReadingOrder } from "./fx-shape.ts";
import { caseNames, loadCase, loadModel } from "./load.ts";
import type { ProgramCase } from "./load.ts";

/** What PyTorch itself moves by when its convolutions add in another order (golden/programs/README.md). */
const LOSS = 3.5e-4;
/** How far PyTorch's scales are from PyTorch's when its batch norms are summed in float64, as ours are (same README). */
const SCALE = 2.9e-7;

const names = caseNames("qat").filter((name) => name.startsWith("fx-"));

interface Batch {
  readonly input: Tensor;
  readonly target: Tensor;
}

function prepared(golden: ProgramCase): fx.ObservedGraphModule {
  const recipe = golden.case as unknown as Parameters<typeof backendOf>[0];
  const { model, calibration } = loadModel(golden.case.model);
  return fx.prepareQatFx(model.train(), qatMappingOf(recipe["mapping"]!), calibration[0]!, null, backendOf(recipe));
}

/** Plain SGD on the mean squared error, the batches in turn. */
function train(model: fx.ObservedGraphModule, golden: ProgramCase): number[] {
  const { steps, learningRate, freezeAfter } = golden.case as unknown as { steps: number; learningRate: number; freezeAfter?: number };
  const batches = golden.rest["training"] as unknown as readonly Batch[];
  const optimizer = new SGD(model.parameters(), { lr: learningRate });
  return Array.from({ length: steps }, (_, step) => {
    if (step === freezeAfter) {
      model.apply(disableObserver);
      fx.freezeBnStats(model);
    }
    const { input, target } = batches[step % batches.length]!;
    optimizer.zeroGrad();
    const loss = mseLoss(model.run(input), target);
    backward(loss);
    optimizer.step();
    return loss.item();
  });
}

/** Trained weights, absolutely: gradients of 20 steps in another order of summation, and one step at a rounding tie. */
const WEIGHT = 2e-4;

/** A trained layer keeps its batch norm inside: `conv1.bn.weight` is what the batch norm fused with conv1 reads. */
function tensorOf({ graph }: fx.ObservedGraphModule, name: string): Tensor {
  const [, layer, parameter] = /^(.*)\.bn\.(weight|bias)$/.exec(name) ?? [];
  const norm = graph.nodes.find((node) => node.target === "batchNorm" && unitRecordOf(node)?.path === layer);
  const tensor = norm ? graph.tensorOf(norm.args[parameter === "weight" ? 1 : 2]!) : graph.attributes.get(name);
  if (!tensor) throw new Error(`the graph has no ${name}`);
  return tensor;
}

/** Trained parameters, under PyTorch's names. */
function expectState(model: fx.ObservedGraphModule, golden: ProgramCase): void {
  const state = golden.rest["state"] as unknown as Readonly<Record<string, Tensor>>;
  for (const [name, expected] of Object.entries(state)) {
    const tensor = tensorOf(model, name);
    const worst = Math.max(...Array.from(expected.data, (v, i) => Math.abs(v - tensor.data[i]!)));
    expect({ name, worst: worst <= WEIGHT }).toEqual({ name, worst: true });
  }
}

const relative = (a: number, b: number): number => Math.abs(a - b) / Math.max(Math.abs(b), 1e-12);

describe("prepareQatFx trains as PyTorch does", () => {
  it.each(names)("%s", (name) => {
    const golden = loadCase("qat", name);
    const model = prepared(golden);
    const losses = train(model, golden);
    const expected = golden.rest["losses"] as readonly number[];
    expect(losses.length).toBe(expected.length);
    expect(Math.max(...losses.map((loss, i) => relative(loss, expected[i]!)))).toBeLessThan(LOSS);
    const program = golden.programs["prepared"]!;
    const own = inReadingOrder(model.graph).flatMap((node) => {
      const watched = node.inputs[0];
      const observed = node.kind === "module" ? observedOf(model.graph.modules.get(node.target)) : null;
      return observed && !observed.qscheme.startsWith("per_channel") && observed.dtype === "quint8" && watched ? [observed.calculateQParams()] : [];
    });
    const theirs = program.nodes.flatMap(({ observer }) => (observer === undefined ? [] : [program.observers![observer]!.statistics]));
    const activations = theirs.filter(({ scale }) => typeof scale === "number") as unknown as { scale: number; zeroPoint: number }[];
    expect(own.map(({ zeroPoint }) => zeroPoint.item())).toEqual(activations.map(({ zeroPoint }) => zeroPoint));
    const worst = Math.max(...own.map(({ scale }, i) => relative(scale.item(), activations[i]!.scale)));
    expect(worst).toBeLessThanOrEqual(SCALE);
    const converted = fx.convertFx(model.eval());
    expectState(model, golden);
    const { test } = loadModel(golden.case.model);
    const run = runSteps(converted.graph, test, inReadingOrder);
    expect(tokensOf(run.steps)).toEqual(tokensOf(goldenSteps(golden.programs["converted"]!)));
    const integers = Object.values(golden.programs["converted"]!.integerOutputs ?? {});
    expect(run.integers.map((tensor) => Array.from(tensor.data))).toEqual(integers.map((tensor) => Array.from(tensor.data)));
  });

  it("refuses a transposed convolution with a batch norm", () => {
    const golden = loadCase("qat", "error-fx-conv-transpose-bn");
    expect(golden.throws).toBeDefined();
    expect(() => prepared(golden)).toThrow("transposed convolution");
  });
});
