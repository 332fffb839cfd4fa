/**
 * Writing files whole or not at all: into temporary files beside them, to the disk, then renamed (Node only).
 *
 * Whatever happens on the way (no space, a kill), a name holds the old file or the new one, never a part. Files that
 * belong together are renamed one right after the other, once all are on the disk: a kill between two renames leaves the
 * first ones new and the last ones old. Where that would be a wrong pair, the first must have names nothing refers to yet.
 */

import type * as fsModule from "node:fs";
import type * as pathModule from "node:path";
import { DataError } from "../errors.ts";
import { builtin } from "./node.ts";

const fileSystem = (): typeof fsModule => builtin("node:fs");
const paths = (): typeof pathModule => builtin("node:path");

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

/** What the system refused as a sentence; any other error is the maker's of the bytes, and goes on as it is. */
function sentence(file: string, cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === undefined) return cause;
  const why = reasons[code] ?? (cause as Error).message;
  return new DataError(file, { code }, `the file could not be written: ${why}`, "Nothing was left behind");
}

/** The folder's entry reaches the disk too; not every system lets a folder be opened. */
function syncFolder(folder: string): void {
  const fs = fileSystem();
  try {
    const descriptor = fs.openSync(folder, "r");
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  } catch {
    // The file itself is safe; only its name might be lost in a power cut.
  }
}

/** @throws DataError when something is in the way and must not be replaced, or the folder is missing. */
export function checkWritable(file: string, { force = false } = {}): void {
  const [fs, path] = [fileSystem(), paths()];
  const folder = path.dirname(path.resolve(file));
  if (!fs.existsSync(folder)) throw new DataError(file, { folder }, "there is no such folder");
  if (!fs.existsSync(file)) return;
  if (fs.statSync(file).isDirectory()) throw new DataError(file, {}, "it is a folder, not a file to write");
  if (!force) throw new DataError(file, {}, "the file exists already", "Use --force to replace it");
}

/** A file while it is written, under a name that nothing looks for. */
class Part {
  readonly file: string;
  readonly temporary: string;
  /** Whether something had the name before. */
  private readonly replaces: boolean;
  private descriptor: number | null;
  private renamed = false;

  constructor(file: string) {
    const [fs, path] = [fileSystem(), paths()];
    const found = fs.statSync(file, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR" });
    this.replaces = found !== undefined;
    this.file = file;
    this.temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.part`);
    this.descriptor = fs.openSync(this.temporary, "w");
  }

  append(bytes: Uint8Array): void {
    const fs = fileSystem();
    let done = 0;
    while (done < bytes.length) done += fs.writeSync(this.descriptor!, bytes, done, bytes.length - done);
  }

  close(sync: boolean): void {
    if (this.descriptor === null) return;
    const descriptor = this.descriptor;
    this.descriptor = null;
    try {
      if (sync) fileSystem().fsyncSync(descriptor);
    } finally {
      fileSystem().closeSync(descriptor);
    }
  }

  rename(): void {
    fileSystem().renameSync(this.temporary, this.file);
    this.renamed = true;
  }

  /** Takes back what was done; what a rename has replaced cannot come back, so the new file stays then. */
  discard(): void {
    const fs = fileSystem();
    if (this.renamed && !this.replaces) fs.rmSync(this.file, { force: true });
    try {
      this.close(false);
    } finally {
      fs.rmSync(this.temporary, { force: true });
    }
  }
}

export interface WriteFileOptions {
  /** Waits until the bytes are on the disk, so that a power cut cannot lose them. Default true. */
  readonly sync?: boolean;
}

/** Adds bytes to the end of a file that is being written. */
export type Append = (bytes: Uint8Array) => void;

/**
 * Writes files that belong together: all are there in the end, or none is.
 * @param write gets a function for each file, in their order, that adds bytes to it.
 * @throws DataError with one sentence when the system refuses, and what `write` throws; nothing is left behind then.
 */
export function writeTogether(
  files: readonly string[],
  write: (appends: readonly Append[]) => void,
  { sync = true }: WriteFileOptions = {},
): void {
  const parts: Part[] = [];
  let current = files[0]!;
  try {
    for (current of files) parts.push(new Part(current));
    current = files[0]!;
    write(
      parts.map((part) => (bytes) => {
        current = part.file;
        part.append(bytes);
      }),
    );
    for (const part of parts) part.close(sync);
    for (const part of parts) {
      current = part.file;
      part.rename();
      if (sync) syncFolder(paths().dirname(paths().resolve(current)));
    }
  } catch (cause) {
    for (const part of parts) part.discard();
    throw sentence(current, cause);
  }
}

/**
 * Writes chunks to a file, whole or not at all.
 * @throws DataError with one sentence when that fails; then nothing is left behind.
 */
export function writeWhole(
  file: string,
  chunks: Uint8Array | Iterable<Uint8Array>,
  options: WriteFileOptions = {},
): void {
  writeTogether(
    [file],
    ([append]) => {
      for (const chunk of chunks instanceof Uint8Array ? [chunks] : chunks) append!(chunk);
    },
    options,
  );
}
