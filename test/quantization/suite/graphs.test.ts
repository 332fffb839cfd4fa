import { expect, test } from "vitest";
import { capture } from "../../../src/graph/capture.ts";
import type { GraphModule } from "../../../src/graph/graph-module.ts";
import { Conv2d, Linear, Module, ReLU } from "../../../src/nn/index.ts";
import { manualSeed, randn } from "../../../src/index.ts";
import {
  XnnpackQuantizer,
  convertPt2e,
  getSymmetricQuantizationConfig,
  preparePt2e,
} from "../../../src/quantization/pt2e/index.ts";
import * as suite from "../../../src/quantization/suite/index.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

class Net extends Module {
  conv = new Conv2d(3, 4, 3);
  relu = new ReLU();
  fc = new Linear(16, 5);

  forward(x: Tensor): Tensor {
    return this.fc.forward(this.relu.forward(this.conv.forward(x)).flatten(1));
  }
}

manualSeed(6);
const x = randn([8, 3, 4, 4]);
const float = capture(new Net().eval(), [x]);

function quantized(model: GraphModule): GraphModule {
  const quantizer = new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig({ isPerChannel: true }));
  const prepared = preparePt2e(model, quantizer);
  prepared.run(x);
  return convertPt2e(prepared);
}

/** dB that 8 bits must keep in every node of this small network. */
const MIN_SQNR = 25;

test.each([false, true])("every node of float and quantized graph side by side, handles given: %s", (handles) => {
  const model = capture(new Net().eval(), [x]);
  if (handles) suite.generateNumericDebugHandle(model);
  const [ref, actual] = [model, quantized(model)].map(suite.prepareForPropagationComparison) as [
    GraphModule,
    GraphModule,
  ];
  ref.run(x);
  actual.run(x);
  const summary = suite.compareResults(suite.extractResultsFromLoggers(ref), suite.extractResultsFromLoggers(actual));
  expect([...summary.values()].map(({ refNode }) => / = (\w+)/.exec(refNode)![1])).toEqual([
    "conv2d",
    "relu",
    "reshape",
    "linear",
  ]);
  for (const { results } of summary.values()) {
    expect(results[0]!.sqnr).toBeGreaterThan(MIN_SQNR);
    expect(results[0]!.cosine).toBeGreaterThan(0.99);
    expect(results[0]!.mseLoss).toBeGreaterThan(0);
  }
});

test("weights of both graphs, the quantized ones as stored integers", () => {
  const results = suite.extractWeights("float", float, "int8", quantized(float));
  expect(Object.keys(results)).toEqual(["conv2d", "linear"]);
  const { weight } = results["linear"]!;
  expect(weight!["float"]![0]!.values[0]!.dtype).toBe("float32");
  expect(weight!["int8"]![0]!.values[0]!.dtype).toBe("int8");
});

test("loggers, and comparisons of what they kept", () => {
  const [a, b] = suite.addLoggers("float", float, "int8", quantized(float));
  a.run(x);
  b.run(x);
  const results = suite.extractLoggerInfo(a, b);
  suite.extendLoggerResultsWithComparison(results, "float", "int8", suite.computeSqnr, "sqnr");
  for (const kinds of Object.values(results)) {
    expect(kinds["node_output"]!["int8"]![0]!.comparisons!["sqnr"]![0]).toBeGreaterThan(MIN_SQNR);
  }
  expect(suite.printComparisons(results).split("\n")).toHaveLength(4);
  suite.loggersSetEnabled(b, false);
  b.run(x);
  expect(results["linear"]!["node_output"]!["int8"]![0]!.values).toHaveLength(1);
});

test("shadows see the quantized graph's own inputs", () => {
  const int8 = quantized(float);
  const shadowed = suite.addShadowLoggers("float", float, "int8", int8);
  expect(shadowed.run(x).data).toEqual(int8.run(x).data);
  const results = suite.extractShadowLoggerInfo(shadowed);
  suite.extendLoggerResultsWithComparison(results, "float", "int8", suite.computeSqnr, "sqnr");
  const own = (layer: string): number => results[layer]!["node_output"]!["int8"]![0]!.comparisons!["sqnr"]![0]!;
  expect(own("linear")).toBeGreaterThan(MIN_SQNR);
  // relu and reshape add no error of their own.
  expect([own("relu"), own("reshape")]).toEqual([Infinity, Infinity]);
});

test("graphs of different models have nothing to compare", () => {
  class Other extends Module {
    forward(y: Tensor): Tensor {
      return y.exp();
    }
  }
  expect(() => suite.addLoggers("a", float, "b", capture(new Other(), [x]))).toThrow(/counterpart/);
});
