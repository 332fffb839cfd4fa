/**
 * ONNX's element type numbers and fewbit's dtypes. Strings, complex numbers and the floats fewbit has no storage
 * for have a name here, for messages, and no dtype.
 */

import { OnnxError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";

const codes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  float8_e4m3fn: 17,
  float8_e5m2: 19,
  uint4: 21,
  int4: 22,
} as const satisfies Partial<Record<DType, number>>;

const others: Readonly<Record<number, string>> = {
  0: "undefined",
  8: "string",
  14: "complex64",
  15: "complex128",
  18: "float8e4m3fnuz",
  20: "float8e5m2fnuz",
  23: "float4e2m1",
  24: "float8e8m0",
  25: "uint2",
  26: "int2",
  27: "float6e2m3",
  28: "float6e3m2",
};

const byCode: ReadonlyMap<number, DType> = new Map(
  Object.entries(codes).map(([dtype, code]) => [code, dtype as DType]),
);

/** The dtype of an ONNX element type, or null for one fewbit cannot hold. */
export function dtypeOf(code: number): DType | null {
  return byCode.get(code) ?? null;
}

/** How messages call an element type, whether fewbit holds it or not. */
export function typeName(code: number): string {
  return byCode.get(code) ?? others[code] ?? `type ${code}`;
}

/** As `dtypeOf`. @throws OnnxError naming the type. */
export function requireDType(where: string, code: number): DType {
  const dtype = dtypeOf(code);
  if (dtype !== null) return dtype;
  throw new OnnxError(where, { type: typeName(code) }, "elements of this type are not supported");
}

/** ONNX's number for a dtype. @throws OnnxError for quantized dtypes, which ONNX does not have. */
export function codeOf(where: string, dtype: DType): number {
  const code = (codes as Partial<Record<DType, number>>)[dtype];
  if (code !== undefined) return code;
  throw new OnnxError(where, { dtype }, "ONNX has no such element type");
}
