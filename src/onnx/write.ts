/** Exported models as files: in one, or with the values beside it. */

import { writeWhole } from "../files/write.ts";
import type { GraphModule } from "../graph/graph-module.ts";
import { encodeModel, exportModel } from "./export.ts";
import type { ExportOptions, ExportedModel } from "./export.ts";
import { writeWithValuesBeside } from "./values-beside.ts";

/** Values of at most this many bytes go into the model's own file. */
const LARGEST_INSIDE = 2 ** 31 - 2 ** 26;

export interface WriteOptions extends ExportOptions {
  /** Most bytes of values in the model's own file; more go into `<path>.data`. Default just below 2 GB. */
  readonly largestInside?: number;
}

/**
 * Writes an exported model, whole or not at all (Node only); gives the names of the files: its own, and the one with
 * its values where there is one.
 * @throws DataError when it cannot be written.
 */
export function writeModel(exported: ExportedModel, path: string, largestInside = LARGEST_INSIDE): string[] {
  if (exported.size > largestInside) return writeWithValuesBeside(path, exported);
  writeWhole(path, encodeModel(exported));
  return [path];
}

/**
 * Writes a graph as an ONNX file, whole or not at all (Node only). Values above the limit of 2 GB go into `<path>.data`,
 * a tensor at a time, so that a model larger than memory can be written.
 * @throws OnnxError as exportModel; DataError when the file cannot be written.
 */
export function writeOnnx(module: GraphModule, path: string, options: WriteOptions = {}): void {
  writeModel(exportModel(module, options), path, options.largestInside);
}
