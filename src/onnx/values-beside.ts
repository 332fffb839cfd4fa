/**
 * Models above the 2 GB that a protobuf message can hold keep their values in a file beside them, written one tensor
 * after the other: only one at a time is in memory.
 */

import type * as pathModule from "node:path";
import { builtin } from "../files/node.ts";
import { writeTogether } from "../files/write.ts";
import type { Append } from "../files/write.ts";
import { encodeValues } from "../tensor/wire.ts";
import { createMessage, encodeMessage } from "./schema.ts";
import type { ExportedModel } from "./export.ts";

/** Tensors of fewer bytes stay in the model's own file: shapes and scales are read while it is imported. */
const SMALLEST_OUTSIDE = 1024;
/** Where values may start, so that runtimes can map the file into memory. */
const ALIGNMENT = 64;

/** Values one after the other, each from an aligned place on; notes in the model where they are. */
function writeValues({ tensors }: ExportedModel, append: Append, location: string): void {
  let end = 0;
  for (const { proto, tensor } of tensors) {
    const bytes = encodeValues(tensor.dtype, tensor.data);
    if (bytes.length < SMALLEST_OUTSIDE) {
      proto.rawData = bytes;
      continue;
    }
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    append(new Uint8Array(offset - end));
    append(bytes);
    const entries = { location, offset: String(offset), length: String(bytes.length) };
    proto.externalData = Object.entries(entries).map(([key, value]) =>
      createMessage("StringStringEntryProto", { key, value }),
    );
    proto.dataLocation = 1;
    end = offset + bytes.length;
  }
}

/** Name of the file with a model's values. */
export const valuesFile = (path: string): string => `${path}.data`;

/**
 * Writes a model with its values in `<path>.data` beside it; gives both names.
 * @throws DataError; nothing is left behind then.
 */
export function writeWithValuesBeside(path: string, exported: ExportedModel): string[] {
  const beside = valuesFile(path);
  writeTogether([beside, path], ([values, model]) => {
    writeValues(exported, values!, builtin<typeof pathModule>("node:path").basename(beside));
    model!(encodeMessage("ModelProto", exported.model));
  });
  return [path, beside];
}
