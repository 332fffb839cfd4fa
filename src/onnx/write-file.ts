/** Files that are written whole or not at all: under another name first, then renamed (Node only). */

import type * as fsModule from "node:fs";
import { OnnxError } from "../errors.ts";
import { builtin } from "./external.ts";

/** @throws OnnxError when the file cannot be written; nothing is left behind then. */
export function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const fs = builtin<typeof fsModule>("node:fs");
  const part = `${path}.${process.pid}.part`;
  try {
    fs.writeFileSync(part, bytes);
    fs.renameSync(part, path);
  } catch (cause) {
    fs.rmSync(part, { force: true });
    const reason = cause instanceof Error ? cause.message : String(cause);
    return Promise.reject(new OnnxError("write", { path, reason }, "the file could not be written; nothing was kept"));
  }
  return Promise.resolve();
}
