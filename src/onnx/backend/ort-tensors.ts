/** Tensors between fewbit and onnxruntime. Where both store the same bytes nothing is copied. */

import { DtypeError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { decodeValues, encodeValues } from "../../tensor/wire.ts";

/** What onnxruntime's JavaScript tensors hold. */
export type OrtData = ArrayBufferView & { readonly length: number };

export interface OrtTensor {
  readonly type: string;
  readonly data: unknown;
  readonly dims: readonly number[];
}

/** onnxruntime's name of a dtype, and the array its values come in. */
const types: Partial<Record<DType, readonly [string, new (buffer: ArrayBuffer) => OrtData]>> = {
  float32: ["float32", Float32Array],
  float64: ["float64", Float64Array],
  float16: ["float16", Uint16Array],
  int64: ["int64", BigInt64Array],
  uint64: ["uint64", BigUint64Array],
  int32: ["int32", Int32Array],
  uint32: ["uint32", Uint32Array],
  int16: ["int16", Int16Array],
  uint16: ["uint16", Uint16Array],
  int8: ["int8", Int8Array],
  uint8: ["uint8", Uint8Array],
  bool: ["bool", Uint8Array],
};

/** @throws DtypeError for dtypes onnxruntime's JavaScript interface does not pass. */
export function toOrt(name: string, tensor: Tensor): OrtTensor {
  const found = types[tensor.dtype];
  if (!found)
    throw new DtypeError("onnxruntime", { input: name, dtype: tensor.dtype }, "tensors of this dtype cannot be passed");
  const [type, Values] = found;
  const data =
    tensor.data.constructor === Values
      ? tensor.data
      : new Values(encodeValues(tensor.dtype, tensor.data).buffer as ArrayBuffer);
  return { type, data, dims: [...tensor.shape] };
}

/** @throws DtypeError for types that are no tensors of numbers. */
export function fromOrt(name: string, { type, data, dims }: OrtTensor): Tensor {
  const dtype = (Object.keys(types) as DType[]).find((key) => types[key]![0] === type);
  if (!dtype || !ArrayBuffer.isView(data))
    throw new DtypeError("onnxruntime", { output: name, type }, "outputs of this type cannot be read");
  const { storage } = dtypeInfo[dtype];
  if (data.constructor === storage) return new Tensor(dtype, [...dims], data);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Tensor(dtype, [...dims], decodeValues(dtype, bytes, (data as OrtData).length));
}
