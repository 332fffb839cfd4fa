/**
 * The real pretrained ResNet-20 through FX graph mode, beside PyTorch (golden/resnet20-fx.json). Given PyTorch's ranges
 * every logit of the 2000 images is PyTorch's, bit for bit. Ranges of one's own follow the last bits of float
 * convolutions: PyTorch's differ from themselves when oneDNN is off, and ours no more than that. Needs ../shared/data,
 * which is not shipped; without it the tests are skipped.
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
import { Engine } from "../../src/engine/index.ts";
import type { GraphModule } from "../../src/graph/index.ts";
import { FixedQParamsObserver } from "../../src/quantization/index.ts";
import type { HistogramObserver } from "../../src/quantization/index.ts";
import {
  convertFx,
  fuseFx,
  getDefaultQConfigMapping,
  getQnnpackBackendConfig,
  getX86BackendConfig,
  prepareFx,
} from "../../src/quantization/fx/index.ts";
import type { ObservedGraphModule } from "../../src/quantization/fx/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { tensorAt } from "../golden/compare.ts";
import { loadGolden } from "../golden/load.ts";

const folder = path.join(import.meta.dirname, "../../../shared/data");
const hasData = existsSync(path.join(folder, "models/resnet20.safetensors"));

/** Share of right answers PyTorch's float model gives on the 2000 test images. */
const FLOAT_TOP1 = 0.8135;
/** How far int8 may be from that. */
const TOP1_TOLERANCE = 0.005;
/** PyTorch's SQNR of the logits in dB (23.43 to 23.53 and 26.30 to 26.38), less what other float sums in calibration may cost. */
const MIN_SQNR = { x86: 23.2, qnnpack: 26.0 };
/** How far PyTorch's scales are from PyTorch's without oneDNN: a search that stops some bins later (golden/resnet20-fx.json). */
const SCALE = 2.8e-3;
const BATCH = 50;
const CALIBRATION_IMAGES = 1000;
const COMPARED_IMAGES = 2;

const backends = { x86: getX86BackendConfig, qnnpack: getQnnpackBackendConfig };
const rows = (images: Tensor, from: number, count: number): Tensor =>
  takeRows(
    images,
    Array.from({ length: count }, (_, i) => from + i),
  );

const golden = (backend: string) =>
  loadGolden("resnet20-fx").cases.find(({ name }) => name === `resnet20-${backend}`)!.expected;

/** The observers of a prepared model, each once, under every name it has. */
function observersOf({ graph }: ObservedGraphModule): { module: object; names: string[] }[] {
  const names = new Map<object, string[]>();
  for (const [name, module] of graph.modules) names.set(module, [...(names.get(module) ?? []), name]);
  return [...names].map(([module, own]) => ({ module, names: own }));
}

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
      const calibration = compile(prepared, { engine: new Engine({ build: "simd" }) });
      for (let at = 0; at < CALIBRATION_IMAGES; at += BATCH) calibration.run(rows(images, at, BATCH));
      calibration.dispose();
      const scales = tensorAt(golden(backend), "scales").data;
      const own = observersOf(prepared).map(({ module }) =>
        (module as HistogramObserver).calculateQParams().scale.item(),
      );
      expect(own.length).toBe(scales.length);
      expect(own[0]).toBe(scales[0]);
      expect(Math.max(...own.map((scale, i) => Math.abs(scale / scales[i]! - 1)))).toBeLessThan(SCALE);
      const result = evaluateCompiled(convertFx(prepared));
      expect(Math.abs(result.accuracy - FLOAT_TOP1)).toBeLessThanOrEqual(TOP1_TOLERANCE);
      expect(sqnr(floatResult.logits, result.logits)).toBeGreaterThan(MIN_SQNR[backend]);
    },
  );

  test.each(["x86", "qnnpack"] as const)("with PyTorch's ranges (%s), every logit is PyTorch's", (backend) => {
    const prepared = prepareFx(
      float,
      getDefaultQConfigMapping(backend),
      [rows(test2000.images, 0, 2)],
      null,
      backends[backend](),
    );
    const { scales, zeroPoints } = {
      scales: tensorAt(golden(backend), "scales"),
      zeroPoints: tensorAt(golden(backend), "zeroPoints"),
    };
    observersOf(prepared).forEach(({ names }, i) => {
      const fixed = new FixedQParamsObserver({
        dtype: "quint8",
        scale: scales.data[i]!,
        zeroPoint: zeroPoints.data[i]!,
        quantMin: 0,
        quantMax: 255,
      });
      for (const name of names) prepared.setChild(name, fixed);
    });
    const { logits } = evaluateCompiled(convertFx(prepared));
    const [scale, zeroPoint] = [scales.data.at(-1)!, zeroPoints.data.at(-1)!];
    const expected = Array.from(tensorAt(golden(backend), "logits").data, (q) => Math.fround((q - zeroPoint) * scale));
    expect(logits.filter((logit, i) => logit !== expected[i]).length).toBe(0);
  });
});
