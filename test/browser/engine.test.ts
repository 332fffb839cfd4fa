import { describe, expect, test } from "vitest";
import { browserPath, bundlePage, runPage } from "./support.ts";

/** Starting a browser takes seconds on a busy machine. */
const TIMEOUT_MS = 60_000;

describe.skipIf(browserPath === undefined)("the engine in Chromium (skipped where no browser is installed)", () => {
  test.each([true, false])("cross-origin isolated: %s", { timeout: TIMEOUT_MS }, async (isolated) => {
    const script = await bundlePage(new URL("engine-page.ts", import.meta.url));
    const result = await runPage(script, isolated);
    expect(result).toMatchObject({
      threads: isolated ? 2 : 1,
      workers: isolated ? 1 : 0,
      simdIsReference: true,
      threadsAreSame: true,
    });
  });
});
