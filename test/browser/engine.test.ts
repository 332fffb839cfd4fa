/**
 * The engine's and the compiler's own suites, run in pages of Chromium: with threads and without, with relaxed SIMD and
 * without. Every case of a page is a case here, so that a failure names it.
 */

import { describe, expect, test } from "vitest";
import { portableSuites } from "./bundle.ts";
import { declareSuites } from "./declare.ts";
import { browserPath, runScript, runSuites } from "./support.ts";
import type { PageMode, SuiteResult } from "./support.ts";

/** Starting a browser takes seconds on a busy machine. */
const TIMEOUT_MS = 60_000;

const modes: readonly PageMode[] = [
  { isolated: true, relaxedSimd: true },
  { isolated: false, relaxedSimd: true },
  { isolated: true, relaxedSimd: false },
];
const files = ["kernels", "engine", "compile"].flatMap(portableSuites);
const hasBrowser = browserPath !== undefined;
// Pages run while tests are collected: only then is known which cases there are.
const runs: (readonly [PageMode, SuiteResult[]])[] = [];
if (hasBrowser) for (const mode of modes) runs.push([mode, await runSuites(files, mode)]);

test("there are suites to run", () => {
  expect(files.length).toBeGreaterThan(20);
});

describe.skipIf(!hasBrowser)("in Chromium (skipped where no browser is installed)", () => {
  test.each(modes)("threads and builds of a page: %j", { timeout: TIMEOUT_MS }, async (mode) => {
    expect(await runScript("browser/engine-page.ts", mode)).toMatchObject({
      relaxed: mode.relaxedSimd,
      threads: mode.isolated ? 2 : 1,
      workers: mode.isolated ? 1 : 0,
      simdIsReference: true,
      threadsAreSame: true,
    });
  });

  describe.each(runs)("%j", (_, suites) => declareSuites(suites));
});
