/**
 * torchao's `quantize_` cases: integers and parameters of every weight equal, outputs within the float budget.
 */

import { expect, test } from "vitest";
import type { AnyModule, Module } from "../../../src/nn/module.ts";
import * as weights from "../../../src/quantization/weights/index.ts";
import type { Granularity } from "../../../src/quantization/weights/index.ts";
import { tensor } from "../../../src/tensor/create.ts";
import type { Nested, Tensor } from "../../../src/tensor/tensor.ts";
import { caseNames, loadCase, loadModel } from "./load.ts";

/** Largest difference of an output, relative to the largest output: sums in another order. */
const OUTPUT_BUDGET = 2e-6;

type Fields = Readonly<Record<string, unknown>>;

const mappings: Readonly<Record<string, string>> = {
  symmetric: "SYMMETRIC",
  asymmetric: "ASYMMETRIC",
  symmetricNoClippingErr: "SYMMETRIC_NO_CLIPPING_ERR",
};

function granularityOf({ kind, axis, groupSize }: Fields): Granularity {
  if (kind === "perTensor") return new weights.PerTensor();
  if (kind === "perAxis") return new weights.PerAxis(axis as number);
  if (kind === "perGroup") return new weights.PerGroup(groupSize as number);
  return new weights.PerRow();
}

/** A field of a config recipe as the constructors take it. */
function optionOf(name: string, value: unknown): unknown {
  if (/granularity$/i.test(name)) return granularityOf(value as Fields);
  if (/mappingType$/i.test(name)) return mappings[value as string];
  return name === "actQuantScale" ? tensor(value as Nested) : value;
}

/** The config a recipe describes; null skips. */
function configOf(recipe: Fields | null): object | null {
  if (!recipe) return null;
  const { kind, ...fields } = recipe;
  if (kind === "FqnToConfig") {
    const map = fields["map"] as readonly (readonly [string, Fields | null])[];
    return new weights.FqnToConfig(map.map(([name, own]) => [name, configOf(own)] as const));
  }
  const Config = (weights as unknown as Record<string, new (options: object) => object>)[kind as string]!;
  return new Config(Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, optionOf(name, value)])));
}

function expectClose(given: Tensor, expected: Tensor, where: string): void {
  expect(given.shape, where).toEqual(expected.shape);
  const scale = Math.max(...expected.data.map(Math.abs));
  const error = Math.max(...given.data.map((v, i) => Math.abs(v - expected.data[i]!)));
  expect(error / scale, where).toBeLessThan(OUTPUT_BUDGET);
}

function run(model: AnyModule, input: Tensor): Tensor {
  return (model as unknown as Module).forward(input);
}

test.each(caseNames("quantize").filter((name) => !name.startsWith("qat-")))("%s", (name) => {
  const { case: own, rest } = loadCase("quantize", name);
  const [golden, recipe]: [Fields, Fields] = [rest, own];
  const { model, test: batch } = loadModel(recipe["model"] as string);
  const only = recipe["filter"] as string | undefined;
  const config = configOf(recipe["config"] as Fields)!;
  if (only === undefined) weights.quantizeModel(model, config);
  else weights.quantizeModel(model, config, (_, path) => path === only);
  for (const [path, expected] of Object.entries(golden["weights"] as Record<string, Record<string, Tensor>>)) {
    const layer = model.getSubmodule(path) as weights.AffineQuantizedLinear;
    for (const key of ["qdata", "scale", "zeroPoint"] as const) {
      expect(layer[key].shape, `${path}.${key}`).toEqual(expected[key]!.shape);
      expect([...layer[key].data], `${path}.${key}`).toEqual([...expected[key]!.data]);
    }
    expect(layer.blockSize).toEqual(expected["blockSize"]);
    expect(weights.dequantizeWeight(layer.quantizedWeight).data, `${path} dequantized`).toEqual(expected["dequantized"]!.data);
  }
  expectClose(run(model, batch[0]!), golden["output"] as Tensor, "output");
});
