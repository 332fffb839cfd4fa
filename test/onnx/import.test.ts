/** Import: folding, kept nodes, real models, and what hostile files get. */

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { readSafetensors } from "../../src/data/safetensors.ts";
import { FewbitError } from "../../src/errors.ts";
import { isForeign } from "../../src/graph/graph.ts";
import { parseGraph } from "../../src/graph/parse.ts";
import { printGraph } from "../../src/graph/print.ts";
import { flattenTree } from "../../src/graph/tree.ts";
import { verify } from "../../src/graph/verify.ts";
import { importOnnx, opaqueOperators } from "../../src/onnx/index.ts";
import { fromArray, tensor } from "../../src/tensor/create.ts";
import { model, node } from "./models.ts";

const models = "../shared/data/models/";
const hasModels = existsSync(`${models}resnet20.onnx`);

describe("import", () => {
  test("folds shape arithmetic into constants and frees the batch", () => {
    const bytes = model({
      inputs: { x: ["N", 2, 3] },
      nodes: [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["wanted"], { axis: 0 }),
        node("Reshape", ["x", "wanted"], ["y"]),
      ],
      constants: {
        zero: fromArray([0], [], "int64"),
        axes: fromArray([0], [1], "int64"),
        rest: fromArray([-1], [1], "int64"),
      },
      outputs: ["y"],
    });
    const module = importOnnx(bytes);
    expect(module.graph.nodes.map(({ target }) => target)).toEqual(["x", "reshape"]);
    expect(module.graph.fixedBatch).toBeNull();
    expect(module.run(fromArray(new Float32Array(24), [4, 2, 3])).shape).toEqual([4, 6]);
  });

  test("keeps what depends on values as an operator that runs", () => {
    const bytes = model({ inputs: { x: [4] }, nodes: [node("NonZero", ["x"], ["y"])], outputs: ["y"] });
    const module = importOnnx(bytes);
    expect(module.graph.nodes.at(-1)!.target).toBe("onnx.NonZero");
    expect(module.run(tensor([0, 3, 0, 5])).tolist()).toEqual([[1, 3]]);
    const text = printGraph(module.graph);
    expect(printGraph(parseGraph(text))).toBe(text);
  });

  test("carries unknown operators and refuses to run them", () => {
    const bytes = model({
      inputs: { x: [4] },
      nodes: [node("Mystery", ["x"], ["m"], { level: 3 }, "my.domain"), node("Relu", ["m"], ["y"])],
      outputs: ["y"],
    });
    const module = importOnnx(bytes);
    expect(opaqueOperators(module.graph)).toEqual(["my.domain.Mystery"]);
    verify(parseGraph(printGraph(module.graph)));
    expect(() => module.forward(tensor([1, 2, 3, 4]))).toThrow(/can be carried through, but not run/);
  });

  test("walks through branches and loops of known length", () => {
    const body = model({
      inputs: { i: [], go: [], sum: [1] },
      nodes: [node("Add", ["sum", "x"], ["next"]), node("Identity", ["go"], ["on"])],
      outputs: ["on", "next"],
      types: { i: "int64", go: "bool" },
    });
    const bytes = model({
      inputs: { x: [1] },
      nodes: [node("Loop", ["three", "yes", "start"], ["y"], { body })],
      constants: { three: fromArray([3], [], "int64"), yes: fromArray([1], [], "bool"), start: fromArray([0], [1]) },
      outputs: ["y"],
    });
    const module = importOnnx(bytes);
    expect(module.graph.nodes.filter(({ target }) => target === "add")).toHaveLength(3);
    expect(module.run(tensor([2])).tolist()).toEqual([6]);
  });
});

describe("bad files", () => {
  const good = (): Uint8Array => model({ inputs: { x: [4] }, nodes: [node("Relu", ["x"], ["y"])], outputs: ["y"] });

  test.each([
    [
      "a value nothing computes",
      model({
        inputs: { x: [4] },
        nodes: [node("Add", ["x", "z"], ["y"]), node("Relu", ["y"], ["z"])],
        outputs: ["y"],
      }),
      /nothing before it computes/,
    ],
    ["no graph", new Uint8Array(), /holds no graph/],
    ["cut off bytes", good().subarray(0, 20), /ONNX/],
    [
      "a huge constant",
      model({
        inputs: {},
        nodes: [node("ConstantOfShape", ["s"], ["y"])],
        constants: { s: fromArray([1e9, 1e9], [2], "int64") },
        outputs: ["y"],
      }),
      /constant of that shape/,
    ],
    [
      "a wrong attribute type",
      model({ inputs: { x: [4] }, nodes: [node("Concat", ["x", "x"], ["y"], { axis: "zero" })], outputs: ["y"] }),
      /wrong type/,
    ],
    [
      "an escaping location",
      model({ inputs: {}, nodes: [node("Relu", ["w"], ["y"])], external: { w: "../secret" }, outputs: ["y"] }),
      /stay in the folder/,
    ],
    [
      "missing external data",
      model({ inputs: {}, nodes: [node("Relu", ["w"], ["y"])], external: { w: "gone.bin" }, outputs: ["y"] }),
      /gone.bin/,
    ],
  ])("%s", (_, bytes, message) => {
    const externalData = (location: string): never => {
      throw new FewbitError("test", { location }, "missing");
    };
    expect(() => importOnnx(bytes, { externalData })).toThrow(message);
    expect(() => importOnnx(bytes, { externalData })).toThrow(FewbitError);
  });

  test("2000 mutated files give a graph or a typed error", () => {
    let state = 12345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state % below;
    };
    const seeds = [
      good(),
      model({
        inputs: { x: ["N", 2, 3] },
        nodes: [node("Shape", ["x"], ["s"]), node("Reshape", ["x", "s"], ["y"])],
        outputs: ["y"],
      }),
      model({
        inputs: { x: [1, 1, 4, 4] },
        nodes: [node("Conv", ["x", "w"], ["y"], { pads: [1, 1, 1, 1] })],
        constants: { w: fromArray(new Float32Array(9), [1, 1, 3, 3]) },
        outputs: ["y"],
      }),
    ];
    for (let i = 0; i < 2000; i++) {
      const bytes = seeds[i % seeds.length]!.slice(0);
      for (let k = 0; k <= random(4); k++) bytes[random(bytes.length)] = random(256);
      const cut = random(5) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
      try {
        verify(importOnnx(cut).graph);
      } catch (error) {
        if (!(error instanceof FewbitError)) throw new Error(`mutation ${i} gave ${String(error)}`, { cause: error });
      }
    }
  });
});

/** Agreement with onnxruntime, whose sums have another order. */
const FLOAT_ACCURACY_PERCENT = 81.35;

describe.skipIf(!hasModels)("real models (needs ../shared/data/models)", () => {
  test("ResNet-20 keeps its accuracy, compiled", () => {
    const module = importOnnx(`${models}resnet20.onnx`);
    expect(opaqueOperators(module.graph)).toEqual([]);
    const executable = compile(module, { fallback: "reference" });
    const { tensors } = readSafetensors(readFileSync("../shared/data/cifar10-test2000.safetensors"));
    const [images, labels] = [tensors.get("images")!, tensors.get("labels")!];
    const [mean, std] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.225],
    ];
    const batch = 100;
    let right = 0;
    for (let start = 0; start < 2000; start += batch) {
      const data = new Float32Array(batch * 3072);
      for (let i = 0; i < data.length; i++) {
        const [image, c, p] = [Math.floor(i / 3072), Math.floor(i / 1024) % 3, i % 1024];
        data[i] = (images.data[(start + image) * 3072 + p * 3 + c]! / 255 - mean[c]!) / std[c]!;
      }
      const [logits] = flattenTree([executable.run([fromArray(data, [batch, 3, 32, 32])])]).leaves;
      for (let i = 0; i < batch; i++) {
        const row = Array.from(logits!.data.subarray(i * 10, i * 10 + 10));
        if (row.indexOf(Math.max(...row)) === labels.data[start + i]) right++;
      }
    }
    executable.dispose();
    expect(right / 20).toBe(FLOAT_ACCURACY_PERCENT);
  });

  test("the face detector imports whole", () => {
    const module = importOnnx(`${models}ultraface.onnx`);
    expect(opaqueOperators(module.graph)).toEqual([]);
    expect(module.graph.nodes.filter(isForeign)).toEqual([]);
  });
});
