/** Dynamic and weight-only quantization: no data, files that onnxruntime computes alike. */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { compile } from "../../../src/compile/index.ts";
import { capture } from "../../../src/graph/index.ts";
import { Linear, Module } from "../../../src/nn/index.ts";
import { exportOnnx, importOnnx } from "../../../src/onnx/index.ts";
import { decodeMessage } from "../../../src/onnx/schema.ts";
import { quantizeOnnx } from "../../../src/onnx/quantize/index.ts";
import type { QuantizeOptions } from "../../../src/onnx/quantize/index.ts";
import { gelu } from "../../../src/ops/index.ts";
import { manualSeed } from "../../../src/tensor/context.ts";
import { randn } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

/** How far sums in another order may be apart, of results around 1. */
const FLOAT_SUMS = 1e-5;

class Mlp extends Module<[Tensor], Tensor> {
  up = new Linear(64, 96);
  down = new Linear(96, 64, { bias: false });

  override forward(x: Tensor): Tensor {
    return this.down.forward(gelu(this.up.forward(x), { approximate: "tanh" }));
  }
}

manualSeed(5);
const x = randn([2, 7, 64], { generator: new Generator(8) });
const file = exportOnnx(capture(new Mlp().eval(), [x]));
const float = compile(importOnnx(file), { fallback: "reference" }).runOne(x).data;

function decibel(given: ArrayLike<number>): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < float.length; i++) {
    signal += float[i]! ** 2;
    noise += (float[i]! - given[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

/** By its own kernels for weights it would round activations as well: the basic level leaves the graph as it is. */
async function inOnnxruntime(bytes: Uint8Array): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, graphOptimizationLevel: "basic" });
  const results = await session.run({
    [session.inputNames[0]!]: new OrtTensor("float32", x.data as Float32Array, x.shape),
  });
  return results[session.outputNames[0]!]!.data as Float32Array;
}

function operators(bytes: Uint8Array): string[] {
  return decodeMessage("ModelProto", bytes).graph!.node.map(({ opType }) => opType);
}

function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0);
}

const cases: readonly (readonly [name: string, options: QuantizeOptions, leastDb: number, mostBytes: number])[] = [
  ["8-bit weights", { method: "weightOnly" }, 40, 0.32],
  ["one scale in all", { method: "weightOnly", weights: { perChannel: false } }, 35, 0.32],
  ["4-bit weights in groups", { method: "weightOnly", weights: { bits: 4, groupSize: 32 } }, 18, 0.26],
  ["4-bit weights in asymmetric groups", { method: "weightOnly", weights: { bits: 4, groupSize: 32, symmetric: false } }, 18, 0.27],
  ["4-bit weights a channel", { method: "weightOnly", weights: { bits: 4 } }, 15, 0.2],
  ["4 bits for onnxruntime", { method: "weightOnly", target: "onnxruntime-cpu", weights: { bits: 4, groupSize: 32 } }, 18, 0.26],
  ["dynamic", { method: "dynamic" }, 35, 0.4],
  ["dynamic for onnxruntime", { method: "dynamic", target: "onnxruntime-cpu" }, 35, 0.4],
]; // prettier-ignore

describe("without data", () => {
  test.each(cases)("%s", async (_, options, leastDb, mostBytes) => {
    const { graph, report, bytes } = await quantizeOnnx(file, null, options);
    const here = compile(graph, { fallback: "reference" }).runOne(x).data;
    expect(decibel(here)).toBeGreaterThan(leastDb);
    expect(report.samples).toBe(0);
    expect(report.bytes.after / report.bytes.before).toBeLessThan(mostBytes);
    expect(farthest(await inOnnxruntime(bytes()), here)).toBeLessThan(FLOAT_SUMS);
    const back = compile(importOnnx(bytes()), { fallback: "reference" }).runOne(x).data;
    expect(farthest(back, here)).toBeLessThan(FLOAT_SUMS);
  });

  test("dynamic products are written as products of integers", async () => {
    const { bytes } = await quantizeOnnx(file, null, { method: "dynamic" });
    const names = operators(bytes());
    expect(names.filter((name) => name === "MatMulInteger")).toHaveLength(2);
    expect(names.filter((name) => name === "DynamicQuantizeLinear")).toHaveLength(2);
    expect(names).not.toContain("DequantizeLinear");
  });

  test("weights in groups are MatMulNBits where onnxruntime runs them", async () => {
    const options = { method: "weightOnly", weights: { bits: 4, groupSize: 32, symmetric: false } } as const;
    const packed = await quantizeOnnx(file, null, { ...options, target: "onnxruntime-cpu" });
    expect(operators(packed.bytes()).filter((name) => name === "MatMulNBits")).toHaveLength(2);
    expect(operators((await quantizeOnnx(file, null, options)).bytes())).not.toContain("Transpose");
    const here = compile(packed.graph, { fallback: "reference" }).runOne(x).data;
    expect(farthest(await inOnnxruntime(packed.bytes()), here)).toBeLessThan(FLOAT_SUMS);
  });

  test("data is needed for static quantization only", async () => {
    await expect(quantizeOnnx(file, null)).rejects.toThrow(/needs calibration data/);
  });
});
