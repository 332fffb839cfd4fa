/** Models of the command line: ONNX files as graphs, and what their inputs look like. */

import { existsSync, statSync } from "node:fs";
import type { InputSpec } from "../data/index.ts";
import { OnnxError } from "../errors.ts";
import type { GraphModule } from "../graph/index.ts";
import { importOnnx } from "../onnx/index.ts";
import type { ImportOptions, OnnxInfo } from "../onnx/index.ts";

/** @throws OnnxError when there is no such file. */
export function checkModelFile(file: string): void {
  if (!existsSync(file)) throw new OnnxError(file, {}, "there is no such file");
  if (statSync(file).isDirectory()) throw new OnnxError(file, {}, "it is a folder, not an ONNX file");
}

/** Errors name the file the user gave. */
export function naming<T>(file: string, f: () => T): T {
  try {
    return f();
  } catch (error) {
    if (error instanceof Error && !error.message.includes(file)) error.message = `${file}: ${error.message}`;
    throw error;
  }
}

export function loadModel(file: string, options: ImportOptions = {}): GraphModule {
  checkModelFile(file);
  return naming(file, () => importOnnx(file, options));
}

/** Size of the files a model was read from. */
export function modelBytes({ preserved }: GraphModule): number {
  return (preserved["onnx"] as OnnxInfo).bytes;
}

/** What a graph's inputs take. The batch axis is open unless the graph needs the captured one. */
export function inputSpecs({ graph }: GraphModule): InputSpec[] {
  return graph.inputs.map(({ node, type }) => ({
    name: node.target,
    dtype: type?.dtype ?? "float32",
    shape: type && type.shape.map((size, axis) => (axis === 0 && graph.fixedBatch === null ? null : size)),
  }));
}
