/**
 * The real pretrained ResNet-20 through the whole eager flow. Needs ../shared/data, which is not shipped; without it
 * the tests are skipped.
 */

import { existsSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readImages, readTensors } from "../../examples/lib/cifar.ts";
import { evaluate, sqnr } from "../../examples/lib/evaluate.ts";
import type { Evaluation } from "../../examples/lib/evaluate.ts";
import { ResNet20, fusionsOf } from "../../examples/models/resnet20.ts";
import { compile } from "../../src/compile/index.ts";
import { takeRows } from "../../src/data/index.ts";
import { convert, fuseModules, getDefaultQConfig, prepare } from "../../src/quantization/entry.ts";

const folder = path.join(import.meta.dirname, "../../../shared/data");
const hasData = existsSync(path.join(folder, "models/resnet20.safetensors"));

/** Share of right answers PyTorch's float model gives on the 2000 test images. */
const FLOAT_TOP1 = 0.8135;
/** How far int8 may be from that. */
const TOP1_TOLERANCE = 0.005;
/** PyTorch's SQNR of the logits in dB, less what a different order of float sums in calibration may cost. */
const MIN_SQNR = { x86: 23.2, qnnpack: 26.0 };
const BATCH = 50;
const CALIBRATION_IMAGES = 1000;

describe.skipIf(!hasData)("ResNet-20 on CIFAR-10 (skipped where ../shared/data is absent)", () => {
  let float: ResNet20;
  let floatResult: Evaluation;
  let test2000: ReturnType<typeof readImages>;

  const evaluateCompiled = (model: ResNet20): Evaluation => {
    const executable = compile(model, { exampleInputs: [takeRows(test2000.images, [0])] });
    const result = evaluate("", (x) => executable.runOne(x), test2000.images, test2000.labels, BATCH);
    executable.dispose();
    return result;
  };

  beforeAll(() => {
    test2000 = readImages(folder, "test");
    const model = new ResNet20();
    model.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
    float = fuseModules(model.eval(), fusionsOf());
    floatResult = evaluateCompiled(float);
  });

  test("the float model is as good as in PyTorch", () => {
    expect(floatResult.accuracy).toBeCloseTo(FLOAT_TOP1, 3);
  });

  test.each(["x86", "qnnpack"] as const)("int8 with the default %s qconfig", (backend: keyof typeof MIN_SQNR) => {
    const { images } = readImages(folder, "train");
    const model = float.clone();
    model.qconfig = getDefaultQConfig(backend);
    const prepared = prepare(model);
    const calibration = compile(prepared, { exampleInputs: [takeRows(images, [0])] });
    for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) {
      calibration.run(
        takeRows(
          images,
          Array.from({ length: BATCH }, (_, i) => at + i),
        ),
      );
    }
    calibration.dispose();
    const result = evaluateCompiled(convert(prepared));
    expect(Math.abs(result.accuracy - FLOAT_TOP1)).toBeLessThanOrEqual(TOP1_TOLERANCE);
    expect(sqnr(floatResult.logits, result.logits)).toBeGreaterThan(MIN_SQNR[backend]);
  });
});
