/**
 * Calibration on onnxruntime: the float model returns every observed value as an output, and observers see the values
 * batch by batch as they come; nothing is kept.
 */

import { OnnxError } from "../../errors.ts";
import type { CalibrationRunner } from "../quantize/index.ts";
import type { BackendName, SessionOptions } from "./backend.ts";
import { ortSession } from "./ort.ts";

/** A runner for `quantizeOnnx({ runner })`. @throws what ortSession throws, when calibration starts. */
export function ortCalibration(
  backend: Exclude<BackendName, "fewbit">,
  options: SessionOptions = {},
): CalibrationRunner {
  return {
    name: backend,
    async start(job) {
      const { model, taps } = job.tapped();
      const session = await ortSession(backend, { module: model }, options);
      return {
        async run(inputs) {
          const outputs = await session.run(inputs);
          if (outputs.length !== taps.length)
            throw new OnnxError(
              backend,
              { outputs: outputs.length, taps: taps.length },
              "gave other outputs than asked",
            );
          taps.forEach((tap, i) => tap.observe(outputs[i]!));
        },
        async dispose() {
          for (const tap of taps) tap.dispose();
          await session.dispose();
        },
      };
    },
  };
}
