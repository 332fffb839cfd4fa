/**
 * The `fewbit/runtime` subpath: what a page needs to run a finished model, and no more. Load a saved graph, make an
 * Executable of it, run it on tensors.
 */
import "./ops/all.ts";

export { Executable } from "./compile/executable.ts";
export type { CompileOptions, Explanation, StepReport } from "./compile/executable.ts";
export { Engine } from "./engine/engine.ts";
export type { EngineOptions } from "./engine/engine.ts";
export { loadGraph } from "./graph/file.ts";
export { fromArray, tensor } from "./tensor/create.ts";
export { Tensor } from "./tensor/tensor.ts";
