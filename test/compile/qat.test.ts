/**
 * Compiled steps of quantization-aware training. Given the same values, observers and fake quantization decide exactly as
 * eager ones; behind float sums of another order a value may now and then round to the neighbouring integer, as between
 * any two float implementations.
 */

import { describe, expect, test } from "vitest";
import { backward } from "../../src/autograd/backward.ts";
import { compileTrainingStep } from "../../src/compile/index.ts";
import { passingRange } from "../../src/compile/training/rules/passing-range.ts";
import { capture } from "../../src/graph/capture.ts";
import { TRAINING_BUDGET } from "../../src/kernels/budget.ts";
import { AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, Module, ReLU } from "../../src/nn/index.ts";
import type { AnyModule } from "../../src/nn/module.ts";
import { crossEntropy, mseLoss } from "../../src/ops/index.ts";
import "../../src/ops/methods.ts";
import { SGD } from "../../src/optim/index.ts";
import {
  FakeQuantize,
  FusedMovingAvgObsFakeQuantize,
  HistogramObserver,
  disableFakeQuant,
  disableObserver,
  enableFakeQuant,
} from "../../src/quantization/index.ts";
import {
  DeQuantStub,
  FloatFunctional,
  QuantStub,
  convert,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
} from "../../src/quantization/entry.ts";
import { freezeBnStats } from "../../src/nn/intrinsic/qat/index.ts";
import { getDefaultQatQConfigMapping, prepareQatFx } from "../../src/quantization/fx/index.ts";
import {
  XnnpackQuantizer,
  convertPt2e,
  getSymmetricQuantizationConfig,
  prepareQatPt2e,
} from "../../src/quantization/pt2e/index.ts";
import { MovingAveragePerChannelMinMaxObserver } from "../../src/quantization/observers/min-max.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { rint } from "../../src/tensor/rounding.ts";

class Net extends Module {
  quant = new QuantStub();
  conv1 = new Conv2d(3, 8, 3, { padding: 1, bias: false });
  bn1 = new BatchNorm2d(8);
  relu1 = new ReLU();
  conv2 = new Conv2d(8, 8, 3, { padding: 1, bias: false });
  bn2 = new BatchNorm2d(8);
  sum = new FloatFunctional();
  pool = new AdaptiveAvgPool2d(1);
  fc = new Linear(8, 5);
  dequant = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const first = this.relu1.forward(this.bn1.forward(this.conv1.forward(this.quant.forward(x))));
    const y = this.sum.addRelu(this.bn2.forward(this.conv2.forward(first)), first);
    return this.dequant.forward(this.fc.forward(this.pool.forward(y).flatten(1)));
  }
}

const FUSIONS = [
  ["conv1", "bn1", "relu1"],
  ["conv2", "bn2"],
];

function eagerQat(backend: "x86" | "qnnpack" = "x86"): Module {
  manualSeed(11);
  const fused = fuseModulesQat(new Net().train(), FUSIONS);
  fused.qconfig = getDefaultQatQConfig(backend);
  return prepareQat(fused.train());
}

function batch(size = 4): [Tensor, Tensor] {
  const labels = Float64Array.from({ length: size }, (_, i) => (i * 3) % 5);
  return [randn([size, 3, 8, 8]), new Tensor("int64", [size], labels)];
}

function eagerStep(model: AnyModule, optimizer: SGD, x: Tensor, target: Tensor): number {
  optimizer.zeroGrad();
  const y = (model as unknown as { forward(x: Tensor): Tensor }).forward(x);
  const loss = crossEntropy(y, target);
  backward(loss);
  optimizer.step();
  return loss.item();
}

function sgd(model: AnyModule, lr = 0.02): SGD {
  return new SGD(model.parameters(), { lr, momentum: 0.9 });
}

/** Names of stored tensors that differ by more than float rounding carried over a few steps. */
function different(a: AnyModule, b: AnyModule, budget: number): string[] {
  const other = b.stateDict();
  return [...a.stateDict()].flatMap(([name, { data }]) => {
    const scale = Math.max(1e-2, ...data.map(Math.abs));
    const error = Math.max(...data.map((v, i) => Math.abs(v - other.get(name)!.data[i]!)));
    return error / scale < budget ? [] : [`${name} ${error / scale}`];
  });
}

const flows: [string, () => AnyModule][] = [
  ["prepareQat, x86", () => eagerQat("x86")],
  ["prepareQat, qnnpack", () => eagerQat("qnnpack")],
  [
    "prepareQatFx",
    () => {
      manualSeed(11);
      return prepareQatFx(new Net().train(), getDefaultQatQConfigMapping("x86"), [batch()[0]]).train();
    },
  ],
  [
    "prepareQatPt2e",
    () => {
      manualSeed(11);
      const graph = capture(new Net().train(), [batch()[0]]);
      const config = getSymmetricQuantizationConfig({ isPerChannel: true, isQat: true });
      return prepareQatPt2e(graph, new XnnpackQuantizer().setGlobal(config)).train();
    },
  ],
];

describe("a few steps agree with eager steps", () => {
  test.each(flows)("%s", (_, make) => {
    const eager = make();
    const model = eager.clone();
    const [eagerOptimizer, optimizer] = [sgd(eager), sgd(model)];
    const step = compileTrainingStep(model, { loss: crossEntropy, optimizer, fallback: "error" });
    for (let i = 0; i < 3; i++) {
      const [x, target] = batch();
      const loss = eagerStep(eager, eagerOptimizer, x, target);
      expect(Math.abs(step.run(x, target).loss - loss)).toBeLessThan(TRAINING_BUDGET);
    }
    expect(different(eager, model, TRAINING_BUDGET)).toEqual([]);
    step.dispose();
  });
});

test("what only depends on the data is equal bit for bit: the input's observer and scale", () => {
  const eager = eagerQat();
  const model = eager.clone();
  const step = compileTrainingStep(model, { loss: crossEntropy, optimizer: sgd(model) });
  const optimizer = sgd(eager);
  for (let i = 0; i < 4; i++) {
    const [x, target] = batch(3 + (i % 2));
    eagerStep(eager, optimizer, x, target);
    step.run(x, target);
  }
  const [a, b] = [eager.stateDict(), model.stateDict()];
  const names = [...a.keys()].filter((name) => name.startsWith("quant."));
  expect(names.length).toBeGreaterThan(5);
  for (const name of names) expect(b.get(name)!.data, name).toEqual(a.get(name)!.data);
});

/** y = round(x) * weight, so that nothing but fake quantization and exact products happens. */
class Rounding extends Module {
  activation: Module;
  weightRounding: Module;
  fc = new Linear(16, 16, { bias: false });

  constructor(activation: Module, weightRounding: Module) {
    super();
    this.activation = activation;
    this.weightRounding = weightRounding;
  }

  forward(x: Tensor): Tensor {
    return this.activation.forward(x).mul(this.weightRounding.forward(this.fc.weight));
  }
}

const perChannel = { dtype: "qint8", qscheme: "per_channel_symmetric", quantMin: -128, quantMax: 127 } as const;
const kinds: [string, () => Rounding][] = [
  [
    "fused",
    () =>
      new Rounding(
        new FusedMovingAvgObsFakeQuantize({ quantMin: 0, quantMax: 127 }),
        new FusedMovingAvgObsFakeQuantize({ ...perChannel, observer: MovingAveragePerChannelMinMaxObserver }),
      ),
  ],
  [
    "FakeQuantize",
    () => new Rounding(new FakeQuantize(), new FakeQuantize({ quantMin: -128, quantMax: 127, dtype: "qint8" })),
  ],
  ["histogram", () => new Rounding(new FakeQuantize({ observer: HistogramObserver }), new FakeQuantize())],
];

test.each(kinds)("%s: outputs, observers and parameters are equal bit for bit", (_, make) => {
  manualSeed(12);
  const eager = make().train();
  const model = eager.clone();
  const [eagerOptimizer, optimizer] = [sgd(eager, 0.1), sgd(model, 0.1)];
  const step = compileTrainingStep(model, { loss: mseLoss, optimizer });
  const target = randn([16, 16]);
  for (let i = 0; i < 5; i++) {
    const x = randn([16, 16]);
    eagerOptimizer.zeroGrad();
    const y = eager.forward(x);
    backward(mseLoss(y, target));
    eagerOptimizer.step();
    const { output } = step.run(x, target);
    expect((output as Tensor).data).toEqual(y.data);
    const state = model.stateDict();
    for (const [name, { data }] of eager.stateDict()) expect(state.get(name)!.data, name).toEqual(data);
    if (i === 1) for (const m of [eager, model]) m.apply(disableObserver);
    if (i === 2) for (const m of [eager, model]) m.apply(disableFakeQuant);
    if (i === 3) for (const m of [eager, model]) m.apply(enableFakeQuant);
  }
});

test("batch norms frozen in the middle, and switches, take effect", () => {
  const eager = eagerQat();
  const model = eager.clone();
  const [eagerOptimizer, optimizer] = [sgd(eager), sgd(model)];
  const step = compileTrainingStep(model, { loss: crossEntropy, optimizer });
  for (let i = 0; i < 3; i++) {
    const [x, target] = batch();
    const loss = eagerStep(eager, eagerOptimizer, x, target);
    expect(Math.abs(step.run(x, target).loss - loss)).toBeLessThan(TRAINING_BUDGET);
    if (i === 0) for (const m of [eager, model]) m.apply(freezeBnStats);
    if (i === 1) for (const m of [eager, model]) m.apply(disableObserver);
  }
  expect(different(eager, model, TRAINING_BUDGET)).toEqual([]);
});

test("a model trained by compiled steps converts, in eager mode and as a graph", () => {
  const [x, target] = batch(6);
  const model = eagerQat();
  const step = compileTrainingStep(model, { loss: crossEntropy, optimizer: sgd(model, 0.05) });
  const losses = Array.from({ length: 30 }, () => step.run(x, target).loss);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.8);
  const twin = eagerQat();
  twin.forward(x);
  twin.loadStateDict(model.stateDict());
  expect(convert(model.eval()).forward(x).data).toEqual(convert(twin.eval()).forward(x).data);
  const graph = flows[3]![1]();
  const graphStep = compileTrainingStep(graph, { loss: crossEntropy, optimizer: sgd(graph, 0.05) });
  for (let i = 0; i < 3; i++) graphStep.run(x, target);
  expect(convertPt2e(graph as ReturnType<typeof prepareQatPt2e>).run(x).shape).toEqual([6, 5]);
});

test("observers without fake quantization let gradients through", () => {
  manualSeed(13);
  const model = new Net().eval();
  model.qconfig = getDefaultQConfig("x86");
  const prepared = prepare(model).train();
  const eager = prepared.clone();
  const step = compileTrainingStep(prepared, { loss: crossEntropy, optimizer: sgd(prepared) });
  const [x, target] = batch();
  const loss = eagerStep(eager, sgd(eager), x, target);
  expect(Math.abs(step.run(x, target).loss - loss)).toBeLessThan(TRAINING_BUDGET);
  // A value at the edge of a bin may be counted in the next one.
  expect(different(eager, prepared, 1e-3).filter((name) => !name.includes("histogram"))).toEqual([]);
});

test.each([
  [0.1, 3, 0, 255],
  [0.02, 0, -128, 127],
  [1e-3, 127, 0, 127],
  [7, 0, 0, 15],
])("the interval a straight-through mask lets pass: scale %f, zero point %i", (scale, zeroPoint, low, high) => {
  const line = { low: -Infinity, high: Infinity };
  const range = passingRange(scale, zeroPoint, low, high, line);
  const passes = (v: number): boolean => {
    const q = Math.fround(rint(Math.fround(v * Math.fround(1 / Math.fround(scale)))) + zeroPoint);
    return q >= low && q <= high;
  };
  const next = (v: number, by: number): number => {
    const bits = new Int32Array(Float32Array.of(v).buffer);
    bits[0]! += v > 0 ? by : -by;
    return new Float32Array(bits.buffer)[0]!;
  };
  if (range.low !== 0) expect([passes(range.low), passes(next(range.low, 1))]).toEqual([false, true]);
  expect([passes(range.high), passes(next(range.high, -1))]).toEqual([false, true]);
  expect(passingRange(scale, zeroPoint, zeroPoint, high, { low: 0, high: Infinity }).low).toBe(-Infinity);
});
