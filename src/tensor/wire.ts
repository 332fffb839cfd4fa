/**
 * Little-endian bytes of tensor values: the packed form files use.
 *
 * Where a dtype's storage is its file form the bytes are simply copied; 64-bit integers, small floats and
 * 4-bit integers (two to a byte, the even index in the low half) are converted here and nowhere else.
 */

import { FileFormatError } from "../errors.ts";
import { allocate, dtypeInfo } from "./dtype.ts";
import type { DType, TypedArray } from "./dtype.ts";
import { decodeSmallFloat, encodeSmallFloat } from "./small-floats.ts";

const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

/** Bytes `count` values take. */
export function wireSize(dtype: DType, count: number): number {
  return Math.ceil((count * dtypeInfo[dtype].bits) / 8);
}

function isStoredAsIs(dtype: DType): boolean {
  const { storage, bits } = dtypeInfo[dtype];
  return storage.BYTES_PER_ELEMENT * 8 === bits && dtype !== "int64" && dtype !== "uint64";
}

/** Nearest representable 64-bit integer: doubles at or past the end of the range mean the end. */
function toBigInt(dtype: DType, v: number): bigint {
  const big = BigInt(Math.trunc(v));
  const max = dtype === "int64" ? INT64_MAX : UINT64_MAX;
  return big > max ? max : big;
}

function encodeValue(view: DataView, dtype: DType, i: number, v: number): void {
  switch (dtypeInfo[dtype].bits) {
    case 64:
      view.setBigUint64(i * 8, BigInt.asUintN(64, toBigInt(dtype, v)), true);
      return;
    case 16:
      view.setUint16(i * 2, encodeSmallFloat(dtype, v), true);
      return;
    case 8:
      view.setUint8(i, encodeSmallFloat(dtype, v));
      return;
    default: {
      const at = i >> 1;
      view.setUint8(at, view.getUint8(at) | ((v & 15) << ((i & 1) * 4)));
    }
  }
}

function decodeValue(view: DataView, dtype: DType, i: number): number {
  switch (dtypeInfo[dtype].bits) {
    case 64:
      return Number(dtype === "int64" ? view.getBigInt64(i * 8, true) : view.getBigUint64(i * 8, true));
    case 16:
      return decodeSmallFloat(dtype, view.getUint16(i * 2, true));
    case 8:
      return decodeSmallFloat(dtype, view.getUint8(i));
    default: {
      const nibble = (view.getUint8(i >> 1) >> ((i & 1) * 4)) & 15;
      return dtype === "int4" && nibble > 7 ? nibble - 16 : nibble;
    }
  }
}

/** The values as little-endian bytes. */
export function encodeValues(dtype: DType, values: TypedArray): Uint8Array {
  if (isStoredAsIs(dtype)) return new Uint8Array(values.slice().buffer);
  const bytes = new Uint8Array(wireSize(dtype, values.length));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) encodeValue(view, dtype, i, values[i]!);
  return bytes;
}

/** `count` values from little-endian bytes. @throws FileFormatError when there are not exactly enough. */
export function decodeValues(dtype: DType, bytes: Uint8Array, count: number): TypedArray {
  if (bytes.length !== wireSize(dtype, count)) {
    throw new FileFormatError(
      "decode",
      { dtype, values: count, bytes: bytes.length },
      "the bytes must hold exactly the values",
    );
  }
  if (isStoredAsIs(dtype)) {
    // Not `bytes.slice()`: for Node's Buffer that is a view, not a copy.
    return new dtypeInfo[dtype].storage(new Uint8Array(bytes).buffer);
  }
  const values = allocate(dtype, count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < count; i++) values[i] = decodeValue(view, dtype, i);
  return values;
}
