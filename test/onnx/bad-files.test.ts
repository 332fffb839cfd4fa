/** Files on disk that are not what they should be: one sentence each, of this library's errors. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FewbitError, OnnxError } from "../../src/errors.ts";
import { importOnnx } from "../../src/onnx/index.ts";
import { planQuantization, quantizeOnnx } from "../../src/onnx/quantize/index.ts";
import { nested } from "../fuzz/hostile.ts";
import { fromArray } from "../../src/tensor/create.ts";
import { model, node } from "./models.ts";
import type { AttributeValue } from "./models.ts";

const folder = mkdtempSync(path.join(tmpdir(), "fewbit-bad-"));
const at = (name: string): string => path.join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const outside = (location: string): Uint8Array =>
  model({ inputs: {}, nodes: [node("Relu", ["w"], ["y"])], external: { w: location }, outputs: ["y"] });

mkdirSync(at("models"));
writeFileSync(at("secret.bin"), new Uint8Array(64));
writeFileSync(at("models/short.bin"), new Uint8Array(3));
symlinkSync(at("secret.bin"), at("models/link.bin"));
mkdirSync(at("models/folder.bin"));

const locations: readonly (readonly [what: string, location: string, message: RegExp])[] = [
  ["a missing file", "gone.bin", /file with tensor values is missing.*|missing/],
  ["a file that is too short", "short.bin", /beyond the end of the file/],
  ["a folder", "folder.bin", /not a file|beyond the end/],
  ["a way out", "../secret.bin", /must stay in the folder/],
  ["a way out of another system", "..\\secret.bin", /must stay in the folder/],
  ["an absolute path", at("secret.bin"), /must stay in the folder/],
  ["a link that leads out", "link.bin", /a link leads out/],
];

describe("external data", () => {
  test.each(locations)("%s", (_, location, message) => {
    const file = at("models/model.onnx");
    writeFileSync(file, outside(location));
    const read = (): unknown => importOnnx(file).forward();
    expect(read).toThrow(message);
    expect(read).toThrow(FewbitError);
  });
});

describe("models", () => {
  const files: readonly (readonly [what: string, path: string, message: RegExp])[] = [
    ["that are not there", at("nothing.onnx"), /there is no such file/],
    ["that are folders", at("models"), /cannot be read/],
    ["that are something else", at("models/short.bin"), /ONNX|graph/],
  ];
  test.each(files)("%s", (_, file, message) => {
    expect(() => importOnnx(file)).toThrow(message);
    expect(() => planQuantization(file)).toThrow(FewbitError);
  });

  test("without anything to quantize say why", async () => {
    const bytes = model({ inputs: { x: [4] }, nodes: [node("Relu", ["x"], ["y"])], outputs: ["y"] });
    await expect(quantizeOnnx(bytes, [])).rejects.toThrow(/nothing in the model can be quantized.*no integer product/);
  });
});

describe("files that fuzzing found", () => {
  test.each([33, 200, 2000])("subgraphs nested %i deep are refused", (depth) => {
    expect(() => importOnnx(nested(depth))).toThrow(OnnxError);
    expect(() => importOnnx(nested(depth))).toThrow(/nested too deeply/);
  });

  test("subgraphs nested 30 deep are read", () => {
    expect(importOnnx(nested(30)).graph.nodes.map(({ target }) => target)).toContain("relu");
  });

  const pools: readonly (readonly [opType: string, ceil: number])[] = [
    ["AveragePool", 1],
    ["AveragePool", 0],
    ["MaxPool", 0],
  ];
  test.each(pools)("the windows of %s over 2^52 positions are counted, not listed", (opType, ceil_mode) => {
    const attributes = { ceil_mode, kernel_shape: [3, 3], strides: [2, 2] };
    const nodes = [node(opType, ["x"], ["y"], attributes)];
    const { graph } = importOnnx(model({ inputs: { x: [1, 1, 4, 2 ** 52] }, nodes, outputs: ["y"] }));
    expect(graph.outputs[0]).toMatchObject({ type: { shape: [1, 1, 1 + ceil_mode, 2 ** 51 - 1 + ceil_mode] } });
  });

  const wide = 2 ** 31;
  const counted: readonly (readonly [
    opType: string,
    attributes: Record<string, AttributeValue>,
    inputs: Record<string, number[]>,
  ])[] = [
    ["Hardmax", {}, { x: [3, wide] }],
    ["Einsum", { equation: "ii->i" }, { x: [wide, wide] }],
    ["RNN", { hidden_size: 2 }, { x: [1, wide, 3], w: [1, 2, 3], r: [1, 2, 2] }],
    ["Attention", { is_causal: 1 }, { q: [1, 1, wide, 4], k: [1, 1, wide, 4], v: [1, 1, wide, 4] }],
  ];
  test.each(counted)("%s over 2^31 positions makes no constant of that size", (opType, attributes, inputs) => {
    const nodes = [node(opType, Object.keys(inputs), ["y"], attributes)];
    expect(() => importOnnx(model({ inputs, nodes, outputs: ["y"] }))).toThrow(/a constant of that shape is not made/);
  });

  test("pools of constants that take too long are left in the graph", () => {
    const size = 2 ** 20;
    const { graph } = importOnnx(
      model({
        inputs: {},
        nodes: [
          node("ConstantOfShape", ["shape"], ["x"]),
          node("AveragePool", ["x"], ["a"], { kernel_shape: [size / 2] }),
          node("LpPool", ["x"], ["b"], { kernel_shape: [size / 2] }),
        ],
        constants: { shape: fromArray([1, 1, size], [3], "int64") },
        outputs: ["a", "b"],
      }),
    );
    expect(graph.nodes.filter(({ kind }) => kind === "operator")).toHaveLength(2);
  });
});
