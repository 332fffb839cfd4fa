/**
 * Every operator's gradient, and the gradient of that, by central differences; and the proof that no operator
 * was left out: all are in the table of samples, or say why they have no gradient.
 */

import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import "../../src/ops/methods.ts";
import { allOps } from "../../src/ops/op.ts";
import { checkFirst, checkSecond } from "./gradient-check.ts";
import { samples } from "./samples/index.ts";
import type { Sample } from "./samples/sample.ts";

const sampled = Object.entries(samples).filter((entry): entry is [string, readonly Sample[]] =>
  Array.isArray(entry[1]),
);

/** Operators whose rules the second check of an operator's samples applied. */
const reached = new Map<string, ReadonlySet<string>>();

/** Loads every file of src/ops, so that no operator escapes because nothing imports it. */
async function loadAllOperators(): Promise<void> {
  const folder = new URL("../../src/ops/", import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  await Promise.all(files.map((name) => import(new URL(name, folder).href)));
}

describe.each(sampled)("%s", (name, cases) => {
  it.each(cases.map((one, i) => [i, one] as const))("sample %i", (_, { f, inputs, firstOnly }) => {
    const first = checkFirst(f, inputs);
    expect(first.failure).toBeNull();
    expect([...first.ops], "the sample does not use the operator").toContain(name);
    if (firstOnly !== undefined) return;
    const second = checkSecond(f, inputs);
    expect(second.failure, "gradient of the gradient").toBeNull();
    reached.set(name, new Set([...(reached.get(name) ?? []), ...second.ops]));
  });
});

describe("the table of samples", () => {
  beforeAll(loadAllOperators);

  it("has an entry for every operator with a gradient, and for no other", () => {
    const differentiable = allOps().filter(({ backward }) => typeof backward !== "string");
    expect(Object.keys(samples).sort()).toEqual(differentiable.map(({ name }) => name).sort());
  });

  it("has a reason for every operator without one", () => {
    for (const { name, backward } of allOps()) {
      if (typeof backward === "string") expect(backward.length, name).toBeGreaterThan(10);
    }
  });

  it("reaches every gradient operator through the operator it belongs to", () => {
    for (const [name, entry] of Object.entries(samples)) {
      if ("gradientOf" in entry) expect([...(reached.get(entry.gradientOf) ?? [])], name).toContain(name);
    }
  });
});
