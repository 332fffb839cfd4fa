/** Small ONNX files for tests, made from a few words. */

import { codeOf } from "../../src/onnx/dtypes.ts";
import { createMessage, decodeMessage, encodeMessage } from "../../src/onnx/schema.ts";
import type { AttributeProto, NodeProto } from "../../src/onnx/schema.ts";
import { writeTensor } from "../../src/onnx/tensors.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

export type AttributeValue = number | string | readonly number[] | Uint8Array;

function attribute(name: string, value: AttributeValue): AttributeProto {
  if (value instanceof Uint8Array) {
    const message = createMessage("AttributeProto", { name, type: 5 });
    message.g = decodeMessage("ModelProto", value).graph;
    return message;
  }
  if (typeof value === "string")
    return createMessage("AttributeProto", { name, type: 3, s: new TextEncoder().encode(value) });
  if (typeof value === "number") return createMessage("AttributeProto", { name, type: 2, i: BigInt(value) });
  return createMessage("AttributeProto", { name, type: 7, ints: value.map(BigInt) });
}

/** A node; attribute values are integers, lists of integers, strings, or models whose graph becomes a subgraph. */
export function node(
  opType: string,
  input: string[],
  output: string[],
  attributes: Record<string, AttributeValue> = {},
  domain = "",
): NodeProto {
  const message = createMessage("NodeProto", { opType, domain, input, output, name: `${opType}_${output[0] ?? ""}` });
  message.attribute = Object.entries(attributes).map(([name, value]) => attribute(name, value));
  return message;
}

export interface ModelSpec {
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly types?: Readonly<Record<string, DType>>;
  readonly nodes: readonly NodeProto[];
  readonly constants?: Readonly<Record<string, Tensor>>;
  /** float32[4] constants by the location of their values. */
  readonly external?: Readonly<Record<string, string>>;
  readonly outputs: readonly string[];
  readonly opset?: number;
}

export function model({
  inputs,
  types = {},
  nodes,
  constants = {},
  external = {},
  outputs,
  opset = 17,
}: ModelSpec): Uint8Array {
  const graph = createMessage("GraphProto", {
    name: "test",
    input: Object.entries(inputs).map(([name, shape]) => ({
      name,
      type: {
        tensorType: {
          elemType: codeOf("test", types[name] ?? "float32"),
          shape: {
            dim: shape.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: BigInt(size) })),
          },
        },
      },
    })),
    output: outputs.map((name) => ({ name })),
  });
  graph.node = [...nodes];
  graph.initializer = [
    ...Object.entries(constants).map(([name, tensor]) => writeTensor(name, tensor)),
    ...Object.entries(external).map(([name, location]) =>
      createMessage("TensorProto", {
        name,
        dims: [4n],
        dataType: 1,
        dataLocation: 1,
        externalData: [{ key: "location", value: location }],
      }),
    ),
  ];
  const message = createMessage("ModelProto", { irVersion: 8n, opsetImport: [{ domain: "", version: BigInt(opset) }] });
  message.graph = graph;
  return encodeMessage("ModelProto", message);
}
