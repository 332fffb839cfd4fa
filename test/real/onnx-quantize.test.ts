/**
 * Real models from ONNX files, quantized: ResNet-20 stays right and is the same in onnxruntime, a face detector keeps
 * its boxes. Needs ../shared/data, which is not shipped; without it the tests are skipped.
 */

import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { detections, overlap } from "../../examples/lib/boxes.ts";
import { readImages } from "../../examples/lib/cifar.ts";
import { evaluate, sqnr } from "../../examples/lib/evaluate.ts";
import { randomPicture } from "../../examples/lib/faces.ts";
import { compareIntegers, withIntegers } from "../../examples/lib/integers.ts";
import { openSession } from "../../examples/lib/onnxruntime.ts";
import { compile } from "../../src/compile/index.ts";
import { takeRows } from "../../src/data/index.ts";
import { exportOnnx, importOnnx } from "../../src/onnx/index.ts";
import { quantizeOnnx } from "../../src/onnx/quantize/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const folder = path.join(import.meta.dirname, "../../../shared/data");
const models = path.join(folder, "models");
const hasData = existsSync(path.join(models, "ultraface.onnx"));

/** Share of right answers that int8 may have more or less, and least dB of its logits. */
const RIGHT_TOLERANCE = 0.004;
const LEAST_DB = 28.5;
const CALIBRATION_IMAGES = 1000;
const BATCH = 50;
/** onnxruntime rounds ties of residual sums in an order of its own: one integer in so many, by one step. */
const TIES = 1e-5;
const LEAST_OVERLAP = 0.9;
const LEAST_SCORE = 0.7;

const rows = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

describe.skipIf(!hasData)("from ONNX files (skipped where ../shared/data is absent)", () => {
  test("ResNet-20 by default: as right as in float, the same integers in onnxruntime", async () => {
    const file = path.join(models, "resnet20.onnx");
    const train = readImages(folder, "train").images;
    const held = readImages(folder, "test");
    const batches = Array.from({ length: CALIBRATION_IMAGES / BATCH }, (_, i) =>
      takeRows(train, rows(BATCH, i * BATCH)),
    );
    const { graph } = await quantizeOnnx(file, batches);
    const [wanted, given] = [importOnnx(file), graph].map((model) => {
      const executable = compile(model);
      return evaluate("", (x) => executable.runOne(x), held.images, held.labels, BATCH);
    });
    expect(Math.abs(given!.accuracy - wanted!.accuracy)).toBeLessThanOrEqual(RIGHT_TOLERANCE);
    expect(sqnr(wanted!.logits, given!.logits)).toBeGreaterThan(LEAST_DB);
    const { model, names } = withIntegers(graph);
    const x = takeRows(held.images, rows(4));
    const found = compareIntegers(model, names, x, await (await openSession(exportOnnx(model)))(x), true);
    const sum = (of: (one: (typeof found)[number]) => number): number =>
      found.reduce((total, one) => total + of(one), 0);
    expect(sum(({ integers }) => integers)).toBeGreaterThan(1e6);
    expect(sum(({ other }) => other)).toBeLessThan(TIES * sum(({ integers }) => integers));
    expect(Math.max(...found.map(({ farthest }) => farthest))).toBeLessThanOrEqual(1);
  });

  test("a face detector finds the same boxes", async () => {
    const file = path.join(models, "ultraface.onnx");
    const { graph } = await quantizeOnnx(
      file,
      rows(12).map((i) => randomPicture(i + 1)),
    );
    const [float, int8] = [importOnnx(file), graph].map((model) => compile(model, { fallback: "reference" }));
    let faces = 0;
    for (let i = 0; i < 6; i++) {
      const picture = randomPicture(1000 + i);
      const [wanted, given] = [float, int8].map((model) => model!.run(picture) as [Tensor, Tensor]);
      const found = detections(...given!, LEAST_SCORE);
      for (const { box } of detections(...wanted!, LEAST_SCORE)) {
        faces++;
        expect(Math.max(0, ...found.map((other) => overlap(box, other.box)))).toBeGreaterThan(LEAST_OVERLAP);
      }
    }
    expect(faces).toBeGreaterThan(5);
  });
});
