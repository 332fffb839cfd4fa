/**
 * Bundlers leave out modules that package.json does not name as having effects. Operators register themselves when
 * their module is loaded, so every module that does, or that is imported for what it does, must be named.
 */

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");
const { sideEffects } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as { sideEffects: string[] };

const isNamed = (file: string): boolean => sideEffects.some((pattern) => path.matchesGlob(file, pattern));
const built = (file: string): string => file.replace(/^\.\/src\//, "./dist/").replace(/\.ts$/, ".js");

const sources = readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".as.ts"))
  .map((file) => `./src/${file.replaceAll(path.sep, "/")}`);

/** Modules that register operators, and modules that import one for its effect alone. */
const effective = sources.filter((file) => {
  const text = readFileSync(path.join(root, file), "utf8");
  return /^import "\./m.test(text) || /^(export )?(const \w+ = )?defineOp\b/m.test(text);
});

test("there are such modules", () => {
  expect(effective.length).toBeGreaterThan(30);
});

test.each(effective)("%s has its effects named, as source and built", (file) => {
  expect(isNamed(file)).toBe(true);
  expect(isNamed(built(file))).toBe(true);
});
