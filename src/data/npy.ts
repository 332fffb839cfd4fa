/**
 * NumPy's .npy files (one array) and .npz files (a zip of them).
 *
 * Format: numpy.lib.format, versions 1 to 3. Fortran order and big-endian arrays are read; writing is always
 * C order, little-endian. Zip archives are fflate's work; a member may not unpack to more than deflate can
 * honestly reach.
 */

import { unzipSync, zipSync } from "fflate";
import { DtypeError, FileFormatError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { dtypeInfo } from "../tensor/dtype.ts";
import { numel, stridesOf } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { decodeValues, encodeValues, wireSize } from "../tensor/wire.ts";

const MAGIC = "\x93NUMPY";
/** Deflate cannot compress better than this. */
const DEFLATE_LIMIT = 1032;

const descriptors: readonly (readonly [string, DType])[] = [
  ["f8", "float64"], ["f4", "float32"], ["f2", "float16"], ["i8", "int64"], ["u8", "uint64"], ["i4", "int32"],
  ["u4", "uint32"], ["i2", "int16"], ["u2", "uint16"], ["i1", "int8"], ["u1", "uint8"], ["b1", "bool"],
]; // prettier-ignore

function headerText(bytes: Uint8Array): { text: string; dataStart: number } {
  const magic = String.fromCharCode(...bytes.subarray(0, 6));
  if (magic !== MAGIC || bytes.length < 10)
    throw new FileFormatError("npy", { bytes: bytes.length }, "the file does not begin as a .npy file");
  const major = bytes[6]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (major < 1 || major > 3 || (major > 1 && bytes.length < 12))
    throw new FileFormatError("npy", { version: major }, "versions 1 to 3 can be read");
  const start = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (start + length > bytes.length)
    throw new FileFormatError(
      "npy",
      { headerBytes: length, fileBytes: bytes.length },
      "the header does not fit into the file",
    );
  return { text: new TextDecoder().decode(bytes.subarray(start, start + length)), dataStart: start + length };
}

function parseHeader(text: string): { dtype: DType; bigEndian: boolean; fortran: boolean; shape: number[] } {
  const descr = /'descr'\s*:\s*'([<>|=])(\w+)'/.exec(text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(text);
  if (!descr || !order || !shape)
    throw new FileFormatError(
      "npy",
      { header: text.trim().slice(0, 80) },
      "the header must give descr, fortran_order and shape",
    );
  const dtype = descriptors.find(([code]) => code === descr[2])?.[1];
  if (!dtype) throw new FileFormatError("npy", { descr: descr[2] }, "arrays of this dtype cannot be read");
  const sizes = shape[1]!
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(Number);
  if (!sizes.every(Number.isSafeInteger)) throw new FileFormatError("npy", { shape: sizes }, "sizes must be integers");
  return { dtype, bigEndian: descr[1] === ">", fortran: order[1] === "True", shape: sizes };
}

function swapBytes(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let at = 0; at < out.length; at += size) out.subarray(at, at + size).reverse();
  return out;
}

/** Values in column-major order → row-major. */
function fromFortran(tensor: Tensor): Tensor {
  const { shape, data } = tensor;
  const out = data.slice();
  const rowMajor = stridesOf(shape);
  for (let i = 0; i < data.length; i++) {
    let rest = i;
    let at = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      at += (rest % shape[axis]!) * rowMajor[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    out[at] = data[i]!;
  }
  return new Tensor(tensor.dtype, shape, out);
}

export interface NpyHeader {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bigEndian: boolean;
  readonly fortran: boolean;
  /** Where the values begin. */
  readonly dataStart: number;
}

/** What the beginning of a .npy file says of the rest. @throws FileFormatError */
export function readNpyHeader(bytes: Uint8Array): NpyHeader {
  const { text, dataStart } = headerText(bytes);
  return { ...parseHeader(text), dataStart };
}

/** Reads one array. @throws FileFormatError */
export function readNpy(bytes: Uint8Array): Tensor {
  const { dtype, bigEndian, fortran, shape, dataStart } = readNpyHeader(bytes);
  const count = numel(shape);
  const data = bytes.subarray(dataStart);
  if (data.length !== wireSize(dtype, count)) {
    throw new FileFormatError(
      "npy",
      { shape, dtype, dataBytes: data.length },
      "the file must hold exactly the values its shape declares",
    );
  }
  const ordered = bigEndian ? swapBytes(data, dtypeInfo[dtype].bits / 8) : data;
  const tensor = new Tensor(dtype, shape, decodeValues(dtype, ordered, count));
  return fortran ? fromFortran(tensor) : tensor;
}

/** The bytes of a .npy file. @throws DtypeError for dtypes NumPy does not have. */
export function writeNpy(tensor: Tensor): Uint8Array {
  const code = descriptors.find(([, dtype]) => dtype === tensor.dtype)?.[0];
  if (!code)
    throw new DtypeError(
      "writeNpy",
      { dtype: tensor.dtype },
      "NumPy has no such dtype",
      "Write a safetensors file, or dequantize first",
    );
  const order = code.endsWith("1") ? "|" : "<";
  const sizes = tensor.shape.length === 1 ? `${tensor.shape[0]!},` : tensor.shape.join(", ");
  const dictionary = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const padded = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10;
  const header = `${dictionary.padEnd(padded - 1)}\n`;
  const data = encodeValues(tensor.dtype, tensor.data);
  const out = new Uint8Array(10 + padded + data.length);
  for (let i = 0; i < 6; i++) out[i] = MAGIC.charCodeAt(i);
  out[6] = 1;
  new DataView(out.buffer).setUint16(8, padded, true);
  out.set(new TextEncoder().encode(header), 10);
  out.set(data, 10 + padded);
  return out;
}

/** Reads every array of a .npz file. @throws FileFormatError */
export function readNpz(bytes: Uint8Array): Map<string, Tensor> {
  let files: Record<string, Uint8Array>;
  try {
    files = unzipSync(bytes, {
      filter({ name, size, originalSize }) {
        if (size > bytes.length || originalSize > size * DEFLATE_LIMIT + 64) {
          throw new FileFormatError(
            "npz",
            { member: name, packed: size, declared: originalSize },
            "a member declares more than its bytes can hold",
          );
        }
        return name.endsWith(".npy");
      },
    });
  } catch (cause) {
    if (cause instanceof FileFormatError) throw cause;
    throw new FileFormatError(
      "npz",
      { bytes: bytes.length, reason: cause instanceof Error ? cause.message : "" },
      "the file is not a whole zip archive",
    );
  }
  return new Map(Object.entries(files).map(([name, content]) => [name.slice(0, -".npy".length), readNpy(content)]));
}

/** The bytes of a .npz file, uncompressed as numpy.savez writes it unless `compress` is set. */
export function writeNpz(tensors: Iterable<readonly [string, Tensor]>, { compress = false } = {}): Uint8Array {
  const files = Object.fromEntries([...tensors].map(([name, tensor]) => [`${name}.npy`, writeNpy(tensor)]));
  return zipSync(files, { level: compress ? 6 : 0 });
}
