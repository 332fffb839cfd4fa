/** The quantized model as a file. */

import type { GraphModule } from "../../graph/graph-module.ts";
import { encodeModel, exportModel } from "../export.ts";
import type { ExportedModel } from "../export.ts";
import { encodeMessage } from "../schema.ts";
import { writeModel } from "../write.ts";
import type { QuantizeOptions } from "./options.ts";
import type { Settings } from "./settings.ts";

export class QuantizedFile {
  private readonly exported: ExportedModel;
  /** Bytes of the file, and of the one beside it. */
  readonly size: number;

  constructor(graph: GraphModule, { target, format }: Settings, { opset }: QuantizeOptions) {
    const options = { format, matMulNBits: target.matMulNBits, ...(opset === undefined ? {} : { opset }) };
    this.exported = exportModel(graph, options);
    this.size = encodeMessage("ModelProto", this.exported.model).length + this.exported.size;
  }

  bytes(): Uint8Array {
    return encodeModel(this.exported);
  }

  /** Names of the files it wrote. */
  write(path: string, largestInside?: number): string[] {
    return writeModel(this.exported, path, largestInside);
  }
}
