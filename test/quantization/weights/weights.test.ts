import { describe, expect, test } from "vitest";
import { backward } from "../../../src/autograd/backward.ts";
import { Conv2d, Embedding, Linear, Module, ReLU, Sequential } from "../../../src/nn/index.ts";
import { arange, manualSeed, randn } from "../../../src/index.ts";
import * as weights from "../../../src/quantization/weights/index.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

manualSeed(8);

function model(): Sequential {
  return new Sequential(new Linear(64, 32), new ReLU(), new Linear(32, 8)).eval();
}

/** dB that each config must reach on random data. */
const configs: [string, object, number][] = [
  ["int8 weights", new weights.Int8WeightOnlyConfig(), 40],
  ["int8 weights, dynamic int8 activations", new weights.Int8DynamicActivationInt8WeightConfig(), 35],
  [
    "int4 groups of 32",
    new weights.IntxWeightOnlyConfig({ weightDtype: "int4", granularity: new weights.PerGroup(32) }),
    16,
  ],
  ["int4 groups with zero points", new weights.Int4WeightOnlyConfig({ groupSize: 32 }), 16],
];

test.each(configs)("%s keep the output", (_, config, least) => {
  const net = model();
  const x = randn([16, 64]);
  const float = net.forward(x);
  weights.quantizeModel(net, config);
  expect(net.children().filter((child) => child instanceof weights.AffineQuantizedLinear)).toHaveLength(2);
  expect(weights.computeError(float, net.forward(x))).toBeGreaterThan(least);
});

test("a state dict carries the integers to a fresh model", () => {
  const config = new weights.Int8WeightOnlyConfig();
  const [a, b] = [model(), model()];
  weights.quantizeModel(a, config);
  weights.quantizeModel(b, config);
  b.loadStateDict(a.stateDict());
  const x = randn([3, 64]);
  expect(b.forward(x).data).toEqual(a.forward(x).data);
});

test("learned ranges train their scales", () => {
  const net = model().train();
  const weightConfig = new weights.IntxFakeQuantizeConfig({ dtype: "int4", groupSize: 32, rangeLearning: true });
  weights.quantizeModel(net, new weights.QATConfig({ weightConfig }));
  const x = randn([4, 64]);
  expect(() => net.forward(x)).toThrow(/initializeFakeQuantizers/);
  weights.initializeFakeQuantizers(net, x);
  const scales = net.namedParameters().filter(([name]) => name.endsWith("weightFakeQuantizer.scale"));
  expect(scales.map(([, { shape }]) => shape)).toEqual([[32, 2], [8, 1]]); // prettier-ignore
  backward(net.forward(x).sum());
  for (const [, scale] of scales) expect(scale.grad!.data.some((v) => v !== 0)).toBe(true);
});

test("embeddings train with a fake-quantized weight", () => {
  class Lookup extends Module {
    table = new Embedding(10, 32);

    forward(indices: Tensor): Tensor {
      return this.table.forward(indices);
    }
  }
  const net = new Lookup();
  const before = net.forward(arange(10));
  const weightConfig = new weights.IntxFakeQuantizeConfig({ dtype: "int8", granularity: "per_channel" });
  const filter = (module: unknown): boolean => module instanceof Embedding;
  weights.quantizeModel(net, new weights.QATConfig({ weightConfig }), filter);
  expect(net.table).toBeInstanceOf(weights.FakeQuantizedEmbedding);
  expect(weights.computeError(before, net.forward(arange(10)))).toBeGreaterThan(35);
  weights.quantizeModel(net, new weights.QATConfig({ step: "convert" }), filter);
  expect(net.forward(arange(10)).data).toEqual(before.data);
});

describe("bad input", () => {
  test.each<[string, () => unknown, RegExp]>([
    [
      "a name that matches nothing",
      () => weights.quantizeModel(model(), new weights.FqnToConfig([["fc9", null]])),
      /unmatched = \[fc9\].*modules = \[0, 2\]/,
    ],
    [
      "a filter beside names",
      () => weights.quantizeModel(model(), new weights.FqnToConfig([]), () => true),
      /must be no filter/,
    ],
    ["an unknown config", () => weights.quantizeModel(model(), {}), /no handler/],
    [
      "a group that does not divide",
      () => weights.quantizeModel(model(), new weights.IntxWeightOnlyConfig({ granularity: new weights.PerGroup(48) })),
      /multiple of the group size/,
    ],
    ["an unknown dtype", () => new weights.IntxWeightOnlyConfig({ weightDtype: "int9" as "int8" }), /int1 to int8/],
    [
      "symmetric tokens",
      () => new weights.IntxFakeQuantizeConfig({ dtype: "int8", granularity: "per_token" }),
      /tokens are quantized asymmetrically/,
    ],
    [
      "learning and dynamic",
      () => new weights.IntxFakeQuantizeConfig({ dtype: "int8", groupSize: 8, rangeLearning: true, isDynamic: true }),
      /cannot be dynamic/,
    ],
    ["prepare without a config", () => new weights.QATConfig({}), /prepare needs/],
    [
      "a module that is no linear layer",
      () => weights.quantizeModel(model(), new weights.Int8WeightOnlyConfig(), (module) => module instanceof ReLU),
      /linear layers only/,
    ],
  ])("%s", (_, fn, message) => {
    expect(fn).toThrow(message);
  });
});

test("1x1 convolutions become linear layers with the same output", () => {
  const net = new Sequential(
    new Conv2d(8, 16, 1),
    new ReLU(),
    new Conv2d(16, 4, 3),
    new Conv2d(4, 4, 1, { stride: 2 }),
  );
  const x = randn([2, 8, 6, 6]);
  const before = net.eval().forward(x);
  weights.swapConv2d1x1ToLinear(net);
  expect([...net].map((module) => module.constructor.name)).toEqual(["PermuteSandwich", "ReLU", "Conv2d", "Conv2d"]);
  expect(weights.computeError(before, net.forward(x))).toBeGreaterThan(120);
  weights.quantizeModel(net, new weights.Int8WeightOnlyConfig());
  expect(weights.computeError(before, net.forward(x))).toBeGreaterThan(35);
});

test("convolutions that read more than a pixel stay convolutions", () => {
  const net = new Sequential(new Conv2d(4, 4, 3));
  expect(() => {
    weights.swapConv2d1x1ToLinear(net, (module) => module instanceof Conv2d);
  }).toThrow(/only 1x1 convolutions/);
});
