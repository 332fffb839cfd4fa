/** Large models that take no room: their values are a hole in a file. */

import { truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createMessage, encodeMessage } from "../../../src/onnx/schema.ts";

/** A chain of products with weights in a sparse file: nothing but zeros, of any size. */
export function sparseModel(file: string, layers: number, width: number): string {
  const bytes = 4 * width * width;
  const values = (i: number) =>
    createMessage("TensorProto", {
      name: `w${i}`,
      dims: [BigInt(width), BigInt(width)],
      dataType: 1,
      dataLocation: 1,
      externalData: Object.entries({
        location: `${path.basename(file)}.data`,
        offset: String(i * bytes),
        length: String(bytes),
      }).map(([key, value]) => createMessage("StringStringEntryProto", { key, value })),
    });
  const node = (i: number) =>
    createMessage("NodeProto", { opType: "MatMul", input: [`x${i}`, `w${i}`], output: [`x${i + 1}`], name: `m${i}` });
  const type = { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 1n }, { dimValue: BigInt(width) }] } } };
  const graph = createMessage("GraphProto", {
    name: "chain",
    input: [{ name: "x0", type }],
    output: [{ name: `x${layers}`, type }],
  });
  const indices = Array.from({ length: layers }, (_, i) => i);
  graph.node = indices.map(node);
  graph.initializer = indices.map(values);
  const model = createMessage("ModelProto", { irVersion: 8n, opsetImport: [{ domain: "", version: 17n }] });
  model.graph = graph;
  writeFileSync(file, encodeMessage("ModelProto", model));
  writeFileSync(`${file}.data`, "");
  truncateSync(`${file}.data`, layers * bytes);
  return file;
}
