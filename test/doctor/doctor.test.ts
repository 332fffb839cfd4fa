/** doctor names the mistake, the module and the line of every broken model. */

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { doctor, doctorExitCode, findingsText } from "../../src/doctor/index.ts";
import { zeros } from "../../src/tensor/create.ts";
import { cases } from "./broken-models.ts";
import { correct } from "./correct-models.ts";

const FILE = "broken-models.ts";
const source = readFileSync(path.join(import.meta.dirname, FILE), "utf8").split("\n");

/** The line a location names. */
function lineAt(location: string): string {
  const [file, line] = location.split(":");
  return file === FILE ? source[Number(line) - 1]! : "";
}

describe("doctor", () => {
  test("has at least 40 broken models to name", () => {
    expect(cases.length).toBeGreaterThanOrEqual(40);
  });

  test.each(cases.map((one) => [one.name, one] as const))("names %s", (_name, one) => {
    const model = one.model();
    const findings = doctor(model, [zeros(one.shape ?? [2, 4, 6, 6])], one.options);
    const found = findings.find(({ code, path: at }) => code === one.code && at === one.path);
    expect(found, `${one.code} ${one.path} among\n${findingsText(findings)}`).toBeDefined();
    const start = model.constructor.toString();
    if (start.includes("// HERE")) expect(lineAt(found!.location), found!.location).toContain("// HERE");
    expect(found!.cause).not.toBe("");
    expect(found!.fix).not.toBe("");
    expect(doctorExitCode(findings)).toBe(1);
  });

  test("has at least 20 correct models to be silent on", () => {
    expect(correct.length).toBeGreaterThanOrEqual(20);
  });

  test.each(correct)("finds nothing in %s", (_name, model, shape) => {
    const findings = doctor(model(), [zeros(shape)]);
    expect(findingsText(findings)).toBe("no mistakes found");
    expect(doctorExitCode(findings)).toBe(0);
  });
});
