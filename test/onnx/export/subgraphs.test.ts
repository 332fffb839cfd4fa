/** Operators with subgraphs that read values around them: kept on import, written back, the same results. */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import type { GraphModule } from "../../../src/graph/index.ts";
import { interpret } from "../../../src/graph/interpret.ts";
import { OnnxError } from "../../../src/errors.ts";
import { exportOnnx, importOnnx } from "../../../src/onnx/index.ts";
import { fromArray, randn } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import { model, node } from "../models.ts";

const generator = new Generator(4);
const x = randn([3, 4], { generator });
const w = randn([4, 4], { generator });

/** if (go) relu(x w) + shift else -relu(x w), with everything but the condition read from around. */
function branches(opset: number): Uint8Array {
  const branch = (nodes: readonly ReturnType<typeof node>[], output: string): Uint8Array =>
    model({ inputs: {}, nodes, outputs: [output], opset });
  return model({
    inputs: { x: ["N", 4], go: [] },
    types: { go: "bool" },
    nodes: [
      node("MatMul", ["x", "w"], ["product"]),
      node("Relu", ["product"], ["rectified"]),
      node("If", ["go"], ["y"], {
        then_branch: branch([node("Add", ["rectified", "shift"], ["sum"])], "sum"),
        else_branch: branch([node("Neg", ["rectified"], ["negative"])], "negative"),
      }),
      node("Abs", ["y"], ["z"]),
    ],
    constants: { w, shift: fromArray([1, 2, 3, 4], [4]) },
    outputs: ["y", "z"],
    opset,
  });
}

async function onOnnxruntime(bytes: Uint8Array, go: number): Promise<number[][]> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const feeds = {
    x: new OrtTensor("float32", x.data as Float32Array, [3, 4]),
    go: new OrtTensor("bool", Uint8Array.of(go), []),
  };
  const results = await session.run(feeds);
  await session.release();
  return session.outputNames.map((name) => Array.from(results[name]!.data as Float32Array));
}

describe.each([0, 1])("with the condition %i", (go) => {
  const condition = fromArray([go], [], "bool");

  test("a file that was read and written gives what it gave, here and in onnxruntime", async () => {
    const file = branches(17);
    const module = importOnnx(file);
    const kept = module.graph.nodes.filter(({ target }) => target === "onnx.If");
    expect(kept.map(({ attrs }) => attrs["captures"])).toEqual([["rectified", "shift"]]);
    const written = exportOnnx(module);
    const values = ({ graph }: GraphModule) => interpret(graph, [x, condition]).map(({ data }) => data);
    expect(values(importOnnx(written))).toEqual(values(module));
    expect(await onOnnxruntime(written, go)).toEqual(await onOnnxruntime(file, go));
  });

  test("values that have another name by now are known by the old one too", async () => {
    const module = importOnnx(branches(17));
    const rectified = module.graph.nodes.find(({ target }) => target === "relu")!.output;
    module.graph.rename(rectified, "renamed");
    rectified.node.meta.delete("onnx.name.0");
    expect(await onOnnxruntime(exportOnnx(module), go)).toEqual(await onOnnxruntime(branches(17), go));
  });
});

test("a name that another value has by now is refused", () => {
  const module = importOnnx(branches(17));
  const [relu, product] = ["relu", "linear"].map((name) => module.graph.nodes.find(({ target }) => target === name)!);
  for (const { meta } of [relu!, product!]) meta.delete("onnx.name.0");
  module.graph.rename(relu!.output, "renamed");
  module.graph.rename(product!.output, "rectified");
  expect(() => exportOnnx(module)).toThrow(/reads a name that another value has by now \(got name = rectified/);
});

test("a subgraph of an opset that is not written is refused", () => {
  const module = importOnnx(branches(11));
  expect(() => exportOnnx(module)).toThrow(OnnxError);
  expect(() => exportOnnx(module)).toThrow(/its subgraph is of an opset that is not written/);
});
