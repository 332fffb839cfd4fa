/**
 * ONNX's protobuf messages, described by a table: field name, number, type, "many" for repeated ones.
 *
 * Descriptors and TypeScript types both follow from the table, so a field is written down once. Fields are read
 * with presence (proto2): a field that was not set shows its zero, and is not an own property. Source: the field
 * numbers of onnx.proto (ONNX IR version 13); unions are plain fields here, which is the same on the wire.
 */

import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { FileFormatError, OnnxError } from "../errors.ts";

const scalars = {
  double: Type.DOUBLE,
  float: Type.FLOAT,
  int64: Type.INT64,
  uint64: Type.UINT64,
  int32: Type.INT32,
  string: Type.STRING,
  bytes: Type.BYTES,
} as const;

interface ScalarTypes {
  double: number;
  float: number;
  int64: bigint;
  uint64: bigint;
  int32: number;
  string: string;
  bytes: Uint8Array;
}

const table = {
  ModelProto: {
    irVersion: [1, "int64"],
    producerName: [2, "string"],
    producerVersion: [3, "string"],
    domain: [4, "string"],
    modelVersion: [5, "int64"],
    docString: [6, "string"],
    graph: [7, "GraphProto"],
    opsetImport: [8, "OperatorSetIdProto", "many"],
    metadataProps: [14, "StringStringEntryProto", "many"],
    functions: [25, "FunctionProto", "many"],
  },
  OperatorSetIdProto: { domain: [1, "string"], version: [2, "int64"] },
  StringStringEntryProto: { key: [1, "string"], value: [2, "string"] },
  GraphProto: {
    node: [1, "NodeProto", "many"],
    name: [2, "string"],
    initializer: [5, "TensorProto", "many"],
    docString: [10, "string"],
    input: [11, "ValueInfoProto", "many"],
    output: [12, "ValueInfoProto", "many"],
    valueInfo: [13, "ValueInfoProto", "many"],
    sparseInitializer: [15, "SparseTensorProto", "many"],
    metadataProps: [16, "StringStringEntryProto", "many"],
  },
  FunctionProto: {
    name: [1, "string"],
    input: [4, "string", "many"],
    output: [5, "string", "many"],
    attribute: [6, "string", "many"],
    node: [7, "NodeProto", "many"],
    docString: [8, "string"],
    opsetImport: [9, "OperatorSetIdProto", "many"],
    domain: [10, "string"],
    attributeProto: [11, "AttributeProto", "many"],
    overload: [13, "string"],
  },
  NodeProto: {
    input: [1, "string", "many"],
    output: [2, "string", "many"],
    name: [3, "string"],
    opType: [4, "string"],
    attribute: [5, "AttributeProto", "many"],
    docString: [6, "string"],
    domain: [7, "string"],
    overload: [8, "string"],
    metadataProps: [9, "StringStringEntryProto", "many"],
  },
  AttributeProto: {
    name: [1, "string"],
    f: [2, "float"],
    i: [3, "int64"],
    s: [4, "bytes"],
    t: [5, "TensorProto"],
    g: [6, "GraphProto"],
    floats: [7, "float", "many"],
    ints: [8, "int64", "many"],
    strings: [9, "bytes", "many"],
    tensors: [10, "TensorProto", "many"],
    graphs: [11, "GraphProto", "many"],
    docString: [13, "string"],
    tp: [14, "TypeProto"],
    typeProtos: [15, "TypeProto", "many"],
    type: [20, "int32"],
    refAttrName: [21, "string"],
    sparseTensor: [22, "SparseTensorProto"],
    sparseTensors: [23, "SparseTensorProto", "many"],
  },
  TensorProto: {
    dims: [1, "int64", "many"],
    dataType: [2, "int32"],
    floatData: [4, "float", "many"],
    int32Data: [5, "int32", "many"],
    stringData: [6, "bytes", "many"],
    int64Data: [7, "int64", "many"],
    name: [8, "string"],
    rawData: [9, "bytes"],
    doubleData: [10, "double", "many"],
    uint64Data: [11, "uint64", "many"],
    docString: [12, "string"],
    externalData: [13, "StringStringEntryProto", "many"],
    dataLocation: [14, "int32"],
    metadataProps: [16, "StringStringEntryProto", "many"],
  },
  SparseTensorProto: { values: [1, "TensorProto"], indices: [2, "TensorProto"], dims: [3, "int64", "many"] },
  ValueInfoProto: {
    name: [1, "string"],
    type: [2, "TypeProto"],
    docString: [3, "string"],
    metadataProps: [4, "StringStringEntryProto", "many"],
  },
  TypeProto: {
    tensorType: [1, "TensorTypeProto"],
    sequenceType: [4, "ElementTypeProto"],
    mapType: [5, "MapTypeProto"],
    denotation: [6, "string"],
    sparseTensorType: [8, "TensorTypeProto"],
    optionalType: [9, "ElementTypeProto"],
  },
  TensorTypeProto: { elemType: [1, "int32"], shape: [2, "TensorShapeProto"] },
  ElementTypeProto: { elemType: [1, "TypeProto"] },
  MapTypeProto: { keyType: [1, "int32"], valueType: [2, "TypeProto"] },
  TensorShapeProto: { dim: [1, "DimensionProto", "many"] },
  DimensionProto: { dimValue: [1, "int64"], dimParam: [2, "string"], denotation: [3, "string"] },
} as const;

type Table = typeof table;
export type MessageName = keyof Table;
type TypeOf<T> = T extends keyof ScalarTypes ? ScalarTypes[T] : T extends MessageName ? Message<T> : never;
type FieldOf<F> = F extends readonly [number, infer T, "many"]
  ? TypeOf<T>[]
  : F extends readonly [number, infer T]
    ? T extends MessageName
      ? Message<T> | undefined
      : TypeOf<T>
    : never;

/** A message as an object: repeated fields are arrays, unset scalars read as their zero. */
export type Message<K extends MessageName> = { -readonly [F in keyof Table[K]]: FieldOf<Table[K][F]> };

/** What a message is made from: any of its fields, nested messages likewise. */
export type MessageInit<K extends MessageName> = {
  readonly [F in keyof Table[K]]?: Table[K][F] extends readonly [number, infer T, "many"]
    ? readonly InitOf<T>[]
    : Table[K][F] extends readonly [number, infer T]
      ? InitOf<T>
      : never;
};
type InitOf<T> = T extends keyof ScalarTypes ? ScalarTypes[T] : T extends MessageName ? MessageInit<T> : never;

export type ModelProto = Message<"ModelProto">;
export type GraphProto = Message<"GraphProto">;
export type NodeProto = Message<"NodeProto">;
export type FunctionProto = Message<"FunctionProto">;
export type AttributeProto = Message<"AttributeProto">;
export type TensorProto = Message<"TensorProto">;
export type ValueInfoProto = Message<"ValueInfoProto">;

/** Formats that ONNX writes packed. */
const PACKED: ReadonlySet<string> = new Set(["floatData", "int32Data", "int64Data", "doubleData", "uint64Data"]);

function isScalar(type: string): type is keyof typeof scalars {
  return Object.hasOwn(scalars, type);
}

function describeField(name: string, [number, type, many]: readonly [number, string, "many"?]) {
  return {
    name,
    jsonName: name,
    number,
    label: many ? Label.REPEATED : Label.OPTIONAL,
    ...(isScalar(type) ? { type: scalars[type] } : { type: Type.MESSAGE, typeName: `.onnx.${type}` }),
    ...(PACKED.has(name) && { options: { packed: true } }),
  };
}

const file = create(FileDescriptorProtoSchema, {
  name: "onnx.proto",
  package: "onnx",
  syntax: "proto2",
  messageType: Object.entries(table).map(([name, fields]) => ({
    name,
    field: Object.entries(fields).map(([field, description]) =>
      describeField(field, description as readonly [number, string, "many"?]),
    ),
  })),
});

const registry = createFileRegistry(file, () => undefined);

function descriptor(name: MessageName): DescMessage {
  return registry.getMessage(`onnx.${name}`)!;
}

/** Messages in messages that are read, as many as other readers of protobuf files take: a deeper file is an attack. */
const DEEPEST_MESSAGE = 100;

/** @throws FileFormatError when the bytes are cut off or are no such message; OnnxError when it is nested too deeply. */
export function decodeMessage<K extends MessageName>(name: K, bytes: Uint8Array): Message<K> {
  try {
    return fromBinary(descriptor(name), bytes, {
      readUnknownFields: false,
      recursionLimit: DEEPEST_MESSAGE,
    }) as unknown as Message<K>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    // A RangeError alone does not tell: the reader throws one at the end of bytes that are cut off, too.
    if (/recursion depth|call stack/.test(reason))
      throw new OnnxError("ONNX", { message: name, limit: DEEPEST_MESSAGE }, "subgraphs are nested too deeply");
    throw new FileFormatError("ONNX", { message: name, bytes: bytes.length, reason }, "the bytes are not an ONNX file");
  }
}

/** A message with the given fields set. */
export function createMessage<K extends MessageName>(name: K, fields: MessageInit<K>): Message<K> {
  return create(descriptor(name), fields as Record<string, never>) as unknown as Message<K>;
}

export function encodeMessage<K extends MessageName>(name: K, message: Message<K>): Uint8Array {
  return toBinary(descriptor(name), message as never);
}

/** Whether a field was set, as against reading as zero. */
export function hasField(message: object, field: string): boolean {
  return Object.hasOwn(message, field);
}
