/** Float modules against PyTorch's vectors: state-dict keys, outputs, every gradient, and buffers after the call. */

import { describe, expect, it } from "vitest";
import * as nn from "../../src/nn/index.ts";
import type { AnyModule } from "../../src/nn/index.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { add, mul, sum } from "../../src/ops/index.ts";
import { backward } from "../../src/autograd/backward.ts";
import { expectTensor, fieldsAt, leaf, listAt, table, tensorsAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import type { Fields, GoldenCase } from "./load.ts";

/** A few layers of float32 sums in another order: relative to the largest result. */
const LAYERS: Budget = { absolute: 3e-6, ofLargest: 3e-6 };

type Built = AnyModule & { forward(...args: readonly unknown[]): unknown };
type Constructor = new (...args: readonly unknown[]) => Built;

function build({ op, attrs }: GoldenCase): Built {
  const Class = (nn as unknown as Readonly<Record<string, Constructor>>)[op]!;
  const options = fieldsAt(attrs, "options");
  return new Class(...listAt(attrs, "args"), ...(Object.keys(options).length > 0 ? [options] : []));
}

function tensors(fields: Fields): [string, Tensor][] {
  return Object.entries(fields).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
}

function flat(value: unknown): Tensor[] {
  if (value === null) return [];
  return value instanceof Tensor ? [value] : (value as readonly unknown[]).flatMap(flat);
}

function check(one: GoldenCase): void {
  const module = build(one);
  const state = new Map(tensors(fieldsAt(one.inputs, "state")));
  expect([...module.stateDict().keys()].sort()).toEqual([...state.keys()].sort());
  module.loadStateDict(state);
  module.train(one.attrs["training"] === true);
  const inputs = new Map(tensors(fieldsAt(one.inputs, "inputs")).map(([key, value]) => [key, leaf(value)]));
  const named = listAt(one.attrs, "named") as readonly string[];
  const call = { ...fieldsAt(one.attrs, "call"), ...Object.fromEntries(named.map((key) => [key, inputs.get(key)])) };
  const plain = [...inputs].filter(([key]) => !named.includes(key)).map(([, value]) => value);
  const outputs = flat(module.forward(...plain, ...(Object.keys(call).length > 0 ? [call] : [])));
  const expected = tensorsAt(one.expected, "outputs");
  expect(outputs.length).toBe(expected.length);
  expected.forEach((tensor, i) => expectTensor(outputs[i]!, tensor, LAYERS, `output ${i}`));
  const gradients = tensorsAt(one.inputs, "gradOutputs");
  backward(outputs.map((y, i) => sum(mul(y, gradients[i]!))).reduce((a, b) => add(a, b)));
  for (const [key, grad] of tensors(fieldsAt(one.expected, "inputGrads"))) {
    expectTensor(inputs.get(key)!.grad!, grad, LAYERS, `gradient of ${key}`);
  }
  const after = module.stateDict();
  for (const [key, grad] of tensors(fieldsAt(one.expected, "grads"))) {
    expectTensor(after.get(key)!.grad!, grad, LAYERS, `gradient of ${key}`);
  }
  for (const [key, buffer] of tensors(fieldsAt(one.expected, "buffers"))) {
    expectTensor(after.get(key)!, buffer, LAYERS, key);
  }
}

describe("float modules", () => {
  it.each(table(loadGolden("float-modules").cases))("%s", (_, one) => check(one));
});
