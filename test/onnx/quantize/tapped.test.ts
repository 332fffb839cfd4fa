/** Calibration by another program: what it hands over, and that ranges it takes are those of the values. */

import { describe, expect, test } from "vitest";
import { compile } from "../../../src/compile/index.ts";
import { QuantError } from "../../../src/errors.ts";
import { backendNames, openSession, ortCalibration } from "../../../src/onnx/backend/index.ts";
import { quantizeOnnx } from "../../../src/onnx/quantize/index.ts";
import type { CalibrationJob, CalibrationRunner, ObserverKind } from "../../../src/onnx/quantize/index.ts";
import { rangeOf } from "../../../src/ops/quantize/ranges.ts";
import { randn } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { model, node } from "../models.ts";
import { generator, images, residualFile } from "./net.ts";

const file = residualFile();
const batches = [images(5, 4), images(6, 4), images(7, 3)];
/** Both need no more of a batch than its smallest and largest value. */
const ranged: readonly ObserverKind[] = ["minMax", "movingAverage"];
const runtimes = backendNames.filter((name) => name !== "fewbit");

/** The engine as the other program; tells what each run returned. */
function tapped(returned: (outputs: readonly Tensor[], job: CalibrationJob) => void): CalibrationRunner {
  return {
    name: "tapped",
    start(job) {
      const { model: graph, taps } = job.tapped();
      const executable = compile(graph, { fallback: "reference" });
      return {
        run(inputs) {
          const outputs = [executable.run(...inputs) as Tensor | Tensor[]].flat();
          returned(outputs, job);
          taps.forEach((tap, i) => tap.observe(outputs[i]!));
        },
        dispose: () => executable.dispose(),
      };
    },
  };
}

describe.each(ranged)("%s", (observer) => {
  test("takes two numbers of each value, and finds what it finds on the engine", async () => {
    const shapes: string[] = [];
    const runner = tapped((outputs) => outputs.forEach(({ shape }) => shapes.push(shape.join())));
    const result = await quantizeOnnx(file, batches, { observer, runner });
    expect(shapes.length).toBeGreaterThan(5 * batches.length);
    expect(new Set(shapes)).toEqual(new Set(["2"]));
    expect(result.bytes()).toEqual((await quantizeOnnx(file, batches, { observer })).bytes());
  });

  test("is told of NaN, whoever computes", async () => {
    const logarithm = model({
      inputs: { x: ["N", 8] },
      nodes: [node("Log", ["x"], ["l"]), node("Gemm", ["l", "w"], ["y"])],
      constants: { w: randn([8, 4], { generator: generator(1) }) },
      outputs: ["y"],
    });
    const data = [randn([16, 8], { generator: generator(2) })];
    const runners = [undefined, tapped(() => undefined), ...runtimes.map((name) => ortCalibration(name))];
    for (const runner of runners) {
      const run = quantizeOnnx(logarithm, data, { observer, ...(runner && { runner }) });
      await expect(run).rejects.toThrow(QuantError);
      await expect(run).rejects.toThrow(/computes values that are not finite numbers \(got value = l/);
    }
  });
});

test.each(runtimes)("%s takes the ranges of its own values", async (backend) => {
  const ranges: string[][] = [];
  const read = (output: Tensor): string =>
    Object.values(output.numel === 2 ? [...output.data] : rangeOf(output.data, 0, output.numel)).join();
  for (const observer of ["minMax", "histogramL2"] as const) {
    const runner: CalibrationRunner = {
      name: backend,
      async start(job) {
        const { model: graph, taps } = job.tapped();
        const session = await openSession({ module: graph }, { backend, threads: 1 });
        return {
          async run(inputs) {
            const outputs = await session.run(inputs);
            ranges.push(outputs.map(read));
            taps.forEach((tap, i) => tap.observe(outputs[i]!));
          },
          dispose: () => session.dispose(),
        };
      },
    };
    await quantizeOnnx(file, batches, { observer, runner, biasCorrection: false });
  }
  expect(ranges).toHaveLength(2 * batches.length);
  expect(ranges.slice(0, batches.length)).toEqual(ranges.slice(batches.length));
});
