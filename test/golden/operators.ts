/**
 * Runs a golden case of a float operator: the call with fresh leaves, its outputs, and the gradient of every
 * input that PyTorch gave one.
 */

import "../../src/ops/methods.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectTensor, fieldsAt, leaf, tensorAt, tensorsAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import type { Fields, GoldenCase, Value } from "./load.ts";

/** How a case's inputs and attributes become a call. */
export type Call = (inputs: Fields, attrs: Fields) => Tensor | readonly Tensor[];

function leaves(inputs: Fields): Fields {
  const one = (value: Value): Value => {
    if (value instanceof Tensor) return leaf(value);
    return Array.isArray(value) ? (value as readonly Value[]).map(one) : value;
  };
  return Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, key === "gradOutput" ? value : one(value)]));
}

function expectGrad(input: Value | undefined, expected: Value | undefined, budget: Budget, where: string): void {
  if (Array.isArray(expected)) {
    expected.forEach((item: Value, i) => expectGrad((input as readonly Value[])[i], item, budget, `${where}[${i}]`));
  } else if (expected instanceof Tensor) {
    const grad = input instanceof Tensor ? input.grad : null;
    if (!grad) throw new Error(`${where}: no gradient arrived`);
    expectTensor(grad, expected, budget, where);
  }
}

/** Asserts outputs and gradients of one case. */
export function checkOperator(one: GoldenCase, call: Call, budget: Budget): void {
  const inputs = leaves(one.inputs);
  const result = call(inputs, one.attrs);
  const outputs = result instanceof Tensor ? [result] : result;
  const expected = "output" in one.expected ? [tensorAt(one.expected, "output")] : tensorsAt(one.expected, "outputs");
  expected.forEach((tensor, i) => expectTensor(outputs[i]!, tensor, budget, `output ${i}`));
  if (!("gradOutput" in inputs)) return;
  outputs[0]!.backward({ gradient: tensorAt(inputs, "gradOutput") });
  const grads = fieldsAt(one.expected, "grads");
  for (const [key, grad] of Object.entries(grads)) expectGrad(inputs[key], grad, budget, `gradient of ${key}`);
}
