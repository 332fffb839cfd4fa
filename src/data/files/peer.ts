/** Optional packages: loaded when they are first needed, with a sentence when they are not there. */

import { DependencyError } from "../../errors.ts";

/**
 * The module of an optional package.
 * @param purpose what it is needed for, "reading image folders".
 * @throws DependencyError when it is not installed, or is and does not load here.
 */
export async function importPeer<T>(name: string, purpose: string): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (cause) {
    const { code, message } = cause as { code?: string; message?: string };
    const missing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
    throw new DependencyError(
      name,
      missing ? {} : { reason: message?.split("\n")[0] },
      missing ? `${purpose} needs this package, which is not installed` : `${purpose} needs this package, which does not load here`,
      `Run: npm install ${name}`,
    );
  }
}
