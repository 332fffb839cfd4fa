/**
 * A module tree as text, as PyTorch shows it: one line a module, with its plain settings.
 *
 *   Net(
 *     (conv): Conv2d(inChannels=3, outChannels=8, kernelSize=[3,3], ...)
 *   )
 */

import type { AnyModule } from "./module.ts";

const hidden: ReadonlySet<string> = new Set(["training", "path", "qconfig"]);

function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((item) => typeof item === "number");
  return typeof value === "number" || typeof value === "string" || typeof value === "boolean";
}

/** The module's own numbers, strings and lists of numbers. */
function settings(module: AnyModule): string {
  return Object.entries(module)
    .filter(([name, value]) => !hidden.has(name) && isPlain(value))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(", ");
}

/** `module` and everything below it. A module used in several places is shown in each. */
export function printModule(module: AnyModule): string {
  const head = `${module.constructor.name}(`;
  const own = settings(module);
  const children = module.namedChildren();
  if (children.length === 0) return `${head}${own})`;
  const lines = children.map(([name, child]) => `(${name}): ${printModule(child)}`);
  return [head + own, ...lines.map((line) => line.replace(/^/gm, "  ")), ")"].join("\n");
}
