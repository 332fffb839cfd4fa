/** Calibration that survives being killed: its state in a file, replaced whole every few batches. */

import { existsSync, readFileSync, rmSync } from "node:fs";
import { writeWhole } from "../data/files/index.ts";
import { decodeCalibration, encodeCalibration } from "../onnx/quantize/index.ts";
import type { CalibrationState, QuantizeOptions } from "../onnx/quantize/index.ts";
import { naming } from "./model.ts";

export interface Checkpoints {
  /** What an earlier run had seen; null when there was none. */
  readonly state: CalibrationState | null;
  readonly options: Pick<QuantizeOptions, "resume" | "onCheckpoint" | "checkpointEvery">;
  /** The result is written: the state is not needed any more. */
  done(): void;
}

/** @throws FileFormatError for a state file that is none. */
export function openCheckpoints(file: string | undefined, every: number): Checkpoints {
  if (file === undefined) return { state: null, options: {}, done: () => undefined };
  const state = existsSync(file) ? naming(file, () => decodeCalibration(readFileSync(file))) : null;
  return {
    state,
    options: {
      ...(state && { resume: state }),
      checkpointEvery: every,
      onCheckpoint: (seen) => writeWhole(file, encodeCalibration(seen)),
    },
    done: () => rmSync(file, { force: true }),
  };
}
