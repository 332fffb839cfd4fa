/** A model in onnxruntime-node, beside which the engine's results are put. */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import type { Tensor } from "fewbit";

export type OptimizationLevel = "disabled" | "basic" | "extended" | "all";

/** Runs a model of one float input; its outputs in order. */
export async function openSession(
  bytes: Uint8Array,
  graphOptimizationLevel: OptimizationLevel = "all",
): Promise<(x: Tensor) => Promise<ArrayLike<number>[]>> {
  const session = await InferenceSession.create(bytes, { graphOptimizationLevel, intraOpNumThreads: 1 });
  const [input] = session.inputNames;
  return async (x) => {
    const results = await session.run({ [input!]: new OrtTensor("float32", x.data as Float32Array, x.shape) });
    return session.outputNames.map((name) => results[name]!.data as unknown as ArrayLike<number>);
  };
}
