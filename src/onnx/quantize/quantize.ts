/**
 * quantizeOnnx: a float model in, a quantized one out, with a report of what was done to which operator and why.
 */

import { OnnxError } from "../../errors.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { CalibrationData, CalibrationState, OnnxSource, QuantizeOptions } from "./options.ts";
import type { QuantizePlan, QuantizeReport } from "./report.ts";

export interface QuantizeResult {
  /** The quantized model, with quantize and dequantize nodes: runs in `compile`, exports with `exportOnnx`. */
  readonly graph: GraphModule;
  readonly report: QuantizeReport;
  /** What calibration saw; null for methods without data. */
  readonly calibration: CalibrationState | null;
  /** The ONNX file. @throws OnnxError when it is too large for one piece: use `write`. */
  bytes(): Uint8Array;
  /** Writes the ONNX file, whole or not at all; values above 2 GB go into a file beside it (Node only). */
  write(path: string): Promise<void>;
}

/**
 * The dry run: what would happen to each operator, before any data is read.
 * @throws OnnxError for settings that the target or the method cannot have.
 */
export function planQuantization(_source: OnnxSource, _options: QuantizeOptions = {}): QuantizePlan {
  throw new OnnxError("planQuantization", {}, "is being built");
}

/**
 * Quantizes a model.
 * @param calibration batches of real inputs; null for methods that need none.
 * @throws OnnxError for files that cannot be read and settings that cannot be had; QuantError for calibration data of a
 * wrong shape, with NaN, or none at all, naming the batch.
 */
export function quantizeOnnx(
  _source: OnnxSource,
  _calibration: CalibrationData | null,
  _options: QuantizeOptions = {},
): Promise<QuantizeResult> {
  return Promise.reject(new OnnxError("quantizeOnnx", {}, "is being built"));
}
