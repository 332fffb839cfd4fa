/**
 * The engine's and the compiler's suites on stock Node 20, which has no relaxed SIMD: the oldest host the package
 * names. Skipped where no Node 20 is installed (the environment variable NODE20 may hold its path).
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { bundleSuite, portableSuites } from "../browser/bundle.ts";
import { declareSuites } from "../browser/declare.ts";
import type { SuiteResult } from "../browser/support.ts";
import type { PageResult } from "../browser/page-vitest.ts";

const OLDEST_MAJOR = 20;
const PATHS = [process.env["NODE20"], "/usr/bin/node", "/usr/local/bin/node"];

function isOldest(file: string | undefined): boolean {
  if (!file) return false;
  const { stdout } = spawnSync(file, ["--version"], { encoding: "utf8" });
  return stdout?.startsWith(`v${OLDEST_MAJOR}.`) ?? false;
}

const node = PATHS.find(isOldest);
const folder = mkdtempSync(path.join(tmpdir(), "fewbit-node20-"));
const files = ["kernels", "engine", "compile"].flatMap(portableSuites);

/** Runs a suite in a process of that Node. Results go through a line of its output. */
async function run(file: string): Promise<SuiteResult> {
  const script = path.join(folder, `${file.replaceAll(/\W/g, "-")}.mjs`);
  writeFileSync(script, `${await bundleSuite(file)}\nconsole.log("RESULT" + JSON.stringify(await globalThis.result));`);
  const { stdout, stderr } = spawnSync(node!, [script], { encoding: "utf8", maxBuffer: 1e8 });
  const line = /^RESULT(.*)$/m.exec(stdout)?.[1];
  return { file, results: line ? (JSON.parse(line) as PageResult[]) : [], error: line ? "" : stderr };
}

// Suites run while tests are collected: only then is known which cases there are.
const runs: SuiteResult[] = [];
if (node) for (const file of files) runs.push(await run(file));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!node)("on stock Node 20 (skipped where it is not installed)", () => {
  test("there are suites to run", () => expect(files.length).toBeGreaterThan(20));

  declareSuites(runs);
});
