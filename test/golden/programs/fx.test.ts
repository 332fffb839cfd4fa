/**
 * FX graph mode against PyTorch's programs: observers at the same places with the same sharing and statistics.
 */

import { describe, expect, it } from "vitest";
import { fxCase } from "./fx-case.ts";
import { caseNames } from "./load.ts";
import { goldenPrepared, ownPrepared } from "./fx-shape.ts";

/** Cases that differ from PyTorch on purpose, and why. */
const different: Readonly<Record<string, string>> = {
  "default-fbgemm-shared-linear":
    "PyTorch puts LinearReLU in the shared layer's place, and so adds a relu to the call that has none; here each call is fused by itself",
};

const names = caseNames("fx").filter((name) => !/^(error|equalization|custom)/.test(name) && !Object.hasOwn(different, name));

describe("prepareFx places observers as PyTorch does", () => {
  it.each(names)("%s", (name) => {
    const one = fxCase(name);
    const prepared = one.prepare();
    for (const batch of one.data.calibration) prepared.forward(...batch);
    expect(ownPrepared(prepared.graph)).toEqual(goldenPrepared(one.golden.programs["prepared"]!));
  });
});
