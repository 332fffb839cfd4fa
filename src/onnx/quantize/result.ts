/** The quantized model as a file. */

import type { GraphModule } from "../../graph/graph-module.ts";
import { exportOnnx } from "../export.ts";
import type { QuantizeOptions } from "./options.ts";
import type { Settings } from "./settings.ts";
import { writeWhole } from "../write-file.ts";

export class QuantizedFile {
  private readonly encoded: Uint8Array;

  constructor(graph: GraphModule, { target, format }: Settings, { opset }: QuantizeOptions) {
    this.encoded = exportOnnx(graph, {
      format,
      matMulNBits: target.matMulNBits,
      ...(opset === undefined ? {} : { opset }),
    });
  }

  get size(): number {
    return this.encoded.length;
  }

  bytes(): Uint8Array {
    return this.encoded;
  }

  write(path: string): Promise<void> {
    return writeWhole(path, this.encoded);
  }
}
