/**
 * Backends: who computes. fewbit's own engine needs nothing else; onnxruntime, native or in WebAssembly, is an optional
 * peer that runs the exported file.
 *
 * A session takes tensors in the order of the model's inputs and gives its outputs in order, whoever runs it.
 */

import { availableParallelism } from "node:os";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export const backendNames = ["fewbit", "onnxruntime-node", "onnxruntime-web"] as const;
export type BackendName = (typeof backendNames)[number];

export interface SessionOptions {
  /** Threads to compute with; "auto" (default): one a processor. */
  readonly threads?: number | "auto";
}

/** A model that is ready to run. */
export interface Session {
  readonly backend: BackendName;
  readonly threads: number;
  run(inputs: readonly Tensor[]): Promise<Tensor[]>;
  dispose(): Promise<void>;
}

/** What a session is made from: the graph, and the file it was read from where there is one. */
export interface SessionModel {
  readonly module: GraphModule;
  /** Path of the ONNX file, which onnxruntime then reads itself; without it the graph is exported. */
  readonly file?: string;
}

export function threadCount({ threads = "auto" }: SessionOptions): number {
  return threads === "auto" ? availableParallelism() : threads;
}
