/**
 * Files that are written whole or not at all: under another name first, then renamed (Node only). Models above the
 * 2 GB that a protobuf message can hold keep their values in a file beside them, written one tensor after the other.
 */

import type * as fsModule from "node:fs";
import type * as pathModule from "node:path";
import { OnnxError } from "../errors.ts";
import { encodeValues } from "../tensor/wire.ts";
import { builtin } from "./external.ts";
import { createMessage, encodeMessage } from "./schema.ts";
import type { ExportedModel } from "./export.ts";

/** Tensors of fewer bytes stay in the model's own file: shapes and scales are read while it is imported. */
const SMALLEST_OUTSIDE = 1024;
/** Where values may start, so that runtimes can map the file into memory. */
const ALIGNMENT = 64;

/** Writes files by `write(part)`, which gets a path to write to for each; all are kept, or none. */
function writeAll(paths: readonly string[], write: (parts: readonly string[]) => void): void {
  const fs = builtin<typeof fsModule>("node:fs");
  const parts = paths.map((path) => `${path}.${process.pid}.part`);
  try {
    write(parts);
    parts.forEach((part, i) => fs.renameSync(part, paths[i]!));
  } catch (cause) {
    for (const part of parts) fs.rmSync(part, { force: true });
    if (cause instanceof OnnxError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OnnxError("write", { path: paths[0], reason }, "the file could not be written; nothing was kept");
  }
}

/** @throws OnnxError when the file cannot be written; nothing is left behind then. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  writeAll([path], ([part]) => builtin<typeof fsModule>("node:fs").writeFileSync(part!, bytes));
}

/** Values one after the other, each from an aligned place on; notes in the model where they are. */
function writeValues({ tensors }: ExportedModel, part: string, location: string): void {
  const fs = builtin<typeof fsModule>("node:fs");
  const file = fs.openSync(part, "w");
  let offset = 0;
  try {
    for (const { proto, tensor } of tensors) {
      const bytes = encodeValues(tensor.dtype, tensor.data);
      if (bytes.length < SMALLEST_OUTSIDE) {
        proto.rawData = bytes;
        continue;
      }
      offset = Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
      for (let done = 0; done < bytes.length;)
        done += fs.writeSync(file, bytes, done, bytes.length - done, offset + done);
      const entries = { location, offset: String(offset), length: String(bytes.length) };
      proto.externalData.push(
        ...Object.entries(entries).map(([key, value]) => createMessage("StringStringEntryProto", { key, value })),
      );
      proto.dataLocation = 1;
      offset += bytes.length;
    }
  } finally {
    fs.closeSync(file);
  }
}

/** Writes a model with its values in `<name>.data` beside it. @throws OnnxError; nothing is left behind then. */
export function writeWithValuesBeside(path: string, exported: ExportedModel): void {
  const fs = builtin<typeof fsModule>("node:fs");
  const location = `${builtin<typeof pathModule>("node:path").basename(path)}.data`;
  writeAll([`${path}.data`, path], ([values, model]) => {
    writeValues(exported, values!, location);
    fs.writeFileSync(model!, encodeMessage("ModelProto", exported.model));
  });
}
