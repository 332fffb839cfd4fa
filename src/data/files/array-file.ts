/**
 * Files of arrays, read a few rows at a time: .npy, .npz, .safetensors.
 *
 * Only headers are read when a file is opened, so memory does not grow with the number of samples. An .npz is a zip
 * archive and is held whole; so are arrays in Fortran or big-endian order.
 */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import path from "node:path";
import { readFileSync } from "node:fs";
import { DataError, FileFormatError, FewbitError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { decodeValues, wireSize } from "../../tensor/wire.ts";
import { takeRows } from "../loader.ts";
import { readNpy, readNpyHeader, readNpz } from "../npy.ts";
import { readSafetensorsHeader, safetensorsHeaderLength } from "../safetensors.ts";

/** An array in a file. */
export interface StoredArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Rows from..from+count of axis 0. */
  rows(from: number, count: number): Tensor;
  /** All of it. */
  whole(): Tensor;
}

export const arrayExtensions: readonly string[] = [".npy", ".npz", ".safetensors"];

/** Most a .npy header may take here; NumPy writes a few hundred bytes. */
const NPY_HEADER_LIMIT = 65_536;

/** Up to `length` bytes of a file from `offset`. */
function readBytes(file: string, offset: number, length: number): Uint8Array {
  const descriptor = openSync(file, "r");
  try {
    const bytes = new Uint8Array(Math.max(Math.min(length, fstatSync(descriptor).size - offset), 0));
    let done = 0;
    while (done < bytes.length) {
      const count = readSync(descriptor, bytes, done, bytes.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } finally {
    closeSync(descriptor);
  }
}

function sizeOf(file: string): number {
  const descriptor = openSync(file, "r");
  try {
    return fstatSync(descriptor).size;
  } finally {
    closeSync(descriptor);
  }
}

/** An array whose values lie in a file, row after row. */
function sliced(file: string, dtype: DType, shape: readonly number[], start: number): StoredArray {
  const row = numel(shape.slice(1));
  const bytesAt = (index: number): number => start + (index * row * dtypeInfo[dtype].bits) / 8;
  return {
    dtype,
    shape,
    rows(from, count) {
      const bytes = readBytes(file, bytesAt(from), wireSize(dtype, count * row));
      return new Tensor(dtype, [count, ...shape.slice(1)], decodeValues(dtype, bytes, count * row));
    },
    whole() {
      const bytes = readBytes(file, start, wireSize(dtype, numel(shape)));
      return new Tensor(dtype, shape, decodeValues(dtype, bytes, numel(shape)));
    },
  };
}

function held(tensor: Tensor): StoredArray {
  return {
    dtype: tensor.dtype,
    shape: tensor.shape,
    rows: (from, count) =>
      takeRows(
        tensor,
        Array.from({ length: count }, (_, i) => from + i),
      ),
    whole: () => tensor,
  };
}

function openNpy(file: string): StoredArray {
  const { dtype, shape, bigEndian, fortran, dataStart } = readNpyHeader(readBytes(file, 0, NPY_HEADER_LIMIT));
  if (bigEndian || fortran) return held(readNpy(readFileSync(file)));
  const dataBytes = sizeOf(file) - dataStart;
  if (dataBytes !== wireSize(dtype, numel(shape)))
    throw new FileFormatError(
      "npy",
      { shape, dtype, dataBytes },
      "the file must hold exactly the values its shape declares",
    );
  return sliced(file, dtype, shape, dataStart);
}

function openSafetensors(file: string): Map<string, StoredArray> {
  const size = sizeOf(file);
  const length = safetensorsHeaderLength(readBytes(file, 0, 8), size);
  const stored = readSafetensorsHeader(readBytes(file, 0, 8 + length), size);
  return new Map([...stored].map(([name, { dtype, shape, start }]) => [name, sliced(file, dtype, shape, start)]));
}

function openAs(file: string, extension: string): Map<string, StoredArray> {
  if (extension === ".npy") return new Map([["", openNpy(file)]]);
  if (extension === ".npz") return new Map([...readNpz(readFileSync(file))].map(([name, x]) => [name, held(x)]));
  return openSafetensors(file);
}

/**
 * The arrays of a file by name; the one of a .npy file has the name "".
 * @throws FileFormatError naming the file when it is not what its extension says; DataError when it cannot be read.
 */
export function openArrays(file: string): Map<string, StoredArray> {
  try {
    return openAs(file, path.extname(file).toLowerCase());
  } catch (cause) {
    if (cause instanceof FileFormatError)
      throw new FileFormatError(`${file}, ${cause.where}`, cause.fields, cause.rule, cause.hint);
    if (cause instanceof FewbitError) throw cause;
    throw new DataError(file, { reason: (cause as Error).message }, "the file cannot be read");
  }
}
