/** placeStubs on networks written without quantization in mind. */

import { existsSync } from "node:fs";
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
import { takeRows } from "../../src/data/index.ts";
import { placeStubs } from "../../src/doctor/index.ts";
import type { AnyModule } from "../../src/nn/module.ts";
import { convert, getDefaultQConfig, prepare } from "../../src/quantization/entry.ts";
import { computeSqnr } from "../../src/quantization/suite/metrics.ts";
import { randn } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Signal to quantization noise in dB that random networks keep at least when converted. */
const MIN_SQNR = 15;

interface Network {
  readonly model: () => AnyModule;
  readonly shape: readonly number[];
  /** Integer classes to be found after convert, and how many float layers remain. */
  readonly expected: Readonly<Record<string, number>>;
}

const networks: Readonly<Record<string, Network>> = {
  ResNet20: {
    model: () => new ResNet20(),
    shape: [2, 3, 16, 16],
    expected: { ConvReLU2d: 10, QFunctional: 9, Linear: 1 },
  },
  MobileNetV2: {
    model: () => new MobileNetV2(),
    shape: [2, 3, 32, 32],
    expected: { ConvReLU2d: 7, Conv2d: 3, QFunctional: 2 },
  },
  SqueezeNet: { model: () => new SqueezeNet(), shape: [2, 3, 32, 32], expected: { ConvReLU2d: 8, QFunctional: 2 } },
  Inception: { model: () => new InceptionBlock(6), shape: [2, 6, 8, 8], expected: { ConvReLU2d: 6, QFunctional: 1 } },
  transformer: { model: () => new EncoderLayer(16, 2, 32), shape: [2, 5, 16], expected: { Linear: 6, LayerNorm: 2 } },
  LSTM: { model: () => new SequenceClassifier(6, 8, 3), shape: [2, 4, 6], expected: { LSTM: 1 } },
};

function count(model: AnyModule, name: string): number {
  return model.modules().filter((module) => module.constructor.name === name).length;
}

describe.each(Object.entries(networks))("placeStubs on a plain %s", (_name, { model, shape, expected }) => {
  const x = randn(shape, { generator: new Generator(3) });
  const float = model().eval();
  const { model: placed, edits, diff } = placeStubs(float, [x]);
  placed.qconfig = getDefaultQConfig("x86");
  const prepared = prepare(placed);
  for (let seed = 3; seed < 6; seed++) prepared.forward(randn(shape, { generator: new Generator(seed) }));
  const converted = convert(prepared);

  test("converts to integer layers", () => {
    for (const [name, times] of Object.entries(expected)) expect(count(converted, name), name).toBe(times);
    expect(count(converted, "QuantStub")).toBe(0);
  });

  test("runs, near the float model", () => {
    const y = (float as unknown as { forward(x: Tensor): Tensor }).forward(x);
    expect(computeSqnr(y, converted.run(x))).toBeGreaterThan(MIN_SQNR);
  });

  test("says what it did", () => {
    expect(edits.filter(({ kind }) => kind === "stub").length).toBeGreaterThanOrEqual(2);
    expect(diff).toMatch(/^\+ .*QuantStub/m);
    for (const edit of edits.filter(({ kind }) => kind === "functional"))
      expect(edit.location).toMatch(/-plain\.ts:\d+$/);
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
