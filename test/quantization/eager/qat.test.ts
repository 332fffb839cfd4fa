/** Layers for training: statistics that freeze, the two ways of computing a fused convolution, back to float. */

import { describe, expect, it } from "vitest";
import * as nn from "../../../src/nn/index.ts";
import * as nniqat from "../../../src/nn/intrinsic/qat/index.ts";
import * as nni from "../../../src/nn/intrinsic/index.ts";
import * as nnqat from "../../../src/nn/qat/index.ts";
import { Linear as DynamicLinear } from "../../../src/nn/qat/dynamic/index.ts";
import { freezeBnStats, fuseModulesQat, prepareQat, updateBnStats } from "../../../src/quantization/eager/index.ts";
import {
  defaultEmbeddingQatQConfig,
  defaultQatQConfig,
  disableFakeQuant,
  getDefaultQatQConfig,
} from "../../../src/quantization/index.ts";
import { mul, sum } from "../../../src/ops/index.ts";
import { fromArray } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { FUSE, Net, batch } from "./support.ts";

function trained(): Net & { conv: nniqat.ConvBnReLU2d } {
  const model = fuseModulesQat(new Net().train(), FUSE);
  model.qconfig = getDefaultQatQConfig("x86");
  return prepareQat(model) as never;
}

function close(actual: Tensor, expected: Tensor, budget: number): void {
  actual.data.forEach((v, i) => expect(Math.abs(v - expected.data[i]!)).toBeLessThanOrEqual(budget));
}

describe("fused convolutions in training", () => {
  it("are one module with PyTorch's keys", () => {
    const { conv } = trained();
    expect(conv).toBeInstanceOf(nniqat.ConvBnReLU2d);
    expect([...conv.stateDict().keys()]).toEqual(
      expect.arrayContaining(["weight", "bias", "bn.running_mean", "weight_fake_quant.scale"]),
    );
  });

  it("freeze their statistics, also through train()", () => {
    const model = trained();
    model.apply(freezeBnStats);
    model.train();
    const before = [...model.conv.bn.runningMean!.data];
    model.forward(batch());
    expect([...model.conv.bn.runningMean!.data]).toEqual(before);
    model.apply(updateBnStats);
    model.forward(batch());
    expect([...model.conv.bn.runningMean!.data]).not.toEqual(before);
  });

  it.each([true, false])("agree on both paths when nothing is rounded, training = %s", (training) => {
    const model = trained().apply(disableFakeQuant);
    const slow = model.clone();
    slow.conv.slowPath = true;
    const run = (one: Net): Tensor => one.train(training).forward(batch());
    close(run(slow), run(model), 1e-5);
    close(slow.conv.bn.runningVar!, model.conv.bn.runningVar!, 1e-6);
  });

  it("compute what the float layers do when nothing is rounded, with the same gradients", () => {
    const float = new Net().train();
    const model = fuseModulesQat(float, FUSE);
    model.qconfig = defaultQatQConfig;
    const qat = prepareQat(model).apply(disableFakeQuant);
    const [a, b] = [float.forward(batch()), qat.forward(batch())];
    close(b, a, 1e-5);
    sum(mul(a, a)).backward();
    sum(mul(b, b)).backward();
    const grads = new Map(qat.namedParameters());
    close(grads.get("conv.weight")!.grad!, (float.conv as unknown as nn.Conv2d).weight.grad!, 1e-4);
    close(grads.get("fc.weight")!.grad!, (float.fc as unknown as nn.Linear).weight.grad!, 1e-4);
  });

  it("fold back into a float layer", () => {
    const { conv } = trained();
    conv.bn.runningMean!.assign([0.5, -0.5, 1, 0]);
    const folded = conv.eval().apply(disableFakeQuant).toFloat();
    const float = new nni.ConvReLU2d(folded, new nn.ReLU());
    close(float.forward(batch()), conv.forward(batch()), 1e-5);
  });
});

describe("training layers", () => {
  it("share the float layer's parameters and give copies back", () => {
    const float = new nn.Linear(4, 2);
    float.qconfig = defaultQatQConfig;
    const qat = nnqat.Linear.fromFloat(float);
    expect(qat.weight).toBe(float.weight);
    expect(qat.toFloat().weight).not.toBe(float.weight);
  });

  it("need a fitting qconfig", () => {
    expect(() => new nnqat.Linear(4, 2, { qconfig: null })).toThrow(/needs a QConfig/);
    expect(() => new DynamicLinear(4, 2, { qconfig: defaultQatQConfig })).toThrow(/averagingConstant 1/);
    expect(() => new nnqat.Embedding(4, 2, { qconfig: defaultQatQConfig })).toThrow(/float parameters/);
  });

  it("pass gradients to the rows of a table", () => {
    const table = new nnqat.Embedding(4, 2, { qconfig: defaultEmbeddingQatQConfig });
    sum(table.forward(fromArray([1, 1], [2], "int64"))).backward();
    expect([...table.weight.grad!.data]).toEqual([0, 0, 2, 2, 0, 0, 0, 0]);
  });
});
