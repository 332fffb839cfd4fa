/** Running models (Node only): on fewbit's engine, or on onnxruntime where it is installed. */

import type { GraphModule } from "../../graph/graph-module.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { BackendName, Session, SessionModel, SessionOptions } from "./backend.ts";
import { engineSession } from "./engine.ts";
import { ortSession } from "./ort.ts";

export { backendNames } from "./backend.ts";
export type { BackendName, Session, SessionModel, SessionOptions } from "./backend.ts";
export { ortCalibration } from "./calibration.ts";
export { isCompilable } from "./engine.ts";

export interface BackendOptions extends SessionOptions {
  /** Default `fewbit`. */
  readonly backend?: BackendName;
}

/**
 * A model made ready to run; dispose of it in the end.
 * @throws DependencyError when the backend's package is not installed; OnnxError when it refuses the model.
 */
export async function openSession(model: SessionModel, options: BackendOptions = {}): Promise<Session> {
  const { backend = "fewbit" } = options;
  return backend === "fewbit" ? engineSession(model.module, options) : ortSession(backend, model, options);
}

/** Runs a graph once. @throws as openSession. */
export async function run(
  module: GraphModule,
  inputs: readonly Tensor[],
  options: BackendOptions = {},
): Promise<Tensor[]> {
  const session = await openSession({ module }, options);
  try {
    return await session.run(inputs);
  } finally {
    await session.dispose();
  }
}
