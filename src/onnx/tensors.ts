/**
 * TensorProto and Tensor. Sizes a file declares are compared with the bytes it brings before anything is allocated.
 */

import { FileFormatError, OnnxError } from "../errors.ts";
import { allocate, dtypeInfo } from "../tensor/dtype.ts";
import type { DType, TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import { decodeSmallFloat } from "../tensor/small-floats.ts";
import { Tensor } from "../tensor/tensor.ts";
import { decodeValues, encodeValues } from "../tensor/wire.ts";
import { codeOf, requireDType } from "./dtypes.ts";
import { externalTensor } from "./external.ts";
import type { ExternalData } from "./external.ts";
import { createMessage, hasField } from "./schema.ts";
import type { Message, TensorProto } from "./schema.ts";

const EXTERNAL = 1;

/** A whole number of a file that must be small enough to count with. @throws FileFormatError */
export function toSafeNumber(where: string, value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new FileFormatError(where, { value }, "an integer of the file is beyond 2^53");
  return number;
}

function shapeOf(name: string, dims: readonly bigint[]): number[] {
  const shape = dims.map((dim) => toSafeNumber(`tensor ${name}`, dim));
  if (shape.some((size) => size < 0) || !Number.isSafeInteger(numel(shape)))
    throw new FileFormatError(`tensor ${name}`, { shape }, "sizes must not be negative, nor their product beyond 2^53");
  return shape;
}

function fileSlice(name: string, entries: readonly Message<"StringStringEntryProto">[]) {
  const fields = new Map(entries.map(({ key, value }) => [key, value]));
  const location = fields.get("location");
  if (location === undefined) throw new FileFormatError(`tensor ${name}`, {}, "external data must name its location");
  const length = fields.get("length");
  return {
    name,
    location,
    offset: Number(fields.get("offset") ?? 0),
    length: length === undefined ? null : Number(length),
  };
}

/** Bytes of the files that tensors' values are in, each file counted once. */
export function bytesBeside(protos: readonly TensorProto[], files: ExternalData): number {
  const outside = protos.filter(({ dataLocation }) => dataLocation === EXTERNAL);
  const locations = new Set(outside.map(({ name, externalData }) => fileSlice(name, externalData).location));
  return [...locations].reduce((sum, location) => sum + files(location).size, 0);
}

/** The typed field a dtype's values are kept in when they are not raw bytes. */
function typedField(proto: TensorProto, dtype: DType): ArrayLike<number | bigint> {
  switch (dtype) {
    case "float32":
      return proto.floatData;
    case "float64":
      return proto.doubleData;
    case "int64":
      return proto.int64Data;
    case "uint64":
    case "uint32":
      return proto.uint64Data;
    default:
      return proto.int32Data;
  }
}

/** Values of the typed fields: 16- and 8-bit floats come as bit patterns, 4-bit integers two to an entry. */
function typedValues(name: string, proto: TensorProto, dtype: DType, count: number): TypedArray {
  const given = typedField(proto, dtype);
  const { kind, bits } = dtypeInfo[dtype];
  const perEntry = bits === 4 ? 2 : 1;
  if (given.length !== Math.ceil(count / perEntry))
    throw new FileFormatError(
      `tensor ${name}`,
      { dtype, values: count, given: given.length },
      "the file must hold exactly the values of the shape",
    );
  if (bits === 4) return decodeValues(dtype, Uint8Array.from(given as ArrayLike<number>), count);
  const values = allocate(dtype, count);
  const isPattern = kind === "float" && bits < 32;
  for (let i = 0; i < count; i++) {
    const value = Number(given[i]!);
    values[i] = isPattern ? decodeSmallFloat(dtype, value & (2 ** bits - 1)) : value;
  }
  return values;
}

/**
 * The tensor of a TensorProto.
 * @throws FileFormatError when shape and values contradict each other, OnnxError for element types without a dtype and
 * external data that is not there.
 */
export function readTensor(proto: TensorProto, files: ExternalData | null = null): Tensor {
  const { name } = proto;
  const dtype = requireDType(`tensor ${name}`, proto.dataType);
  const shape = shapeOf(name, proto.dims);
  if (proto.dataLocation === EXTERNAL) {
    if (!files)
      throw new OnnxError(
        `tensor ${name}`,
        {},
        "its values are in another file",
        "Import by path, or pass externalData",
      );
    return externalTensor(dtype, shape, fileSlice(name, proto.externalData), files);
  }
  const count = numel(shape);
  const values = hasField(proto, "rawData")
    ? decodeValues(dtype, proto.rawData, count)
    : typedValues(name, proto, dtype, count);
  if (dtype === "bool") for (let i = 0; i < count; i++) values[i] = Number(values[i] !== 0);
  return new Tensor(dtype, shape, values);
}

/** Dimensions of a sparse tensor made dense. @throws as readTensor */
export function readSparse(proto: Message<"SparseTensorProto">, limit: number): Tensor {
  const name = proto.values?.name ?? "";
  const shape = shapeOf(name, proto.dims);
  if (!proto.values || !proto.indices)
    throw new FileFormatError(`tensor ${name}`, {}, "a sparse tensor needs values and indices");
  const [values, indices] = [readTensor(proto.values), readTensor(proto.indices)];
  const total = numel(shape);
  if (total > limit)
    throw new OnnxError(`tensor ${name}`, { shape, limit }, "the dense form of a sparse tensor is too large");
  const data = allocate(values.dtype, total);
  const width = indices.rank === 2 ? indices.shape[1]! : 1;
  values.data.forEach((value: number, i: number) => {
    let at = 0;
    for (let k = 0; k < width; k++) at = width === 1 ? indices.data[i]! : at * shape[k]! + indices.data[i * width + k]!;
    if (!(at >= 0 && at < total))
      throw new FileFormatError(`tensor ${name}`, { shape, at }, "a sparse index lies outside");
    data[at] = value;
  });
  return new Tensor(values.dtype, shape, data);
}

/** A TensorProto without its values. @throws OnnxError for dtypes ONNX lacks. */
export function declareTensor(name: string, tensor: Tensor): TensorProto {
  const dataType = codeOf(`tensor ${name}`, tensor.dtype);
  return createMessage("TensorProto", { name, dims: tensor.shape.map(BigInt), dataType });
}

/** A TensorProto with the values as raw bytes. @throws OnnxError for dtypes ONNX lacks. */
export function writeTensor(name: string, tensor: Tensor): TensorProto {
  const proto = declareTensor(name, tensor);
  proto.rawData = encodeValues(tensor.dtype, tensor.data);
  return proto;
}
