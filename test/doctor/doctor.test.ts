/** doctor names the mistake, the module and the line of every broken model, and is silent on correct ones. */

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { doctor, doctorExitCode, findingsText } from "../../src/doctor/index.ts";
import { zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { cases } from "./broken/index.ts";
import type { Case } from "./broken/good.ts";
import { correct } from "./correct-models.ts";

const folder = path.join(import.meta.dirname, "broken");
const files = [...readdirSync(folder).map((name) => path.join(folder, name)), import.meta.filename];
const sources = files.map((file) => ({ name: path.basename(file), lines: readFileSync(file, "utf8").split("\n") }));

/** `file:line` of the one line a case marks. @throws Error when it marks none or several. */
function markedLine({ name, line }: Case): string {
  const isMarked = (text: string): boolean =>
    line === undefined ? text.endsWith(`// HERE: ${name}`) : text.trim() === line;
  const marked = sources.flatMap((file) =>
    file.lines.flatMap((text, i) => (isMarked(text) ? [`${file.name}:${i + 1}`] : [])),
  );
  if (marked.length === 1) return marked[0]!;
  throw new Error(`${name} marks ${marked.length} lines: ${marked.join(", ")}`);
}

function inputsOf({ shape = [2, 4, 6, 6], inputs = 1 }: Case): Tensor[] {
  return Array.from({ length: inputs }, () => zeros(shape));
}

describe("doctor", () => {
  test("has at least 40 broken models to name", () => {
    expect(cases.length).toBeGreaterThanOrEqual(40);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  test.each(cases.map((one) => [one.name, one] as const))("names %s", (_name, one) => {
    const model = one.model();
    const findings = doctor(model, inputsOf(one), one.options?.());
    const named = findings.filter(({ code, path: at }) => code === one.code && at === one.path);
    expect(
      named.map(({ location }) => location),
      `${one.code} ${one.path} among\n${findingsText(findings)}`,
    ).toContain(markedLine(one));
    for (const { cause, fix, location } of findings) {
      expect(cause).not.toBe("");
      expect(fix).not.toBe("");
      expect(location).toMatch(/^[\w.-]+\.ts:\d+$/);
    }
    // One mistake is one finding: what it spoils further on is not listed. Parts that cases leave out are unused.
    const others = new Set(findings.map(({ code }) => code).filter((code) => code !== one.code));
    others.delete("never-called");
    expect([...others].sort()).toEqual([...(one.also ?? [])].sort());
    expect(doctorExitCode(findings)).toBe(1);
  });

  test("has at least 20 correct models to be silent on", () => {
    expect(correct.length).toBeGreaterThanOrEqual(20);
  });

  test.each(correct.map((one) => [one[0], one] as const))("finds nothing in %s", (_name, [, model, shape, options]) => {
    const findings = doctor(model(), [zeros(shape)], options?.());
    expect(findingsText(findings)).toBe("no mistakes found");
    expect(doctorExitCode(findings)).toBe(0);
  });
});
