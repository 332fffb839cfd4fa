/** Fake-quantize modules beyond golden vectors: switches, loading, learning, and capture with running statistics. */

import { describe, expect, test } from "vitest";
import { backward } from "../../src/autograd/backward.ts";
import { ArgumentError, QuantError } from "../../src/errors.ts";
import { capture } from "../../src/graph/capture.ts";
import { Identity } from "../../src/nn/linear.ts";
import { Module } from "../../src/nn/module.ts";
import { mul } from "../../src/ops/arithmetic.ts";
import { sum } from "../../src/ops/reduce.ts";
import * as q from "../../src/quantization/index.ts";
import { ones, randn, tensor } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const x = randn([3, 8], { generator: new Generator(7) });

describe("switches", () => {
  test("act on fake-quantizes and leave other modules alone", () => {
    const module = q.defaultQatQConfigV2.activation() as q.FakeQuantize;
    module.apply(q.disableFakeQuant);
    module.apply(q.disableObserver);
    expect([module.fakeQuantEnabled.item(), module.observerEnabled.item()]).toEqual([0, 0]);
    expect(module.forward(x)).toBe(x);
    expect(module.activationPostProcess.hasObserved).toBe(false);
    module.apply(q.enableFakeQuant);
    module.apply(q.enableObserver);
    expect([module.fakeQuantEnabled.item(), module.observerEnabled.item()]).toEqual([1, 1]);
    expect(() => new Identity().apply(q.enableFakeQuant)).not.toThrow();
  });

  test("are untouched by eval", () => {
    const module = q.defaultFakeQuant().eval();
    module.forward(x);
    expect(module.activationPostProcess.hasObserved).toBe(true);
  });
});

describe("state", () => {
  test.each([
    ["per channel", () => q.defaultPerChannelWeightFakeQuant()],
    ["fused per channel", () => q.defaultFusedPerChannelWtFakeQuant()],
    ["per tensor", () => q.defaultFakeQuant()],
    ["fixed", () => q.defaultFixedQParamsRange0to1FakeQuant()],
  ] as const)("%s loads into a fresh module", (_, make) => {
    const first = make();
    first.forward(x);
    const second = make();
    second.loadStateDict(first.stateDict());
    second.disableObserver();
    first.disableObserver();
    expect(second.forward(x).tolist()).toEqual(first.forward(x).tolist());
  });

  test("a clone goes on by itself", () => {
    const first = q.defaultFakeQuant();
    first.forward(x);
    const copy = first.clone();
    copy.forward(mul(x, 10));
    expect(copy.scale.item()).not.toBe(first.scale.item());
  });
});

describe("learned ranges", () => {
  test("start from the observer and follow gradients", () => {
    const module = new q.LearnableFakeQuantize({ quantMin: 0, quantMax: 15, dtype: "quint8" });
    module.enableStaticEstimate();
    module.forward(x);
    const estimated = module.scale.item();
    module.apply(q.enableRangeLearning);
    backward(sum(module.forward(x)));
    expect(module.scale.grad!.shape).toEqual([1]);
    module.scale.assign([estimated * 2]);
    module.forward(x);
    expect(module.scale.item()).toBe(Math.fround(estimated * 2));
    module.apply(q.disableRangeLearning);
    expect(module.scale.requiresGrad).toBe(false);
  });

  test("have one scale a channel when the scheme does", () => {
    const module = new q.LearnableFakeQuantize({
      observer: q.MovingAveragePerChannelMinMaxObserver,
      quantMin: -8,
      quantMax: 7,
      dtype: "qint8",
      qscheme: "per_channel_symmetric",
    });
    module.forward(x);
    expect(module.scale.shape).toEqual([3]);
    expect(module.calculateQParams().zeroPoint.tolist()).toEqual([0, 0, 0]);
  });
});

describe("refusals", () => {
  test("of ranges and observers that do not fit", () => {
    expect(() => new q.FakeQuantize({ quantMin: 0, quantMax: 300 })).toThrow(ArgumentError);
    expect(() => new q.FusedMovingAvgObsFakeQuantize({ observer: q.MinMaxObserver })).toThrow(ArgumentError);
    expect(() => new q.FixedQParamsFakeQuantize({ observer: q.MinMaxObserver })).toThrow(ArgumentError);
    expect(() => new q.FakeQuantize({ observer: q.NoopObserver })).toThrow(ArgumentError);
    expect(() => new q.LearnableFakeQuantize({ quantMin: 5, quantMax: 5 })).toThrow(ArgumentError);
  });
});

class OneFakeQuantize extends Module {
  fake: q.FakeQuantize;

  constructor(fake: q.FakeQuantize) {
    super();
    this.fake = fake;
  }

  forward(y: Tensor): Tensor {
    return this.fake.forward(y);
  }
}

describe("captured from inside", () => {
  test.each([
    ["plain", () => q.defaultFakeQuant()],
    ["histogram", () => q.defaultHistogramFakeQuant()],
    ["per channel", () => q.defaultPerChannelWeightFakeQuant()],
    ["fused", () => q.defaultFusedActFakeQuant()],
    ["fused per channel", () => q.defaultFusedPerChannelWtFakeQuant()],
  ] as const)("%s keeps its statistics as the module does", (_, make) => {
    const eager = make();
    eager.forward(x);
    const model = new OneFakeQuantize(eager.clone());
    model.fake.captureInside = true;
    const graph = capture(model, [x]);
    expect(graph.graph.nodes.some((node) => node.kind === "module")).toBe(false);
    const generator = new Generator(11);
    for (let step = 0; step < 3; step++) {
      const batch = randn([3, 8], { generator });
      expect(graph.run(batch).tolist()).toEqual(eager.forward(batch).tolist());
    }
    const state = model.fake.stateDict();
    for (const [key, value] of eager.stateDict()) expect([...state.get(key)!.data], key).toEqual([...value.data]);
  });

  test("needs to know the channels", () => {
    const model = new OneFakeQuantize(q.defaultFusedPerChannelWtFakeQuant());
    model.fake.captureInside = true;
    expect(() => capture(model, [x])).toThrow(QuantError);
  });
});

test("gradients pass straight through inside the range", () => {
  const module = q.defaultFixedQParamsRange0to1FakeQuant();
  const input = tensor([-0.5, 0.25, 0.5, 2]).requireGrad();
  backward(module.forward(input), { gradient: ones([4]) });
  expect(input.grad!.tolist()).toEqual([0, 1, 1, 0]);
});
