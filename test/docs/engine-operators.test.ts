/** docs/engine-operators.md is what tools/engine-operators.ts writes today. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PAGE, engineRows, enginePage } from "../../tools/engine-operators.ts";

/** Formatting of tables is prettier's. */
const words = (text: string): string => text.replace(/[ \t]+/g, " ").replace(/-{3,}/g, "---");

test("the page is current", () => {
  expect(words(readFileSync(PAGE, "utf8"))).toBe(words(enginePage()));
});

test("a training step has every kernel a compiled graph has", () => {
  expect(engineRows().filter(({ inference, training }) => inference && !training)).toEqual([]);
});
