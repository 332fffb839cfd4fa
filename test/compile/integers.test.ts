/** Models whose inputs and outputs are plain bytes: what goes in and comes out is what the interpreter sees. */

import { describe, expect, test } from "vitest";
import { convModel, gemmModel } from "../../bench/models/onnx.ts";
import { randomBytes } from "../../bench/lib/random.ts";
import { compile, lower } from "../../src/compile/index.ts";
import { prepareGraph } from "../../src/compile/prepare.ts";
import { Engine } from "../../src/engine/engine.ts";
import { capture, interpret, loadGraph, printGraph, saveGraph } from "../../src/graph/index.ts";
import { Module } from "../../src/nn/module.ts";
import { importOnnx } from "../../src/onnx/index.ts";
import { maxPool2d } from "../../src/ops/max-pool.ts";
import { intRepr } from "../../src/ops/quantize/native.ts";
import { makePerTensorQuantizedTensor } from "../../src/ops/quantize/reinterpret.ts";
import { quantizedRelu } from "../../src/ops/quantized/activations.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const options = [{}, { build: "simd" }] as const;
const sizes = { inChannels: 5, outChannels: 9, size: 7, kernel: 3, stride: 1, groups: 1 };
const models = [
  ["conv", convModel(sizes, "qdq"), [1, 5, 7, 7]],
  ["qlinearConv", convModel(sizes, "qoperator"), [1, 5, 7, 7]],
  ["depthwise", convModel({ ...sizes, inChannels: 9, groups: 9 }, "qdq"), [1, 9, 7, 7]],
  ["gemm", gemmModel(3, 20, 10, "qdq-gemm"), [3, 20]],
] as const;

describe.each(models)("bytes in, bytes out: %s", (_, model, shape) => {
  const module = importOnnx(model);
  const x = new Tensor(
    "uint8",
    shape,
    randomBytes(
      shape.reduce<number>((a, b) => a * b, 1),
      1,
    ),
  );
  const expected = interpret(prepareGraph(module.graph), [x])[0]!;

  test.each(options)("engine %j", (engine) => {
    const executable = compile(module, { engine: new Engine(engine) });
    const y = executable.runOne(x);
    expect(y.dtype).toBe("uint8");
    expect([...y.data]).toEqual([...expected.data]);
    executable.dispose();
  });
});

test("a lowered graph in a file gives the same bytes and stays as it is", () => {
  for (const [, model, shape] of models) {
    const module = importOnnx(model);
    const bytes = randomBytes(
      shape.reduce<number>((a, b) => a * b, 1),
      2,
    );
    const x = new Tensor("uint8", shape, bytes);
    const lowered = lower(module);
    const loaded = loadGraph(saveGraph(lowered));
    expect(printGraph(lower(loaded).graph)).toBe(printGraph(lowered.graph));
    const [executable, stored] = [compile(module), compile(loaded)];
    expect([...stored.runOne(x).data]).toEqual([...executable.runOne(x).data]);
    executable.dispose();
    stored.dispose();
  }
});

class Pooled extends Module<[Tensor], Tensor> {
  override forward(x: Tensor): Tensor {
    return intRepr(quantizedRelu(maxPool2d(makePerTensorQuantizedTensor(x, 0.1, 3), 2)));
  }
}

// No product here, so that the way bytes are stored on a signed machine can be tried on any.
test.each(["uint8", "int8"] as const)(
  "%s images in and out where bytes are stored with the top bit flipped",
  (dtype) => {
    const bytes = randomBytes(2 * 3 * 4 * 6, 1);
    const x = new Tensor(dtype, [2, 3, 4, 6], dtype === "int8" ? new Int8Array(bytes.buffer) : bytes);
    const module = capture(new Pooled(), [x]);
    const executable = compile(module, { engine: new Engine({ dot: "signed" }) });
    const y = executable.runOne(x);
    expect(y.dtype).toBe(dtype);
    expect([...y.data]).toEqual([...interpret(module.graph, [x])[0]!.data]);
    executable.dispose();
  },
);
