/**
 * Dynamic and weight-only quantization end to end against PyTorch's vectors: the weights' integers, and the outputs.
 */

import { describe, it } from "vitest";
import * as nn from "../../src/nn/index.ts";
import { fuseModules, quantizeDynamic } from "../../src/quantization/eager/index.ts";
import type { DynamicQuantDType, QConfigDict } from "../../src/quantization/eager/index.ts";
import type { ModuleClass } from "../../src/quantization/eager/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { expectTensor, fieldsAt, listAt, table, tensorAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { expectState, floatModel, qconfigOf } from "./flows.ts";
import { loadGolden } from "./load.ts";
import type { Fields, GoldenCase, Value } from "./load.ts";

/** float32 arithmetic on dequantized sums, over the steps of a sequence. */
const FLOATS: Budget = { absolute: 2e-6, ofLargest: 3e-6 };

const classes: Readonly<Record<string, ModuleClass>> = { Linear: nn.Linear, EmbeddingBag: nn.EmbeddingBag, Embedding: nn.Embedding };

function key(name: string): ModuleClass | string {
  return classes[name] ?? name;
}

/** The spec of a case: a set of classes and names, a table of qconfigs, or none. */
function specOf(spec: Value | undefined): Set<ModuleClass | string> | QConfigDict | null {
  if (spec === null || spec === undefined) return null;
  if (Array.isArray(spec)) return new Set((spec as readonly string[]).map(key));
  return new Map(Object.entries(spec as Fields).map(([name, qconfig]) => [key(name), qconfigOf(qconfig)]));
}

function check(one: GoldenCase): void {
  const { inputs, attrs, expected } = one;
  const batches = listAt(inputs, "test").map((batch) => (Array.isArray(batch) ? (batch as Tensor[]) : [batch as Tensor]));
  const model = floatModel(one).eval();
  expectTensor(model.forward(...batches[0]!), tensorAt(expected, "floatOutput"), FLOATS, "float output");
  const fused = "fuse" in attrs ? fuseModules(model, attrs["fuse"] as string[][]) : model;
  const quantized = quantizeDynamic(fused, specOf(attrs["spec"]), { dtype: attrs["dtype"] as DynamicQuantDType });
  expectState(quantized, fieldsAt(expected, "converted"), FLOATS, "converted");
  batches.forEach((batch, i) => expectTensor(quantized.forward(...batch), listAt(expected, "output")[i] as Tensor, FLOATS, `output ${i}`));
}

describe("dynamic flows", () => {
  it.each(table(loadGolden("flows-dynamic").cases))("%s", (_, one) => check(one));
});
