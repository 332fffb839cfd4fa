/** The lists of the integer families name exactly what their sources export, and the engine has all of it. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import { qdepthwise } from "../../src/kernels/qdepthwise/list.ts";
import { qelementwise } from "../../src/kernels/qelementwise/list.ts";
import { qgemm } from "../../src/kernels/qgemm/list.ts";
import { qlut } from "../../src/kernels/qlut/list.ts";
import { qnorm } from "../../src/kernels/qnorm/list.ts";
import { qpool } from "../../src/kernels/qpool/list.ts";
import { quantize } from "../../src/kernels/quantize/list.ts";
import { wonly } from "../../src/kernels/wonly/list.ts";

const families: { readonly [folder: string]: readonly { readonly name: string }[] } = {
  qgemm,
  quantize,
  qlut,
  qelementwise,
  qdepthwise,
  qpool,
  qnorm,
  wonly,
};
const root = new URL("../../src/kernels/", import.meta.url);

/** Functions that a family exports to the module, not those its own files inline. */
function exportsOf(folder: string): string[] {
  const sources = readdirSync(new URL(`${folder}/`, root)).filter((name) => name.endsWith(".as.ts"));
  return sources.flatMap((name) => {
    const text = readFileSync(new URL(`${folder}/${name}`, root), "utf8");
    return [...text.matchAll(/(?<!@inline\n)^export function (\w+)/gm)].map((match) => match[1] ?? "");
  });
}

describe.each(Object.entries(families))("%s", (folder, rows) => {
  const names = rows.map((row) => row.name);

  it("has a row for every exported function and the reverse", () => {
    expect([...names].sort()).toEqual(exportsOf(folder).sort());
  });

  it.each(hasRelaxedSimd() ? (["simd", "relaxed"] as const) : (["simd"] as const))("is in the %s build", (build) => {
    expect(Object.keys(new Engine({ build }).kernels)).toEqual(expect.arrayContaining(names));
  });
});
