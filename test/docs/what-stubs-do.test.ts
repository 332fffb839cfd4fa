/** docs/what-stubs-do.md shows what its example prints, line for line. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");

test("every line the example prints stands in the page, and the page shows no other", () => {
  const example = path.join(root, "examples/what-stubs-do.ts");
  const printed = execFileSync(process.execPath, ["--conditions=fewbit-source", example], {
    cwd: root,
    encoding: "utf8",
  });
  const page = readFileSync(path.join(root, "docs/what-stubs-do.md"), "utf8");
  const boxes = [...page.matchAll(/```\n([^`]*)```/g)].flatMap((match) => match[1]!.trim().split("\n"));
  expect(boxes.sort()).toEqual(printed.trim().split("\n").sort());
});
