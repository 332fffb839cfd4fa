/**
 * The four engines PyTorch's quantized operators run on, as far as they round differently.
 *
 * Products of 8-bit integers are exact everywhere; the engines differ in how a 32-bit sum becomes the 8-bit
 * result, by at most one step, and in which range dynamic quantization uses. `fbgemm` is the default because
 * its rounding is the same on every machine. `x86` stands for PyTorch's x86 engine on a processor with VNNI,
 * where convolutions with symmetric weights go to oneDNN and all else to fbgemm.
 * Sources: ATen/native/quantized/cpu/{qlinear,qconv,qlinear_dynamic}.cpp, fbgemm/src/QuantUtilsAvx2.cc.
 */

import { ArgumentError } from "../../errors.ts";
import type { QParams } from "../../tensor/qparams.ts";

export type QEngine = "fbgemm" | "x86" | "onednn" | "qnnpack";

export const qengines: readonly QEngine[] = ["fbgemm", "x86", "onednn", "qnnpack"];

export const DEFAULT_ENGINE: QEngine = "fbgemm";

/** How a 32-bit sum becomes an 8-bit result; see epilogue.ts. */
export type Rounding = "fbgemm" | "onednn" | "qnnpack";

/** @throws ArgumentError for an unknown engine. */
export function checkEngine(where: string, engine: QEngine): void {
  if (!qengines.includes(engine)) {
    throw new ArgumentError(where, { engine }, `the engine must be one of ${qengines.join(", ")}`);
  }
}

export function linearRounding(engine: QEngine): Rounding {
  return engine === "x86" ? "fbgemm" : engine;
}

/** Most groups with which the x86 engine still prefers oneDNN. */
const ONEDNN_MOST_GROUPS = 100;

function isSymmetric(weight: QParams): boolean {
  return weight.kind === "perTensor" ? weight.zeroPoint === 0 : weight.zeroPoints.every((z) => z === 0);
}

export function convRounding(
  engine: QEngine,
  weight: QParams,
  groups: number,
  outputPadding: readonly number[] = [],
): Rounding {
  if (engine !== "x86") return engine;
  const forOnednn = isSymmetric(weight) && groups <= ONEDNN_MOST_GROUPS && outputPadding.every((extra) => extra === 0);
  return forOnednn ? "onednn" : "fbgemm";
}

/** Dynamic quantization halves the activation range on engines whose kernels could saturate; qnnpack never does. */
export function dynamicReduceRange(engine: QEngine, reduceRange: boolean): boolean {
  return reduceRange && engine !== "qnnpack";
}
