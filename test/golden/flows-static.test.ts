/**
 * Post-training static quantization end to end against PyTorch's vectors: the state of the prepared and of the
 * converted model, the integers of every layer, and the output.
 */

import { describe, expect, it, vi } from "vitest";
import { readSafetensors, writeSafetensors } from "../../src/data/safetensors.ts";
import { addQuantDequant, convert, fuseModules, prepare, propagateQConfig } from "../../src/quantization/eager/index.ts";
import type { QEngine } from "../../src/ops/quantized/engines.ts";
import { QuantWrapper } from "../../src/quantization/stubs.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { EXACT, expectTensor, fieldsAt, table, tensorAt, tensorsAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { expectRun, expectState, flattened, floatModel, isCompared, setQConfig } from "./flows.ts";
import type { FlowModel } from "./flow-models.ts";
import { loadGolden } from "./load.ts";
import type { GoldenCase } from "./load.ts";

/** float32 sums in another order, before anything is quantized; scales follow from them. Integers have no budget. */
const FLOATS: Budget = { absolute: 1e-6, ofLargest: 2e-6 };

function prepared(one: GoldenCase): FlowModel {
  const { attrs, inputs, expected } = one;
  const model = floatModel(one).eval();
  expectTensor(model.forward(tensorsAt(inputs, "test")[0]!), tensorAt(expected, "floatOutput"), FLOATS, "float output");
  const fuse = attrs["fuse"] as readonly (readonly string[])[];
  const fused = fuse.length > 0 ? fuseModules(model, fuse) : model;
  setQConfig(fused, attrs);
  if (attrs["wrap"] === "QuantWrapper") return prepare(new QuantWrapper(fused) as unknown as FlowModel);
  if (attrs["wrap"] !== "addQuantDequant") return prepare(fused);
  propagateQConfig(fused);
  return prepare(addQuantDequant(fused) as FlowModel);
}

function check(one: GoldenCase, engine: QEngine): void {
  const model = prepared(one);
  for (const batch of tensorsAt(one.inputs, "calibration")) model.forward(batch);
  expectState(model, one.expected["prepared"] as never, FLOATS, "prepared");
  const isReference = one.attrs["reference"] === true;
  const converted = convert(model, { isReference, engine });
  expectState(converted, one.expected["converted"] as never, FLOATS, "converted");
  if ("output" in one.expected) expectRun(converted, one, FLOATS);
}

/** PyTorch's converted state in a model that was converted without calibration. */
function checkInterchange(one: GoldenCase, engine: QEngine): void {
  vi.spyOn(console, "warn").mockReturnValue(undefined);
  const skeleton = convert(prepared(one), { uninitializedObservers: "warn", engine });
  vi.restoreAllMocks();
  const entries = flattened(fieldsAt(one.expected, "converted")).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
  const { missing, unexpected } = skeleton.loadStateDict(readSafetensors(writeSafetensors(new Map(entries))).tensors, { strict: false });
  expect([...missing, ...unexpected].filter(isCompared)).toEqual([]);
  expectRun(skeleton, one, EXACT);
}

for (const area of ["static", "x86", "onednn", "qnnpack"]) {
  const { header, cases } = loadGolden(`flows-${area}`);
  describe(`static flows by ${header.engine}`, () => {
    it.each(table(cases))("%s", (_, one) => check(one, header.engine as QEngine));

    // PyTorch does not save the output scale of its ELU, nor QNNPACK's linear layers that they have no bias.
    const incomplete = ["static Activations qnnpack", "static Activations default", "static Mlp qnnpack engine"];
    const running = cases.filter(({ name, expected }) => "output" in expected && !incomplete.includes(name));
    it.each(table(running))("%s, loaded into a skeleton", (_, one) => checkInterchange(one, header.engine as QEngine));
  });
}
