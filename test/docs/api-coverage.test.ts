/** docs/api-coverage.md is what tools/api-coverage.ts writes today, and no name lacks both a counterpart and a reason. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PAGE, coverage, coveragePage } from "../../tools/api-coverage.ts";
import { never } from "../../tools/api-coverage-reasons.ts";

/** Not built; the page says so. Take a name out when it is. */
const MISSING = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Float8FakeQuantizeConfig", "Int4WeightFakeQuantizeConfig"]; // prettier-ignore

/** Formatting of tables is prettier's. */
const words = (text: string): string => text.replace(/[ \t]+/g, " ").replace(/-{3,}/g, "---");

test("the page is current", () => {
  expect(words(readFileSync(PAGE, "utf8"))).toBe(words(coveragePage()));
});

test("every name is done, or has a reason, or is known to be missing", () => {
  const rows = [...coverage().values()].flat();
  expect(rows.filter(({ status }) => status === "missing").map(({ name }) => name)).toEqual(MISSING);
  const names = new Set(rows.filter(({ status }) => status === "never").map(({ name }) => name));
  expect(Object.keys(never).filter((name) => !names.has(name))).toEqual([]);
});
