/**
 * Writing a file whole or not at all: into a temporary file beside it, to the disk, then renamed.
 *
 * Whatever happens on the way (no space, a kill), the name holds the old file or the new one, never a part.
 */

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import path from "node:path";
import { FileFormatError } from "../../errors.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EACCES: "the folder may not be written to",
  EPERM: "the folder may not be written to",
  EROFS: "the file system is read-only",
  ENOENT: "there is no such folder",
  ENOTDIR: "a part of the path is no folder",
  EISDIR: "it is a folder",
  ENAMETOOLONG: "the name is too long",
};

function sentence(file: string, cause: unknown): FileFormatError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = (code !== undefined ? reasons[code] : undefined) ?? message;
  return new FileFormatError(file, {}, `the file could not be written: ${why}`, "Nothing was left behind");
}

/** The folder's entry reaches the disk too; not every system lets a folder be opened. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // The file itself is safe; only its name might be lost in a power cut.
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(descriptor, bytes, done, bytes.length - done);
}

/** @throws FileFormatError when something is in the way and must not be replaced, or the folder is missing. */
export function checkWritable(file: string, { force = false } = {}): void {
  const folder = path.dirname(path.resolve(file));
  if (!existsSync(folder)) throw new FileFormatError(file, { folder }, "there is no such folder");
  if (!existsSync(file)) return;
  if (statSync(file).isDirectory()) throw new FileFormatError(file, {}, "it is a folder, not a file to write");
  if (!force) throw new FileFormatError(file, {}, "the file exists already", "Use --force to replace it");
}

/**
 * Writes chunks to a file, whole or not at all.
 * @throws FileFormatError with one sentence when that fails; then nothing is left behind.
 */
export function writeWhole(file: string, chunks: Uint8Array | Iterable<Uint8Array>, { sync = true } = {}): void {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.part`);
  try {
    const descriptor = openSync(temporary, "w");
    try {
      for (const chunk of chunks instanceof Uint8Array ? [chunks] : chunks) writeAll(descriptor, chunk);
      if (sync) fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
    if (sync) syncFolder(path.dirname(path.resolve(file)));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw sentence(file, cause);
  }
}
