/** Float and quantized models side by side, on the residual network of the golden flows. */

import { beforeAll, describe, expect, it } from "vitest";
import * as nn from "../../../src/nn/index.ts";
import { dequantize } from "../../../src/ops/index.ts";
import { convert, fuseModules, prepare, quantizeDynamic } from "../../../src/quantization/eager/index.ts";
import { getDefaultQConfig } from "../../../src/quantization/index.ts";
import {
  MeanShadowLogger,
  Shadow,
  biasCorrection,
  compareModelOutputs,
  compareModelStub,
  compareWeights,
  computeSqnr,
  getLoggerDict,
  prepareModelWithStubs,
} from "../../../src/quantization/suite/index.ts";
import { manualSeed } from "../../../src/tensor/context.ts";
import { randn } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { makeModel } from "../../golden/flow-models.ts";
import type { FlowModel } from "../../golden/flow-models.ts";

const FUSE = [
  ["conv1", "bn1", "relu1"],
  ["conv2", "bn2"],
  ["conv3", "relu3"],
];

let float: FlowModel;
let quantized: FlowModel;
let x: Tensor;

beforeAll(() => {
  manualSeed(1);
  x = randn([4, 3, 8, 8]);
  float = fuseModules(makeModel({ model: "SkipNet" }).eval(), FUSE);
  float.qconfig = getDefaultQConfig("x86");
  const prepared = prepare(float);
  prepared.forward(x);
  quantized = convert(prepared);
});

describe("compareWeights", () => {
  it("pairs weights by the quantized model's keys", () => {
    const pairs = compareWeights(float.stateDict(), quantized.stateDict());
    expect(Object.keys(pairs).sort()).toEqual([
      "conv1.weight",
      "conv2.weight",
      "conv3.weight",
      "fc._packed_params._packed_params",
    ]);
    for (const [key, pair] of Object.entries(pairs)) {
      expect(pair.quantized.isQuantized, key).toBe(true);
      expect(computeSqnr(pair.float, pair.quantized), key).toBeGreaterThan(30);
    }
  });

  it("takes the hidden weights of recurrent layers", () => {
    const lstm = new nn.Sequential(new nn.LSTM(3, 4));
    const pairs = compareWeights(lstm.stateDict(), quantizeDynamic(lstm).stateDict());
    expect(Object.keys(pairs)).toEqual(["0._all_weight_values.0.param"]);
    expect(pairs["0._all_weight_values.0.param"]!.float).toBe(lstm.stateDict().get("0.weight_hh_l0"));
  });
});

describe("compareModelOutputs", () => {
  it("pairs the outputs of every layer and leaves both models alone", () => {
    const [floatKeys, keys] = [[...float.stateDict().keys()], [...quantized.stateDict().keys()]];
    const pairs = compareModelOutputs(float, quantized, [x]);
    expect(Object.keys(pairs)).toEqual(
      expect.arrayContaining(["quant.stats", "conv1.stats", "skip.stats", "fc.stats"]),
    );
    for (const [key, pair] of Object.entries(pairs)) {
      expect(pair.float.length, key).toBeGreaterThan(0);
      expect(computeSqnr(pair.float[0] as Tensor, pair.quantized[0] as Tensor), key).toBeGreaterThan(10);
    }
    expect([...float.stateDict().keys()]).toEqual(floatKeys);
    expect([...quantized.stateDict().keys()]).toEqual(keys);
    expect(float.modules().some((module) => module.forwardHooks.post.length > 0)).toBe(false);
  });

  it("logs what the caller allows", () => {
    const pairs = compareModelOutputs(float, quantized, [x], { allowList: new Set([nn.Linear, nn.AdaptiveAvgPool2d]) });
    expect(Object.keys(pairs)).not.toContain("quant.stats");
  });
});

describe("compareModelStub", () => {
  it("runs float layers beside quantized ones on the same input", () => {
    const dict = compareModelStub(float, quantized, new Set([nn.Linear, nn.Conv2d]), [x]);
    expect(Object.keys(dict)).toEqual(["conv2.stats", "fc.stats"]);
    const { float: own, quantized: theirs } = dict["fc.stats"] as { float: Tensor[]; quantized: Tensor[] };
    expect(own[0]!.shape).toEqual(theirs[0]!.shape);
    expect(computeSqnr(own[0]!, theirs[0]!)).toBeGreaterThan(20);
    expect(quantized.modules().some((module) => module instanceof Shadow)).toBe(false);
  });

  it("shadows functionals", () => {
    const classes = new Set(float.modules().map((module) => module.constructor as never));
    const shadowed = quantized.clone();
    prepareModelWithStubs(float, shadowed, classes);
    const expected = [...quantized.forward(x).data];
    expect([...shadowed.forward(x).data]).toEqual(expected);
    const { float: own, quantized: theirs } = getLoggerDict(shadowed)["skip.stats"] as Record<string, Tensor[]>;
    expect(computeSqnr(own![0]!, theirs![0]!)).toBeGreaterThan(20);
    expect(shadowed.stateDict().has("fc.orig_module.scale")).toBe(true);
  });

  it("takes a logger of the caller's", () => {
    const dict = compareModelStub(float, quantized, new Set([nn.Linear]), [x], {
      loggerClass: MeanShadowLogger,
    });
    expect(dict["fc.stats"]!["float"]).toBeDefined();
  });
});

describe("biasCorrection", () => {
  it("takes the mean error out of a layer's bias", () => {
    const model = quantized.clone();
    const fc = model.getSubmodule("fc") as unknown as { bias: Tensor };
    fc.bias.assign(fc.bias.data.map((v) => v + 0.5));
    const error = (): number => {
      const { float: own, quantized: theirs } = compareModelStub(float, model, new Set([nn.Linear]), [x])[
        "fc.stats"
      ] as Record<string, Tensor[]>;
      const difference = dequantize(theirs![0]!).data.map((v, i) => v - own![0]!.data[i]!);
      return Math.abs(Array.from(difference).reduce((a, b) => a + b, 0) / difference.length);
    };
    expect(error()).toBeGreaterThan(0.2);
    biasCorrection(float, model, [[x, null]]);
    expect(error()).toBeLessThan(0.02);
    expect(model.modules().some((module) => module instanceof Shadow)).toBe(false);
  });

  it("says when there is no data", () => {
    expect(() => biasCorrection(float, quantized.clone(), [])).toThrow(/no data/);
    expect(() => biasCorrection(float, quantized.clone(), [x], { nevalBatches: 0 })).toThrow(/no data/);
  });
});
