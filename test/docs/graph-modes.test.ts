/** docs/fx.md, docs/pt2e.md, docs/onnx.md: the code shown is the example's, and what it is said to print is what it prints. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

test.each([
  ["docs/fx.md", "examples/fx-flow.ts"],
  ["docs/pt2e.md", "examples/pt2e-flow.ts"],
  ["docs/onnx.md", "examples/onnx-out.ts"],
])("%s shows %s", (page, example) => {
  const text = read(page);
  const [, code] = /```ts\n([^`]*(?:`[^`]+`[^`]*)*?)```\n/s.exec(text)!;
  const source = read(example);
  expect(code!.trim()).toBe(source.slice(source.indexOf("import")).trim());
  const [, printed] = /```\n\n```\n(.*?)```/s.exec(text)!;
  const output = execFileSync(process.execPath, ["--conditions=fewbit-source", path.join(root, example)], {
    cwd: root,
    encoding: "utf8",
  });
  const lines = (given: string): string[] =>
    given
      .trim()
      .split("\n")
      .map((line) => line.trimEnd());
  expect(lines(output)).toEqual(lines(printed!));
});

test("the Quantizer of docs/writing-a-quantizer.md is written in under 80 lines and runs", () => {
  const source = read("examples/custom-quantizer.ts");
  const from = source.indexOf("class PebbleQuantizer");
  const end = source.indexOf("\n}\n", from);
  const code = source
    .slice(0, end)
    .split("\n")
    .filter((line) => !/^\s*(\/\/|\/?\*|import |\} from|$)/.test(line));
  expect(from).toBeGreaterThan(0);
  expect(code.length).toBeLessThan(80);
  const output = execFileSync(
    process.execPath,
    ["--conditions=fewbit-source", path.join(root, "examples/custom-quantizer.ts")],
    { cwd: root, encoding: "utf8" },
  );
  expect(output.length).toBeGreaterThan(0);
});
