/**
 * External data: tensor values in files beside the model.
 *
 * A location is a plain relative path below the model's folder; anything that could lead elsewhere is refused.
 * Values are read when they are first used, a tensor at a time and never kept, so that a model larger than memory
 * can be walked through.
 */

import type * as fsModule from "node:fs";
import type * as pathModule from "node:path";
import { FileFormatError, OnnxError } from "../errors.ts";
import { builtin } from "../files/node.ts";
import type { DType } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { decodeValues, wireSize } from "../tensor/wire.ts";
import { DeferredTensor } from "./deferred-tensor.ts";

/** A file that parts are read from. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/** Finds a file by its location in the model. */
export type ExternalData = (location: string) => ByteSource;

/** A name for errors, and whether it stays inside the folder. */
function isInside(location: string): boolean {
  const parts = location.split(/[\\/]/);
  return location !== "" && !/^([\\/]|[A-Za-z]:)|\0/.test(location) && !parts.includes("..");
}

/** @throws OnnxError when a location is not a relative path without `..`. */
export function checkLocation(tensor: string, location: string): void {
  if (isInside(location)) return;
  throw new OnnxError("external data", { tensor, location }, "a location must stay in the folder of the model");
}

/** Files of a folder, for models read by path. @throws OnnxError for missing files and links that lead elsewhere. */
export function filesBeside(modelPath: string): ExternalData {
  const fs = builtin<typeof fsModule>("node:fs");
  const path = builtin<typeof pathModule>("node:path");
  const folder = fs.realpathSync(path.dirname(modelPath));
  return (location) => {
    const full = path.join(folder, location);
    if (!fs.existsSync(full))
      throw new OnnxError("external data", { location }, "the file with tensor values is missing");
    const real = fs.realpathSync(full);
    if (!real.startsWith(folder + path.sep))
      throw new OnnxError("external data", { location }, "a link leads out of the folder of the model");
    const status = fs.statSync(real);
    if (!status.isFile()) throw new OnnxError("external data", { location }, "the location is not a file");
    const { size } = status;
    return { size, read: (offset, length) => readPart(fs, real, offset, length) };
  };
}

function readPart(fs: typeof fsModule, path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = fs.openSync(path, "r");
  try {
    let done = 0;
    while (done < length) {
      const count = fs.readSync(file, bytes, done, length - done, offset + done);
      if (count === 0) throw new FileFormatError("external data", { path, offset, length }, "the file ends too early");
      done += count;
    }
  } finally {
    fs.closeSync(file);
  }
  return bytes;
}

/** The bytes of a file. @throws OnnxError when it is not there. */
export function readFile(modelPath: string): Uint8Array {
  const fs = builtin<typeof fsModule>("node:fs");
  if (!fs.existsSync(modelPath)) throw new OnnxError("importOnnx", { path: modelPath }, "there is no such file");
  try {
    return fs.readFileSync(modelPath);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OnnxError("importOnnx", { path: modelPath, reason }, "the file cannot be read");
  }
}

export interface ExternalSlice {
  readonly name: string;
  readonly location: string;
  readonly offset: number;
  /** Bytes, or null for "as many as the shape needs". */
  readonly length: number | null;
}

/** A tensor over a part of a file. @throws FileFormatError when the part does not hold exactly the values. */
export function externalTensor(dtype: DType, shape: Shape, slice: ExternalSlice, files: ExternalData): Tensor {
  checkLocation(slice.name, slice.location);
  const source = files(slice.location);
  const needed = wireSize(dtype, numel(shape));
  const length = slice.length ?? needed;
  const fields = {
    tensor: slice.name,
    location: slice.location,
    dtype,
    shape,
    offset: slice.offset,
    length,
    fileSize: source.size,
  };
  if (length !== needed) throw new FileFormatError("external data", fields, "the length must be that of the values");
  if (!(slice.offset >= 0) || slice.offset + length > source.size)
    throw new FileFormatError("external data", fields, "the values lie beyond the end of the file");
  return new DeferredTensor(dtype, shape, () => decodeValues(dtype, source.read(slice.offset, length), numel(shape)));
}
