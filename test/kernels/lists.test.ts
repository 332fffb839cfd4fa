import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import type { Kernel } from "../../src/kernels/kernel.ts";

const folder = new URL("../../src/kernels/", import.meta.url);

async function rows(): Promise<Kernel[]> {
  const families = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith("list.ts"));
  const modules = await Promise.all(families.map((path) => import(new URL(path, folder).href) as Promise<object>));
  return modules.flatMap((module) => Object.values(module).filter(Array.isArray).flat() as Kernel[]);
}

describe("the lists and the exports are the same set", () => {
  test("simd build", async () => {
    const listed = (await rows()).filter(({ isa }) => isa === "simd128").map(({ name }) => name);
    const exported = Object.keys(new Engine({ build: "simd" }).kernels).filter((name) => name !== "memory");
    expect(exported.filter((name) => !listed.includes(name) && !/relaxed/.test(name))).toEqual([]);
    expect(listed.filter((name) => !exported.includes(name))).toEqual([]);
  });

  test.runIf(hasRelaxedSimd())("relaxed build", async () => {
    const listed = (await rows()).map(({ name }) => name).sort();
    const exported = Object.keys(new Engine({ build: "relaxed" }).kernels).filter((name) => name !== "memory");
    expect(exported.sort()).toEqual(listed);
  });
});
