/**
 * Compiled training steps against eager ones: the same models, batches and optimizers, step by step.
 */

import { expect, test } from "vitest";
import { backward } from "../../src/autograd/backward.ts";
import { compile, compileTrainingStep } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module } from "../../src/nn/index.ts";
import { avgPool2d, clamp, crossEntropy, mseLoss, mul, pad, relu, sigmoid, slice } from "../../src/ops/index.ts";
import "../../src/ops/methods.ts";
import { Adam, AdamW, SGD, StepLR } from "../../src/optim/index.ts";
import type { SteppedOptimizer, OptimizerState } from "../../src/optim/index.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { TRAINING_BUDGET } from "../../src/kernels/budget.ts";

const STEPS = 20;

type AnyOptimizer = SteppedOptimizer & { zeroGrad(): void; state(): OptimizerState };

/**
 * No biases before batch norms: their gradients are zero but for rounding, which Adam would blow up to whole steps.
 * Winograd and direct convolutions, groups, depthwise, strides, pools, a shortcut that pads, and a clamp that is not relu.
 */
class Net extends Module {
  stem = new Conv2d(3, 8, 3, { padding: 1, bias: false });
  bn1 = new BatchNorm2d(8);
  conv = new Conv2d(8, 8, 3, { padding: 1, bias: false });
  bn2 = new BatchNorm2d(8);
  depthwise = new Conv2d(8, 8, 3, { padding: 1, groups: 8, stride: 2, bias: false });
  grouped = new Conv2d(8, 12, 1, { groups: 2, bias: false });
  bn3 = new BatchNorm2d(12);
  pool = new MaxPool2d(2);
  fc = new Linear(12 * 4, 5);

  forward(x: Tensor): Tensor {
    const first = relu(this.bn1.forward(this.stem.forward(x)));
    const y = relu(this.bn2.forward(this.conv.forward(first)).add(first));
    const narrow = clamp(this.bn3.forward(this.grouped.forward(this.depthwise.forward(y))), 0, 6);
    const shortcut = pad(slice(slice(y, 2, 0, 8, 2), 3, 0, 8, 2), [0, 0, 0, 0, 2, 2]);
    const joined = mul(narrow.add(shortcut), 0.5).add(avgPool2d(narrow, 3, { stride: 1, padding: 1 }));
    return this.fc.forward(this.pool.forward(joined).flatten(1));
  }
}

function batch(size: number): [Tensor, Tensor] {
  const labels = Float64Array.from({ length: size }, (_, i) => (i * 3) % 5);
  return [randn([size, 3, 8, 8]), new Tensor("int64", [size], labels)];
}

function eagerStep(model: Module, optimizer: AnyOptimizer, x: Tensor, target: Tensor): number {
  optimizer.zeroGrad();
  const loss = crossEntropy(model.forward(x), target);
  backward(loss);
  optimizer.step();
  return loss.item();
}

/** Largest difference of any stored tensor, relative to its largest value (at least 1e-2). */
function stateError(a: Module, b: Module): number {
  const other = b.stateDict();
  const errors = [...a.stateDict()].map(([name, { data }]) => {
    const scale = Math.max(1e-2, ...data.map(Math.abs));
    return Math.max(...data.map((v, i) => Math.abs(v - other.get(name)!.data[i]!))) / scale;
  });
  return Math.max(...errors);
}

const optimizers: [string, (model: Module) => AnyOptimizer][] = [
  ["SGD", (m) => new SGD(m.parameters(), { lr: 0.02, momentum: 0.9, nesterov: true, weightDecay: 1e-3 })],
  ["Adam", (m) => new Adam(m.parameters(), { lr: 1e-3, amsgrad: true })],
  ["AdamW", (m) => new AdamW(m.parameters(), { lr: 1e-3 })],
  ["SGD, maximize (no kernel)", (m) => new SGD(m.parameters(), { lr: 1e-4, maximize: true })],
];

test.each(optimizers)("%s: losses, parameters and running statistics are those of eager steps", (_, make) => {
  // Where a value comes within rounding of zero, the two sides may mask it differently, and go different ways from there (seed 5
  // does at step 14, one value of the simd build). Of seeds 1 to 9 only that one does.
  manualSeed(1);
  const eager = new Net().train();
  const compiled = eager.clone();
  const [eagerOptimizer, optimizer] = [make(eager), make(compiled)];
  const step = compileTrainingStep(compiled, { loss: crossEntropy, optimizer, fallback: "error" });
  for (let i = 0; i < STEPS; i++) {
    const [x, target] = batch(i % 4 === 3 ? 3 : 6);
    const loss = eagerStep(eager, eagerOptimizer, x, target);
    expect(Math.abs(step.run(x, target).loss - loss)).toBeLessThan(TRAINING_BUDGET * Math.max(1, loss));
  }
  expect(stateError(eager, compiled)).toBeLessThan(TRAINING_BUDGET);
  expect(compiled.bn1.numBatchesTracked!.item()).toBe(STEPS);
  const [states, eagerStates] = [optimizer.state(), eagerOptimizer.state()];
  expect(states.slots.map(([index, steps]) => [index, steps])).toEqual(
    eagerStates.slots.map(([index, steps]) => [index, steps]),
  );
  const kernels = step.explain(...batch(6)).steps.map(({ kernel }) => kernel);
  expect(kernels).toEqual(expect.arrayContaining(["f32 batch norm, add", "f32 sum, clamp gradient"]));
  step.dispose();
});

class Small extends Module {
  conv = new Conv2d(3, 4, 3, { padding: 1 });
  fc = new Linear(4 * 64, 5);

  forward(x: Tensor): Tensor {
    return this.fc.forward(relu(this.conv.forward(x)).flatten(1));
  }
}

function sgd(model: Module, lr = 0.05): SGD {
  return new SGD(model.parameters(), { lr });
}

test("what is read or written between two steps is current, and schedules act", () => {
  manualSeed(6);
  const eager = new Small().train();
  const model = eager.clone();
  const [eagerOptimizer, optimizer] = [sgd(eager), sgd(model)];
  const schedules = [eagerOptimizer, optimizer].map((each) => new StepLR(each, 1, 0.5));
  const step = compileTrainingStep(model, { loss: crossEntropy, optimizer });
  const both = (x: Tensor, target: Tensor): void => {
    eagerStep(eager, eagerOptimizer, x, target);
    step.run(x, target);
    for (const schedule of schedules) schedule.step();
  };
  const [x, target] = batch(4);
  both(x, target);
  const values = model.fc.weight.data;
  expect(stateError(eager, model)).toBeLessThan(TRAINING_BUDGET);
  for (const m of [eager, model]) m.conv.weight.assign(m.conv.weight.data.map((v) => v * 2));
  both(x, target);
  both(x, target);
  expect(stateError(eager, model)).toBeLessThan(TRAINING_BUDGET);
  expect(model.fc.weight.data).toBe(values);
  const logits = compile(model.clone().eval(), { exampleInputs: [x] }).runOne(x);
  expect(Math.max(...eager.forward(x).data.map((v, i) => Math.abs(v - logits.data[i]!)))).toBeLessThan(1e-4);
  const frozen = model.fc.weight.copy();
  model.fc.weight.requiresGrad = false;
  step.run(x, target);
  expect(model.fc.weight.data).toEqual(frozen.data);
});

test("a plan kept for one batch size sees what a step of another size did", () => {
  manualSeed(7);
  const eager = new Net().train();
  const model = eager.clone();
  const step = compileTrainingStep(model, {
    loss: crossEntropy,
    optimizer: sgd(model),
    allowWinograd: false,
    maxPlans: 2,
  });
  const optimizer = sgd(eager);
  for (const size of [4, 2, 4, 3, 2, 4]) {
    const [x, target] = batch(size);
    const loss = eagerStep(eager, optimizer, x, target);
    expect(Math.abs(step.run(x, target).loss - loss)).toBeLessThan(TRAINING_BUDGET * loss);
  }
  expect(step.explain(...batch(4)).toString()).toContain("conv 6x8 weight gradient");
});

test("two threads give the bits of one", () => {
  manualSeed(9);
  const models = [new Net().train()];
  models.push(models[0]!.clone());
  const engines = [new Engine(), new Engine({ threads: 2 })];
  const steps = models.map((model, i) =>
    compileTrainingStep(model, { loss: crossEntropy, optimizer: sgd(model), engine: engines[i]! }),
  );
  for (let i = 0; i < 3; i++) {
    const [x, target] = batch(40);
    const [one, two] = steps.map((step) => step.run(x, target).loss);
    expect(two).toBe(one);
  }
  const state = models[1]!.stateDict();
  for (const [name, { data }] of models[0]!.stateDict()) expect(state.get(name)!.data, name).toEqual(data);
  engines.forEach((engine) => engine.dispose());
});

test("the output is the model's, until the next step", () => {
  const model = new Small().train();
  const step = compileTrainingStep(model, { loss: crossEntropy, optimizer: sgd(model), exampleInputs: batch(2) });
  const [x, target] = batch(2);
  const expected = model.forward(x);
  const first = step.run(x, target);
  const output = first.output as Tensor;
  expect(Math.max(...output.data.map((v, i) => Math.abs(v - expected.data[i]!)))).toBeLessThan(1e-5);
  step.run(x, target);
  expect(() => first.output).toThrow(/overwritten/);
});

test("operators without a kernel run by their reference, dropout draws what eager dropout draws", () => {
  class Odd extends Module {
    conv = new Conv2d(3, 8, 3, { padding: 1 });
    dropout = new Dropout(0.3);
    fc = new Linear(8 * 64, 16);

    forward(x: Tensor): Tensor {
      return this.fc.forward(sigmoid(this.dropout.forward(this.conv.forward(x))).flatten(1));
    }
  }
  manualSeed(8);
  const eager = new Odd().train();
  const model = eager.clone();
  const [x] = batch(20);
  const target = randn([20, 16]);
  const optimizer = sgd(eager);
  const step = compileTrainingStep(model, { loss: mseLoss, optimizer: sgd(model) });
  for (let i = 0; i < 3; i++) {
    manualSeed(i);
    optimizer.zeroGrad();
    const loss = mseLoss(eager.forward(x), target);
    backward(loss);
    optimizer.step();
    manualSeed(i);
    expect(step.run(x, target).loss).toBeCloseTo(loss.item(), 5);
  }
  expect(stateError(eager, model)).toBeLessThan(TRAINING_BUDGET);
  const strict = compileTrainingStep(model, { loss: mseLoss, optimizer: sgd(model), fallback: "error" });
  expect(() => strict.run(x, target)).toThrow(/operator/);
});

test("two inputs, two targets, several outputs", () => {
  class Pair extends Module<[Tensor, Tensor], { sum: Tensor; product: Tensor }> {
    left = new Linear(6, 4);
    right = new Linear(5, 4);

    forward(a: Tensor, b: Tensor): { sum: Tensor; product: Tensor } {
      const [x, y] = [this.left.forward(a), this.right.forward(b)];
      return { sum: x.add(y), product: mul(x, y) };
    }
  }
  const model = new Pair().train();
  const step = compileTrainingStep(model, {
    loss: ({ sum, product }: { sum: Tensor; product: Tensor }, s: Tensor, p: Tensor) =>
      mseLoss(sum, s).add(mseLoss(product, p)),
    optimizer: new SGD(model.parameters(), { lr: 0.1 }),
  });
  const inputs = [randn([3, 6]), randn([3, 5])];
  const targets = [randn([3, 4]), randn([3, 4])];
  const losses = Array.from({ length: 30 }, () => step.run(inputs, targets).loss);
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
  const { output } = step.run(inputs, targets);
  expect(Object.keys(output as object)).toEqual(["sum", "product"]);
});

test("what cannot be is refused in words", () => {
  const model = new Small().eval();
  const step = compileTrainingStep(model, { loss: crossEntropy, optimizer: sgd(model) });
  const [x, target] = batch(2);
  expect(() => step.run(x, target)).toThrow(/eval mode/);
  model.train();
  const wide = compileTrainingStep(model, { loss: (y: Tensor) => y, optimizer: sgd(model) });
  expect(() => wide.run(x, [])).toThrow(/one number/);
  expect(() => step.run(randn([2, 4, 8, 8]), target)).toThrow(/channels|shape/i);
  step.run(x, target);
  const before = model.fc.weight.data[0];
  step.dispose();
  expect(model.fc.weight.data[0]).toBe(before);
  expect(() => step.run(x, target)).toThrow(/disposed/);
});
