/**
 * Models above the 2 GB that a protobuf message can hold keep their values in a file beside them, written one tensor
 * after the other: only one at a time is in memory.
 */

import type * as fsModule from "node:fs";
import type * as pathModule from "node:path";
import { builtin } from "../files/node.ts";
import { writeTogether } from "../files/write.ts";
import type { Append } from "../files/write.ts";
import { encodeValues } from "../tensor/wire.ts";
import { createMessage, encodeMessage } from "./schema.ts";
import type { ExportedModel } from "./export.ts";

const paths = (): typeof pathModule => builtin("node:path");

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

/** Files beside a model that hold, or held, its values: `<path>.data`, `<path>.2.data`, ... */
function valuesFiles(path: string): ReadonlySet<string> {
  const fs = builtin<typeof fsModule>("node:fs");
  const folder = paths().dirname(path);
  const stem = `${paths().basename(path)}.`;
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const ours = names.filter((name) => name.startsWith(stem) && /^(\d+\.)?data$/.test(name.slice(stem.length)));
  return new Set(ours.map((name) => paths().join(folder, name)));
}

/** The first name that is not taken: what a model that is replaced refers to stays as it is until the new one is whole. */
function freeValuesFile(path: string, taken: ReadonlySet<string>): string {
  const folder = paths().dirname(path);
  for (let i = 1; ; i++) {
    const name = paths().join(folder, `${paths().basename(path)}${i === 1 ? "" : `.${i}`}.data`);
    if (!taken.has(name)) return name;
  }
}

/**
 * Writes a model with its values in a file beside it, `<path>.data` or the next name that is free; gives both names.
 * Values of the model that it replaces are removed in the end, so at no moment a model refers to another's values.
 * @throws DataError; nothing is left behind then.
 */
export function writeWithValuesBeside(path: string, exported: ExportedModel): string[] {
  const before = valuesFiles(path);
  const beside = freeValuesFile(path, before);
  writeTogether([beside, path], ([values, model]) => {
    writeValues(exported, values!, paths().basename(beside));
    model!(encodeMessage("ModelProto", exported.model));
  });
  for (const old of before) builtin<typeof fsModule>("node:fs").rmSync(old, { force: true });
  return [path, beside];
}
