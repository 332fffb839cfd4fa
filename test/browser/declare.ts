/** Declares every case of suites that ran elsewhere (a page, another Node) as a case here, so that a failure names it. */

import { describe, expect, test } from "vitest";
import type { SuiteResult } from "./support.ts";

export function declareSuites(runs: readonly SuiteResult[]): void {
  describe.each(runs.map((run) => [run.file, run] as const))("%s", (_, { results, error }) => {
    test("loads and has cases", () => {
      expect(error).toBe("");
      expect(results.length).toBeGreaterThan(0);
    });
    for (const { name, status, error: reason } of results) {
      test.skipIf(status === "skipped")(name, () => {
        if (status === "failed") throw new Error(reason);
      });
    }
  });
}
