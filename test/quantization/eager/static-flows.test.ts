/**
 * Static quantization end to end against PyTorch: observers after calibration, weights, output parameters, the integers
 * every module puts out, the integers that reach the DeQuantStub, and the float output.
 */

import { describe, expect, it } from "vitest";
import type { AnyModule } from "../../../src/nn/module.ts";
import { QuantWrapper } from "../../../src/quantization/stubs.ts";
import {
  addQuantDequant,
  convert,
  fuseModules,
  prepare,
  propagateQConfig,
} from "../../../src/quantization/eager/index.ts";
import type { QEngine } from "../../../src/ops/quantized/engines.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { loadGolden } from "../../golden/load.ts";
import type { GoldenCase } from "../../golden/load.ts";
import { makeModel } from "../../golden/flow-models.ts";
import type { FlowModel } from "../../golden/flow-models.ts";
import { compareState, compareTensor, loadFloat, outputsByModule, qconfigs, takeState } from "./flow-support.ts";

interface Attributes {
  readonly qconfig: string;
  readonly fuse: readonly (readonly string[])[];
  readonly wrap: string | null;
  readonly qconfigFor: readonly string[] | null;
  readonly reference: boolean;
}

/** The fused, wrapped and configured float model of a case. */
function floatModel({ inputs, attrs }: GoldenCase): FlowModel {
  const { qconfig, fuse, wrap, qconfigFor } = attrs as unknown as Attributes;
  const model = makeModel(attrs);
  loadFloat(model, inputs["state"] as unknown as Record<string, Tensor>);
  const fused = fuse.length > 0 ? fuseModules(model.eval(), fuse) : model.eval();
  const config = qconfigs[qconfig]!;
  if (qconfigFor) for (const path of qconfigFor) fused.getSubmodule(path).qconfig = config;
  else fused.qconfig = config;
  if (wrap === "QuantWrapper") return new QuantWrapper(fused);
  if (wrap !== "addQuantDequant") return fused;
  propagateQConfig(fused);
  return addQuantDequant(fused) as unknown as FlowModel;
}

function runCase(one: GoldenCase, engine: QEngine): void {
  const prepared = prepare(floatModel(one));
  for (const batch of one.inputs["calibration"] as unknown as Tensor[]) prepared.forward(batch);
  compareState(prepared, one.expected["prepared"] as never, "prepared");
  takeState(prepared, one.expected["prepared"] as never);
  const isReference = (one.attrs as unknown as Attributes).reference;
  const converted = convert(prepared, { engine, isReference });
  compareState(converted, one.expected["converted"] as never, "converted");
  if (!("output" in one.expected)) return;
  const test = one.inputs["test"] as unknown as Tensor[];
  const layers = outputsByModule(converted, () => converted.forward(test[0]!));
  for (const [name, expected] of Object.entries(one.expected["layers"] as unknown as Record<string, Tensor>)) {
    const actual = layers.get(name);
    expect(actual?.qparams, `parameters of ${name}`).toEqual(expected.qparams);
    expect([...actual!.data], `integers of ${name}`).toEqual([...expected.data]);
  }
  test.forEach((batch, i) => {
    const expected = (one.expected["output"] as unknown as Tensor[])[i]!;
    compareTensor(converted.forward(batch), expected, "output", 0);
  });
}

for (const area of ["flows-static", "flows-qnnpack"]) {
  const file = loadGolden(area);
  describe(area, () => {
    it.each(file.cases.map((one): [string, GoldenCase] => [one.name, one]))("%s", (_, one) => {
      runCase(one, file.header.engine as QEngine);
    });
  });
}

describe("the caller's model", () => {
  it("is left alone by prepare and convert", () => {
    const [one] = loadGolden("flows-static").cases;
    const model = floatModel(one!);
    const before = [...model.stateDict().keys()];
    const prepared = prepare(model);
    prepared.forward((one!.inputs["calibration"] as unknown as Tensor[])[0]!);
    const names = (m: AnyModule): string[] => m.modules().map((module) => module.constructor.name);
    const preparedNames = names(prepared);
    convert(prepared);
    expect([...model.stateDict().keys()]).toEqual(before);
    expect(names(prepared)).toEqual(preparedNames);
  });
});
