import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import type { Kernel } from "../../src/kernels/kernel.ts";

const folder = new URL("../../src/kernels/", import.meta.url);

async function rows(): Promise<Kernel[]> {
  const families = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith("list.ts"),
  );
  const modules = await Promise.all(families.map((path) => import(new URL(path, folder).href) as Promise<object>));
  return modules.flatMap((module) => Object.values(module).filter(Array.isArray).flat() as Kernel[]);
}

describe("the lists and the exports are the same set", () => {
  test("simd build: everything listed for it, and nothing that is not listed", async () => {
    const all = await rows();
    const names = all.map(({ name }) => name);
    const exported = Object.keys(new Engine({ build: "simd" }).kernels).filter((name) => name !== "memory");
    // Sources are the same, so kernels of the relaxed build may be there too; nobody chooses them.
    expect(exported.filter((name) => !names.includes(name))).toEqual([]);
    expect(all.filter(({ name, isa }) => isa === "simd128" && !exported.includes(name))).toEqual([]);
  });

  test.runIf(hasRelaxedSimd())("relaxed build", async () => {
    const listed = (await rows()).map(({ name }) => name).sort();
    const exported = Object.keys(new Engine({ build: "relaxed" }).kernels).filter((name) => name !== "memory");
    expect(exported.sort()).toEqual(listed);
  });
});
