/** Export: operator cases and captured models, out and in again. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { allOps } from "../../src/ops/op.ts";
import { capture } from "../../src/graph/capture.ts";
import { flattenTree } from "../../src/graph/tree.ts";
import { BatchNorm2d, Conv2d, Linear, ReLU, Sequential, Flatten } from "../../src/nn/index.ts";
import { exportOnnx, importOnnx } from "../../src/onnx/index.ts";
import { exportRuleFor, exportRules } from "../../src/onnx/export/index.ts";
import { decodeMessage } from "../../src/onnx/schema.ts";
import { OnnxError } from "../../src/errors.ts";
import { decomposedDequantizePerTensor, decomposedQuantizePerTensor } from "../../src/ops/quantize/decomposed.ts";
import { Module } from "../../src/nn/module.ts";
import { randn } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { compareCase, readCase } from "./node-case.ts";

interface Packed {
  readonly name: string;
  readonly model: string;
  readonly case: unknown;
}

const cases = JSON.parse(readFileSync(new URL("node-cases.json", import.meta.url), "utf8")) as Packed[];

describe("operator cases with results of onnx's reference evaluator (golden/make/onnx_nodes.py)", () => {
  test.each(cases.map((packed) => [packed.name, packed] as const))("%s", (_, packed) => {
    const expected = readCase(JSON.stringify(packed.case));
    const module = importOnnx(Uint8Array.from(atob(packed.model), (char) => char.charCodeAt(0)));
    const given = expected.sets[0]!.inputs.filter((input) => input !== null);
    const run = (graph: typeof module): Tensor[] => flattenTree([graph.forward(...given)]).leaves;
    expect(compareCase(run(module), expected.sets[0]!.outputs, expected)).toBe("");
    let bytes: Uint8Array;
    try {
      bytes = exportOnnx(module);
    } catch (error) {
      expect(error).toBeInstanceOf(OnnxError);
      return;
    }
    expect(compareCase(run(importOnnx(bytes)), expected.sets[0]!.outputs, expected)).toBe("");
  });
});

class Quantized extends Module<[Tensor], Tensor> {
  fc = new Linear(6, 3);

  override forward(x: Tensor): Tensor {
    const range = { quantMin: 0, quantMax: 255, dtype: "uint8" } as const;
    const signed = { quantMin: -128, quantMax: 127, dtype: "int8" } as const;
    const x8 = decomposedDequantizePerTensor(decomposedQuantizePerTensor(x, 0.03, 120, range), 0.03, 120, range);
    const w8 = decomposedDequantizePerTensor(
      decomposedQuantizePerTensor(this.fc.weight, 0.005, 0, signed),
      0.005,
      0,
      signed,
    );
    return x8.matmul(w8.permute([1, 0]));
  }
}

describe("captured models", () => {
  const generator = new Generator(7);

  test("a float network comes back the same", () => {
    const net = new Sequential(
      new Conv2d(3, 4, 3, { stride: 2, padding: 1 }),
      new BatchNorm2d(4),
      new ReLU(),
      new Flatten(),
      new Linear(64, 5),
    );
    net.eval();
    const x = randn([2, 3, 8, 8], { generator });
    const module = capture(net, [x]);
    const back = importOnnx(exportOnnx(module, { outputNames: ["scores"] }));
    expect(back.graph.outputs).toHaveLength(1);
    expect(back.preserved["onnx"]).toMatchObject({ outputs: ["scores"], opset: 17 });
    expect(back.graph.fixedBatch).toBeNull();
    const more = randn([3, 3, 8, 8], { generator });
    expect(back.run(more).tolist()).toEqual(module.run(more).tolist());
  });

  test("a quantized graph is written in QDQ form, its weights as integers", () => {
    const x = randn([2, 6], { generator });
    const module = capture(new Quantized(), [x]);
    const bytes = exportOnnx(module);
    const { graph } = decodeMessage("ModelProto", bytes);
    expect(graph!.node.map(({ opType }) => opType)).toEqual([
      "QuantizeLinear",
      "DequantizeLinear",
      "DequantizeLinear",
      "Transpose",
      "MatMul",
    ]);
    expect(graph!.initializer.some(({ dataType, dims }) => dataType === 3 && dims.length === 2)).toBe(true);
    expect(importOnnx(bytes).run(x).tolist()).toEqual(module.run(x).tolist());
  });

  test("says what is too old or has no form", () => {
    const module = capture(new Quantized(), [randn([2, 6], { generator })]);
    expect(() => exportOnnx(module, { opset: 9 })).toThrow(OnnxError);
    expect(() => exportOnnx(module, { opset: 26 })).toThrow(/opset/);
    expect(() => exportOnnx(module, { format: "qlinear" as "qdq" })).toThrow(
      /got format = qlinear, known = \[qdq, qoperator\]/,
    );
  });
});

test("every operator has an export rule or a reason, and every rule an operator", () => {
  for (const { name } of allOps()) {
    const rule = exportRuleFor(name);
    if (typeof rule !== "function") expect(rule.reason).not.toBe("");
  }
  const names = new Set(allOps().map(({ name }) => name));
  expect(Object.keys(exportRules).filter((name) => !names.has(name))).toEqual([]);
});
