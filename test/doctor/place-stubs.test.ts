/** placeStubs on networks written without quantization in mind: equal in float, converted, run in the engine. */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { readImages, readTensors } from "../../examples/lib/cifar.ts";
import { evaluate } from "../../examples/lib/evaluate.ts";
import { InceptionBlock } from "../../examples/models/inception-plain.ts";
import { SequenceClassifier } from "../../examples/models/lstm-plain.ts";
import { MobileNetV2 } from "../../examples/models/mobilenet-plain.ts";
import { ResNet20 } from "../../examples/models/resnet20-plain.ts";
import { SqueezeNet } from "../../examples/models/squeezenet-plain.ts";
import { EncoderLayer } from "../../examples/models/transformer-plain.ts";
import { compile } from "../../src/compile/index.ts";
import type { StepReport } from "../../src/compile/index.ts";
import { takeRows } from "../../src/data/index.ts";
import { doctor, findingsText, placeStubs } from "../../src/doctor/index.ts";
import type { AnyModule } from "../../src/nn/module.ts";
import { convert, getDefaultQConfig, getDefaultQatQConfig, prepare, prepareQat } from "../../src/quantization/entry.ts";
import { computeSqnr } from "../../src/quantization/suite/metrics.ts";
import { backward, mul } from "../../src/index.ts";
import { SGD } from "../../src/optim/index.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import * as inception from "./applied/inception.ts";
import * as squeezenet from "./applied/squeezenet.ts";
import * as transformer from "./applied/transformer.ts";

/** Signal to quantization noise in dB that random networks keep at least when converted. */
const MIN_SQNR = 15;
/** Folding batch normalization rounds weights once more; relative to the largest output. */
const FLOAT_TOLERANCE = 1e-5;

interface Network {
  readonly model: () => AnyModule;
  readonly shape: readonly number[];
  /** Integer classes to be found after convert. */
  readonly expected: Readonly<Record<string, number>>;
  /** Whether float results are the same bits: there is no batch normalization to fold. */
  readonly isExact: boolean;
  /** Operators that may compute in float or by their reference, and why; everything else must be int8. */
  readonly notInteger?: Readonly<Record<string, string>>;
}

const networks: Readonly<Record<string, Network>> = {
  ResNet20: {
    model: () => new ResNet20(),
    shape: [2, 3, 16, 16],
    expected: { ConvReLU2d: 10, QFunctional: 9, Linear: 1 },
    isExact: false,
  },
  MobileNetV2: {
    model: () => new MobileNetV2(),
    shape: [2, 3, 32, 32],
    expected: { ConvReLU2d: 7, Conv2d: 3, QFunctional: 2 },
    isExact: false,
  },
  SqueezeNet: {
    model: () => new SqueezeNet(),
    shape: [2, 3, 32, 32],
    expected: { ConvReLU2d: 8, QFunctional: 2 },
    isExact: true,
  },
  Inception: {
    model: () => new InceptionBlock(6),
    shape: [2, 6, 8, 8],
    expected: { ConvReLU2d: 6, QFunctional: 1 },
    isExact: false,
  },
  transformer: {
    model: () => new EncoderLayer(16, 2, 32),
    shape: [2, 5, 16],
    expected: { Linear: 6, LayerNorm: 2, QFunctional: 5 },
    isExact: true,
    notInteger: {
      softmax: "eager mode has no integer softmax; it runs on the engine in float",
      gelu: "eager mode has no integer gelu, and the engine no float one",
      quantizedMatmul: "the engine may lack an integer product of two activations",
    },
  },
  LSTM: {
    model: () => new SequenceClassifier(6, 8, 3),
    shape: [2, 4, 6],
    expected: { LSTM: 1, Linear: 3 },
    isExact: true,
  },
};

function count(model: AnyModule, name: string): number {
  return model.modules().filter((module) => module.constructor.name === name).length;
}

function run(model: AnyModule, x: Tensor): Tensor {
  return (model as unknown as { forward(x: Tensor): Tensor }).forward(x);
}

function sample(shape: readonly number[], seed: number): Tensor {
  return randn(shape, { generator: new Generator(seed) });
}

/** Prepared with the default qconfig, calibrated on three batches, converted. */
function quantize<M extends AnyModule>(model: M, shape: readonly number[]): M {
  model.qconfig = getDefaultQConfig("x86");
  const prepared = prepare(model);
  for (let seed = 3; seed < 6; seed++) run(prepared, sample(shape, seed));
  return convert(prepared);
}

/** The operator a step of `explain` is about: `%add = quantizedAdd, layer1, …`. */
function operatorOf({ node }: StepReport): string {
  return /= (\w+)/.exec(node)?.[1] ?? node;
}

describe.each(Object.entries(networks))("placeStubs on a plain %s", (_name, network) => {
  const { model, shape, expected, isExact, notInteger = {} } = network;
  manualSeed(1);
  const x = sample(shape, 3);
  const float = model().eval();
  const { model: placed, edits, diff } = placeStubs(float, [x]);
  const converted = quantize(placed.clone(), shape);

  test("computes the same in float: bit for bit, or within rounding where batch norms are folded", () => {
    const [before, after] = [run(float, x), placed.run(x)];
    const largest = Math.max(...[...before.data].map(Math.abs));
    const difference = Math.max(...[...before.data].map((v, i) => Math.abs(v - after.data[i]!)));
    expect(difference / largest).toBeLessThanOrEqual(isExact ? 0 : FLOAT_TOLERANCE);
  });

  test("leaves doctor nothing to find", () => {
    const ready = placed.clone();
    ready.qconfig = getDefaultQConfig("x86");
    expect(findingsText(doctor(ready, [x]))).toBe("no mistakes found");
  });

  test("converts to integer layers", () => {
    for (const [name, times] of Object.entries(expected)) expect(count(converted, name), name).toBe(times);
    expect(count(converted, "QuantStub")).toBe(0);
    expect(computeSqnr(run(float, x), converted.run(x))).toBeGreaterThan(MIN_SQNR);
  });

  test("runs in the engine, in integers but for what is named, with the same bits", () => {
    const mayFallBack = Object.keys(notInteger).length > 0;
    const executable = compile(converted, { exampleInputs: [x], fallback: mayFallBack ? "reference" : "error" });
    expect([...executable.runOne(x).data]).toEqual([...converted.run(x).data]);
    const { steps } = executable.explain([x], { repeats: 1 });
    const computing = steps.filter(({ precision }) => precision !== "copy");
    const others = computing.filter(({ precision }) => precision !== "int8").map(operatorOf);
    expect(others.filter((name) => !(name in notInteger))).toEqual([]);
    const operations = steps.filter(({ operations }) => operations > 0);
    expect(operations.length).toBeGreaterThan(0);
    executable.dispose();
  });

  test("says what it did, in words a person can apply", () => {
    expect(edits.filter(({ kind }) => kind === "stub").length).toBeGreaterThanOrEqual(2);
    expect(diff).toMatch(/^\+ .*QuantStub/m);
    for (const { kind, location } of edits) {
      if (kind === "functional" || kind === "copy") expect(location).toMatch(/-plain\.ts:\d+$/);
    }
  });
});

const applied: Readonly<Record<string, () => AnyModule>> = {
  Inception: () => inception.fuse(new inception.InceptionBlock(6)),
  SqueezeNet: () => squeezenet.fuse(new squeezenet.SqueezeNet()),
  transformer: () => new transformer.EncoderLayer(16, 2, 32).eval(),
};

describe.each(Object.entries(applied))("the diff of %s, applied by hand,", (name, make) => {
  const { model, shape } = networks[name]!;
  manualSeed(7);
  const plain = model().eval();
  manualSeed(7);
  const edited = make();
  const { model: placed, diff } = placeStubs(plain, [sample(shape, 3)]);

  test("gives a model of the same integers", () => {
    const x = sample(shape, 9);
    const [byHand, byGraph] = [quantize(edited, shape), quantize(placed.clone(), shape)];
    expect([...run(byHand, x).data]).toEqual([...byGraph.run(x).data]);
  });

  test("is what stands in the edited source", () => {
    const source = readFileSync(path.join(import.meta.dirname, `applied/${name.toLowerCase()}.ts`), "utf8");
    const squeezed = source.replace(/\s+/g, "");
    const declared = diff.split("\n").filter((line) => / = new /.test(line));
    expect(declared.length).toBeGreaterThan(2);
    for (const line of declared) expect(source).toContain(line.slice(2).replace("(...)", "()").replace(/;.*$/, ";"));
    for (const [, call] of diff.matchAll(/^\+ .*this\.(\w+\.\w+)\(/gm)) expect(squeezed).toContain(`this.${call}(`);
    for (const [, list] of diff.matchAll(/^\+ {3}(\[.*\]),$/gm)) expect(source).toContain(list);
  });
});

describe("placeStubs for training", () => {
  manualSeed(1);
  const shape = [4, 3, 16, 16];
  const x = sample(shape, 3);
  const float = new ResNet20();
  const { model: placed, diff } = placeStubs(float.eval(), [x], { isQat: true });

  test("fuses for training and leaves the model in training mode", () => {
    expect(placed.training).toBe(true);
    expect(count(placed, "ConvBnReLU2d")).toBe(10);
    expect(diff).toContain("fuseModulesQat(model.train(), [");
  });

  test("trains with fake quantization, converts, and runs in integers", () => {
    placed.qconfig = getDefaultQatQConfig("x86");
    expect(findingsText(doctor(placed, [x]))).toBe("no mistakes found");
    const qat = prepareQat(placed);
    const optimizer = new SGD(qat.parameters(), { lr: 0.01 });
    const losses: number[] = [];
    for (let step = 0; step < 3; step++) {
      const y = qat.run(x);
      const loss = mul(y, y).mean();
      optimizer.zeroGrad();
      backward(loss);
      optimizer.step();
      losses.push(loss.item());
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    const converted = convert(qat.eval());
    expect(count(converted, "ConvReLU2d")).toBe(10);
    expect(count(converted, "QFunctional")).toBe(9);
    expect(computeSqnr(qat.run(x), converted.run(x))).toBeGreaterThan(MIN_SQNR);
    const executable = compile(converted, { exampleInputs: [x] });
    expect([...executable.runOne(x).data]).toEqual([...converted.run(x).data]);
    executable.dispose();
  });
});

const folder = path.join(import.meta.dirname, "../../../shared/data");
const hasData = existsSync(path.join(folder, "models/resnet20.safetensors"));
/** Share of right answers PyTorch's float model gives on the 2000 test images, and how far int8 may be from it. */
const FLOAT_TOP1 = 0.8135;
const TOP1_TOLERANCE = 0.005;
const BATCH = 50;

test.skipIf(!hasData)(
  "the real ResNet-20, written plainly, keeps its accuracy in int8 (skipped where ../shared/data is absent)",
  () => {
    const float = new ResNet20();
    float.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
    const train = readImages(folder, "train");
    const test2000 = readImages(folder, "test");
    const one = takeRows(test2000.images, [0]);
    const { model } = placeStubs(float.eval(), [one]);
    model.qconfig = getDefaultQConfig("x86");
    const prepared = prepare(model);
    const calibration = compile(prepared, { exampleInputs: [one] });
    for (let at = 0; at < 1000; at += BATCH) {
      calibration.run(
        takeRows(
          train.images,
          Array.from({ length: BATCH }, (_, i) => at + i),
        ),
      );
    }
    calibration.dispose();
    const executable = compile(convert(prepared), { exampleInputs: [one] });
    const { accuracy } = evaluate("", (x) => executable.runOne(x), test2000.images, test2000.labels, BATCH);
    executable.dispose();
    expect(Math.abs(accuracy - FLOAT_TOP1)).toBeLessThanOrEqual(TOP1_TOLERANCE);
  },
);
