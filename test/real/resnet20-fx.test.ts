/**
 * The real pretrained ResNet-20 through FX graph mode. Needs ../shared/data, which is not shipped; without it the tests
 * are skipped.
 */

import { existsSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readImages, readTensors } from "../../examples/lib/cifar.ts";
import { evaluate, sqnr } from "../../examples/lib/evaluate.ts";
import type { Evaluation } from "../../examples/lib/evaluate.ts";
import { ResNet20 } from "../../examples/models/resnet20-plain.ts";
import { compile } from "../../src/compile/index.ts";
import { takeRows } from "../../src/data/index.ts";
import type { GraphModule } from "../../src/graph/index.ts";
import {
  convertFx,
  fuseFx,
  getDefaultQConfigMapping,
  getQnnpackBackendConfig,
  getX86BackendConfig,
  prepareFx,
} from "../../src/quantization/fx/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const folder = path.join(import.meta.dirname, "../../../shared/data");
const hasData = existsSync(path.join(folder, "models/resnet20.safetensors"));

/** Share of right answers PyTorch's float model gives on the 2000 test images. */
const FLOAT_TOP1 = 0.8135;
/** How far int8 may be from that. */
const TOP1_TOLERANCE = 0.005;
/** PyTorch's SQNR of the logits in dB (23.53 and 26.35), less what another order of float sums in calibration may cost. */
const MIN_SQNR = { x86: 23.2, qnnpack: 26.0 };
const BATCH = 50;
const CALIBRATION_IMAGES = 1000;
const COMPARED_IMAGES = 2;

const backends = { x86: getX86BackendConfig, qnnpack: getQnnpackBackendConfig };
const rows = (images: Tensor, from: number, count: number): Tensor =>
  takeRows(
    images,
    Array.from({ length: count }, (_, i) => from + i),
  );

describe.skipIf(!hasData)("ResNet-20 in FX graph mode (skipped where ../shared/data is absent)", () => {
  let float: ResNet20;
  let floatResult: Evaluation;
  let test2000: ReturnType<typeof readImages>;

  const evaluateCompiled = (model: GraphModule): Evaluation => {
    const executable = compile(model);
    const result = evaluate("", (x) => executable.runOne(x), test2000.images, test2000.labels, BATCH);
    const some = rows(test2000.images, 0, COMPARED_IMAGES);
    if (model.graph.nodes.some(({ target }) => target === "quantizedConv")) {
      expect(Array.from(executable.runOne(some).data)).toEqual(Array.from(model.run(some).data));
    }
    executable.dispose();
    return result;
  };

  beforeAll(() => {
    test2000 = readImages(folder, "test");
    float = new ResNet20();
    float.loadStateDict(readTensors(path.join(folder, "models/resnet20.safetensors")));
    float.eval();
    floatResult = evaluateCompiled(fuseFx(float, [rows(test2000.images, 0, 2)]));
  });

  test("fused, it is as good as in PyTorch", () => {
    expect(floatResult.accuracy).toBeCloseTo(FLOAT_TOP1, 3);
  });

  test.each(["x86", "qnnpack"] as const)(
    "int8 with the default %s mapping, compiled as interpreted",
    (backend: keyof typeof MIN_SQNR) => {
      const { images } = readImages(folder, "train");
      const prepared = prepareFx(
        float,
        getDefaultQConfigMapping(backend),
        [rows(images, 0, 2)],
        null,
        backends[backend](),
      );
      const calibration = compile(prepared);
      for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) calibration.run(rows(images, at, BATCH));
      calibration.dispose();
      const result = evaluateCompiled(convertFx(prepared));
      expect(Math.abs(result.accuracy - FLOAT_TOP1)).toBeLessThanOrEqual(TOP1_TOLERANCE);
      expect(sqnr(floatResult.logits, result.logits)).toBeGreaterThan(MIN_SQNR[backend]);
    },
  );
});
