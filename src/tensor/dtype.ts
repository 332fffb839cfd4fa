/**
 * Element types. One row a dtype; everything else asks the row.
 *
 * A tensor's values live in the smallest JavaScript typed array whose elements are plain numbers and
 * hold every value of the dtype: 64-bit integers in a Float64Array (exact to 2^53), 16- and 8-bit
 * floats in a Float32Array of already rounded values, 4-bit integers one to a byte. The packed form
 * that files use is made at the border (wire.ts), so operators never meet a BigInt or a nibble.
 */

import { ArgumentError } from "../errors.ts";

export type TypedArray =
  Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

type TypedArrayConstructor =
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor;

export type DTypeKind = "float" | "int" | "bool" | "quantized";

export interface DTypeInfo {
  readonly kind: DTypeKind;
  /** Typed array that holds the values in memory. */
  readonly storage: TypedArrayConstructor;
  /** Bits one value takes in a file. */
  readonly bits: number;
  /** Smallest and largest value; for floats the largest finite magnitude. */
  readonly min: number;
  readonly max: number;
}

function float(storage: TypedArrayConstructor, bits: number, max: number): DTypeInfo {
  return { kind: "float", storage, bits, min: -max, max };
}

function integer(storage: TypedArrayConstructor, bits: number, signed: boolean, kind: DTypeKind = "int"): DTypeInfo {
  const min = signed ? -(2 ** (bits - 1)) : 0;
  return { kind, storage, bits, min, max: min + 2 ** bits - 1 };
}

const table = {
  float64: float(Float64Array, 64, Number.MAX_VALUE),
  float32: float(Float32Array, 32, 3.4028234663852886e38),
  float16: float(Float32Array, 16, 65504),
  bfloat16: float(Float32Array, 16, 3.3895313892515355e38),
  float8_e4m3fn: float(Float32Array, 8, 448),
  float8_e5m2: float(Float32Array, 8, 57344),
  int64: integer(Float64Array, 64, true),
  uint64: integer(Float64Array, 64, false),
  int32: integer(Int32Array, 32, true),
  uint32: integer(Uint32Array, 32, false),
  int16: integer(Int16Array, 16, true),
  uint16: integer(Uint16Array, 16, false),
  int8: integer(Int8Array, 8, true),
  uint8: integer(Uint8Array, 8, false),
  int4: integer(Int8Array, 4, true),
  uint4: integer(Uint8Array, 4, false),
  bool: { kind: "bool", storage: Uint8Array, bits: 8, min: 0, max: 1 },
  qint8: integer(Int8Array, 8, true, "quantized"),
  quint8: integer(Uint8Array, 8, false, "quantized"),
  qint32: integer(Int32Array, 32, true, "quantized"),
  quint4x2: integer(Uint8Array, 4, false, "quantized"),
} as const satisfies Record<string, DTypeInfo>;

export type DType = keyof typeof table;

/** Dtypes of quantized tensors, as PyTorch names them. */
export type QuantizedDType = "qint8" | "quint8" | "qint32" | "quint4x2";

export const dtypeInfo: Readonly<Record<DType, DTypeInfo>> = table;

export const dtypes = Object.keys(table) as readonly DType[];

export function isDType(name: string): name is DType {
  return Object.hasOwn(table, name);
}

export function isFloat(dtype: DType): boolean {
  return dtypeInfo[dtype].kind === "float";
}

export function isQuantized(dtype: DType): dtype is QuantizedDType {
  return dtypeInfo[dtype].kind === "quantized";
}

/**
 * Zero-filled storage for `length` values.
 * @throws ArgumentError when that much memory cannot be had.
 */
export function allocate(dtype: DType, length: number): TypedArray {
  const Storage = dtypeInfo[dtype].storage;
  try {
    return new Storage(length);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ArgumentError("allocate", { dtype, length }, "the values do not fit into memory");
  }
}

/** Promotion order of the arithmetic dtypes: the result of mixing two is the later one (float beats int). */
const promotionOrder: readonly DType[] = [
  "bool", "uint4", "int4", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
  "float8_e5m2", "float8_e4m3fn", "bfloat16", "float16", "float32", "float64",
]; // prettier-ignore

/** The dtype in which `a op b` is computed, by PyTorch's rules for tensors of equal rank. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  const [low, high] = promotionOrder.indexOf(a) < promotionOrder.indexOf(b) ? [a, b] : [b, a];
  if (low === "uint8" && high === "int8") return "int16";
  if (low === "bfloat16" && high === "float16") return "float32";
  return high;
}
