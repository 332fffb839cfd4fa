/** docs/performance.md is what the generator makes of the stored results, and the bars name cases that exist. No timing here. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { judge } from "../../bench/bars.ts";
import { cases } from "../../bench/cases.ts";
import { DOC_FILE, RESULTS_FILE, formattedPage, performancePage } from "../../bench/doc.ts";
import type { CaseResult, Results } from "../../bench/lib/results.ts";
import { median } from "../../bench/lib/timing.ts";

const stored = JSON.parse(readFileSync(RESULTS_FILE, "utf8")) as Results;

test("the page is the generator's", async () => {
  expect(readFileSync(DOC_FILE, "utf8")).toBe(await formattedPage(stored));
});

test("names of cases are unique", () => {
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});

test("every bar was measured", () => {
  expect(judge(stored).flatMap(({ work, isMet }) => (isMet === null ? [work] : []))).toEqual([]);
});

describe("made-up results", () => {
  const result = (name: string, candidates: Record<string, number[]>): CaseResult => ({
    name, group: "network", amount: 50, unit: "images/s", date: "2030-01-01", largest: 8,
    candidates: Object.fromEntries(Object.entries(candidates).map(([key, ms]) => [key, { ms, error: 0.5, note: "" }])),
  }); // prettier-ignore
  const results: Results = {
    ...stored,
    cases: [result("network batch 50 f32", { fewbit: [10, 20, 10], "fewbit-2t": [5, 10, 9], "ort-web": [40, 40, 30] })],
  };

  test("a ratio is the median of the rounds' ratios, not the ratio of medians", () => {
    const bar = judge(results).find(({ work, than }) => work === "ResNet-20 f32, batch 50" && than !== "")!;
    expect(bar.value).toBe(median([4, 2, 3]));
    expect(bar.isMet).toBe(false);
  });

  test("of milliseconds, less meets a bar", () => {
    const starts = (ms: number): boolean | null => {
      const start: CaseResult = { ...result("first run, int8", { fewbit: [ms] }), unit: "ms", amount: 1 };
      return judge({ ...results, cases: [start] }).find(
        ({ work }) => work === "first run once the model is read, int8",
      )!.isMet;
    };
    expect([starts(29), starts(31)]).toEqual([true, false]);
  });

  test("what is missed and what was not measured is said", () => {
    const page = performancePage(results);
    expect(page).toContain("**missed**");
    expect(page).toContain("not measured");
    expect(page).toContain("| network batch 50 f32 | fewbit | 0.50 | 8.00 |");
  });
});
