/**
 * The real pretrained ResNet-20 quantized from its graph: PyTorch's XNNPACK configuration and the recommended one.
 * Needs ../shared/data, which is not shipped; without it the tests are skipped.
 */

import { existsSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readImages, readTensors } from "../../examples/lib/cifar.ts";
import { evaluate, sqnr } from "../../examples/lib/evaluate.ts";
import type { Evaluation } from "../../examples/lib/evaluate.ts";
import { ResNet20 } from "../../examples/models/resnet20-plain.ts";
import { compile, lower } from "../../src/compile/index.ts";
import { takeRows } from "../../src/data/index.ts";
import { Engine } from "../../src/engine/index.ts";
import { capture } from "../../src/graph/index.ts";
import type { GraphModule } from "../../src/graph/index.ts";
import {
  X86Quantizer, XnnpackQuantizer, convertPt2e, correctBias, getRecommendedQuantizationConfig, getSymmetricQuantizationConfig, preparePt2e,
} from "../../src/quantization/pt2e/index.ts"; // prettier-ignore
import type { Quantizer } from "../../src/quantization/pt2e/index.ts";
import { rint } from "../../src/tensor/rounding.ts";

const folder = path.join(import.meta.dirname, "../../../shared/data");
const hasData = existsSync(path.join(folder, "models/resnet20.safetensors"));

/** Right answers of PyTorch's float model on the 2000 test images, and how many int8 may have more or less: half a percent. */
const FLOAT_RIGHT = 1627;
const RIGHT_TOLERANCE = 10;
/** dB of the logits. */
const MIN_SQNR = { xnnpack: 26, recommended: 29 };
const CLASSES = 10;
const BATCH = 50;
const CALIBRATION_IMAGES = 1000;
const CORRECTION_IMAGES = 250;
const INTERPRETED_IMAGES = 4;

const rightOf = ({ accuracy, logits }: Evaluation): number => rint((accuracy * logits.length) / CLASSES);
const rows = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

describe.skipIf(!hasData)("ResNet-20 from its graph (skipped where ../shared/data is absent)", () => {
  let float: GraphModule;
  let floatResult: Evaluation;
  let train: ReturnType<typeof readImages>;
  let held: ReturnType<typeof readImages>;

  const evaluateCompiled = (graph: GraphModule): Evaluation => {
    const executable = compile(graph);
    const result = evaluate("", (x) => executable.runOne(x), held.images, held.labels, BATCH);
    executable.dispose();
    return result;
  };

  const quantize = (quantizer: Quantizer): GraphModule => {
    const prepared = preparePt2e(float, quantizer);
    const calibration = compile(prepared, { engine: new Engine({ build: "simd" }) });
    for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) calibration.run(takeRows(train.images, rows(BATCH, at)));
    calibration.dispose();
    return convertPt2e(prepared);
  };

  beforeAll(() => {
    train = readImages(folder, "train");
    held = readImages(folder, "test");
    const model = new ResNet20();
    model.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
    float = capture(model.eval(), [takeRows(train.images, rows(2))]);
    floatResult = evaluateCompiled(float);
  });

  test("PyTorch's XNNPACK configuration, compiled as interpreted", () => {
    const converted = quantize(
      new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig({ isPerChannel: true })),
    );
    const result = evaluateCompiled(converted);
    expect(Math.abs(rightOf(result) - FLOAT_RIGHT)).toBeLessThanOrEqual(RIGHT_TOLERANCE);
    expect(sqnr(floatResult.logits, result.logits)).toBeGreaterThan(MIN_SQNR.xnnpack);
    const images = takeRows(held.images, rows(INTERPRETED_IMAGES));
    const executable = compile(converted);
    const compiled = executable.runOne(images);
    executable.dispose();
    expect([...compiled.data]).toEqual([...lower(converted).run(images).data]);
  });

  test("the recommended configuration with corrected biases", () => {
    const converted = quantize(new X86Quantizer().setGlobal(getRecommendedQuantizationConfig()));
    const corrected = correctBias(converted, float, [takeRows(train.images, rows(CORRECTION_IMAGES))]);
    const result = evaluateCompiled(corrected);
    expect(Math.abs(rightOf(result) - FLOAT_RIGHT)).toBeLessThanOrEqual(RIGHT_TOLERANCE);
    expect(sqnr(floatResult.logits, result.logits)).toBeGreaterThan(MIN_SQNR.recommended);
  });
});
