/** Recurrent layers and cells against PyTorch's vectors: outputs, final states and every gradient. */

import { describe, it } from "vitest";
import { GRUCell, LSTMCell, RNNCell } from "../../src/nn/rnn-cell.ts";
import { GRU, LSTM, RNN } from "../../src/nn/rnn.ts";
import type { AnyModule } from "../../src/nn/module.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectTensor, fieldsAt, leaf, table, tensorAt, tensorsAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import type { GoldenCase } from "./load.ts";
import "../../src/ops/methods.ts";

/** Five steps of products of sigmoids and tanhs in float32. */
const STEPS: Budget = { absolute: 2e-6, ofLargest: 2e-6 };

const classes = { LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell };

type Forward = (x: Tensor, state: unknown) => unknown;
type Recurrent = AnyModule & { forward: Forward };

function make({ op, inputs, attrs }: GoldenCase): Recurrent {
  const { inputSize, hiddenSize, ...options } = attrs;
  const Class = classes[op as keyof typeof classes] as unknown as new (inputSize: unknown, hiddenSize: unknown, options: unknown) => Recurrent;
  const module = new Class(inputSize, hiddenSize, options);
  module.loadStateDict(new Map(Object.entries(fieldsAt(inputs, "state")) as [string, Tensor][]));
  return module;
}

function flat(value: unknown): Tensor[] {
  return value instanceof Tensor ? [value] : (value as readonly unknown[]).flatMap(flat);
}

function check(one: GoldenCase): void {
  const module = make(one);
  const x = leaf(tensorAt(one.inputs, "x"));
  const given = "hx" in one.inputs ? tensorsAt(one.inputs, "hx") : null;
  const outputs = flat(module.forward(x, given?.length === 1 ? given[0] : given));
  tensorsAt(one.expected, "outputs").forEach((tensor, i) => expectTensor(outputs[i]!, tensor, STEPS, `output ${i}`));
  outputs[0]!.backward({ gradient: tensorAt(one.inputs, "gradOutput") });
  const { x: gradX, ...grads } = fieldsAt(one.expected, "grads");
  expectTensor(x.grad!, gradX as Tensor, STEPS, "gradient of x");
  const state = module.stateDict();
  for (const [key, grad] of Object.entries(grads)) expectTensor(state.get(key)!.grad!, grad as Tensor, STEPS, `gradient of ${key}`);
}

describe("recurrent modules", () => {
  const cases = loadGolden("training").cases.filter(({ op }) => op in classes);
  it.each(table(cases))("%s", (_, one) => check(one));
});
