/** One graph on the engine and on both onnxruntimes. */

import { describe, expect, test } from "vitest";
import { Conv2d, Linear, Module, ReLU } from "../../../src/nn/index.ts";
import { capture } from "../../../src/graph/index.ts";
import { exportOnnx, importOnnx } from "../../../src/onnx/index.ts";
import { backendNames, openSession, run } from "../../../src/onnx/backend/index.ts";
import { manualSeed } from "../../../src/index.ts";
import { fromArray, randn, tensor } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { model, node } from "../models.ts";

class Net extends Module<[Tensor], Tensor> {
  conv = new Conv2d(1, 4, 3, { padding: 1 });
  relu = new ReLU();
  fc = new Linear(64, 3);
  override forward(x: Tensor): Tensor {
    return this.fc.forward(this.relu.forward(this.conv.forward(x)).flatten(1));
  }
}

/** Float sums in another order. */
const BUDGET = 1e-5;

describe.each(backendNames)("%s", (backend) => {
  test("runs a captured graph like the interpreter, for another batch size too", async () => {
    manualSeed(1);
    const graph = capture(new Net().eval(), [randn([1, 1, 4, 4])]);
    const x = randn([3, 1, 4, 4]);
    const [y] = await run(graph, [x], { backend, threads: 1 });
    const expected = graph.run(x);
    expect(y!.shape).toEqual([3, 3]);
    expected.data.forEach((value, i) => expect(Math.abs(value - y!.data[i]!)).toBeLessThan(BUDGET));
  });

  test("passes integers of 64 bits, bools and several outputs", async () => {
    const bytes = model({
      inputs: { a: [2], b: [2] },
      types: { a: "int64", b: "bool" },
      nodes: [node("Add", ["a", "a"], ["twice"]), node("Not", ["b"], ["not"])],
      outputs: ["twice", "not"],
    });
    const session = await openSession({ module: importOnnx(bytes) }, { backend, threads: 1 });
    const [twice, not] = await session.run([fromArray([2 ** 40, -3], [2], "int64"), fromArray([1, 0], [2], "bool")]);
    await session.dispose();
    expect([twice!.dtype, ...twice!.data]).toEqual(["int64", 2 ** 41, -6]);
    expect([not!.dtype, ...not!.data]).toEqual(["bool", 0, 1]);
  });

  test("runs graphs whose types are known only then", async () => {
    const bytes = model({ inputs: { x: [4] }, nodes: [node("NonZero", ["x"], ["y"])], outputs: ["y"] });
    const [y] = await run(importOnnx(bytes), [tensor([0, 3, 0, 5])], { backend, threads: 1 });
    expect(y!.tolist()).toEqual([[1, 3]]);
  });
});

test("onnxruntime's refusal is an error with its reason", async () => {
  const graph = capture(new Net().eval(), [randn([1, 1, 4, 4])]);
  const session = await openSession({ module: importOnnx(exportOnnx(graph)) }, { backend: "onnxruntime-node" });
  await expect(session.run([randn([1, 1, 5, 5])])).rejects.toThrow(/onnxruntime-node: does not run the model \(got reason = /); // prettier-ignore
  await session.dispose();
});
