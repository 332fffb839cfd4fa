/**
 * Which key of a float model belongs to a key of the quantized one. Source: _find_match, torch/ao/ns/_numeric_suite.py.
 */

function without(key: string, parts: number): string {
  return key.split(".").slice(0, -parts).join("");
}

/** The first of `keys` that is of the same module, or of a module directly below it (a fused one's part). */
function inModule(keys: readonly string[], module: string): string | null {
  return keys.find((key) => without(key, 1) === module || without(key, 2) === module) ?? null;
}

/** The float key for a quantized `key` that ends in `postfix`; null when there is none. */
export function findMatch(floatKeys: readonly string[], key: string, postfix: string): string | null {
  if (key.split(".").at(-1) !== postfix) return null;
  const found = inModule(floatKeys, without(key, 1));
  if (found !== null || postfix !== "_packed_params") return found;
  const owner = without(key, 2);
  return owner === "" ? null : inModule(floatKeys, owner);
}
