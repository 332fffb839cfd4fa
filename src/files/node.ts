/**
 * Modules of Node, for code that also runs in browsers: looked up when they are needed, never imported.
 */

import { DataError } from "../errors.ts";

/** A module of Node such as `node:fs`. @throws DataError elsewhere. */
export function builtin<T>(name: string): T {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const found = process?.getBuiltinModule?.(name);
  if (found === undefined) throw new DataError("files", { module: name }, "paths can only be read and written in Node");
  return found as T;
}
