/** Flows that are not asked to change a model in place leave it alone. The flows themselves are tested in test/golden. */

import { describe, expect, it } from "vitest";
import type { AnyModule } from "../../../src/nn/module.ts";
import { convert, fuseModules, prepare } from "../../../src/quantization/eager/index.ts";
import { getDefaultQConfig } from "../../../src/quantization/index.ts";
import { tensorsAt } from "../../golden/compare.ts";
import { floatModel } from "../../golden/flows.ts";
import { loadGolden } from "../../golden/load.ts";

function classes(model: AnyModule): string[] {
  return model.modules().map((module) => module.constructor.name);
}

describe("the caller's model", () => {
  it("is left alone by fuseModules, prepare and convert", () => {
    const one = loadGolden("flows-static").cases.find(({ name }) => name === "static SkipNet x86")!;
    const model = floatModel(one).eval();
    const before = { keys: [...model.stateDict().keys()], classes: classes(model) };
    const fused = fuseModules(model, one.attrs["fuse"] as string[][]);
    expect({ keys: [...model.stateDict().keys()], classes: classes(model) }).toEqual(before);
    fused.qconfig = getDefaultQConfig("x86");
    const fusedClasses = classes(fused);
    const prepared = prepare(fused);
    expect(classes(fused)).toEqual(fusedClasses);
    prepared.forward(tensorsAt(one.inputs, "calibration")[0]!);
    const preparedClasses = classes(prepared);
    convert(prepared);
    expect(classes(prepared)).toEqual(preparedClasses);
  });
});
