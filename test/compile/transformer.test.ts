/** Transformers and recurrent networks compiled without fallback, by every build: floats within the budget of the interpreter. */

import { describe, expect, test } from "vitest";
import { SequenceClassifier } from "../../examples/models/lstm-plain.ts";
import { lower } from "../../src/compile/index.ts";
import { capture } from "../../src/graph/capture.ts";
import { GRU, LSTM, TransformerEncoder, TransformerEncoderLayer } from "../../src/nn/index.ts";
import { argmax } from "../../src/ops/index.ts";
import "../../src/ops/methods.ts";
import { convertFx, getDefaultQConfigMapping, prepareFx } from "../../src/quantization/fx/index.ts";
import {
  XnnpackQuantizer, convertPt2e, getSymmetricQuantizationConfig, preparePt2e,
} from "../../src/quantization/pt2e/index.ts"; // prettier-ignore
import { manualSeed } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectCompiled, expectCompiledFn } from "./support.ts";
import { IntegerEncoder, PATCHES, TextTransformer, VisionTransformer, WIDTH, WORDS } from "./transformers.ts";

manualSeed(47);

/** Two encoder layers, each with four products behind one another: errors of one are carried on by the next. */
const TRANSFORMER_BUDGET = 5e-6;

/** Softmax and layer norm stay float there: a step of 8 bits where a value falls on the other side of a tie, carried on. */
const PT2E_BUDGET = 0.05;

test("of images", () => {
  const model = new VisionTransformer().eval();
  const inputs = [1, 2].map(() => [randn([2, 3, 12, 12])]);
  const kernels = expectCompiled(capture(model, inputs[0]!), inputs, { budget: TRANSFORMER_BUDGET });
  expect(kernels.filter((kernel) => kernel === "f32 layerNorm")).toHaveLength(5);
  expect(kernels).toContain("f32 gelu");
});

/** int64 tensors hold doubles. */
function indices(shape: readonly number[], of: (i: number) => number): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return new Tensor(
    "int64",
    shape,
    Float64Array.from({ length: count }, (_, i) => of(i)),
  );
}

test("of words", () => {
  const model = new TextTransformer().eval();
  const inputs = [2, 1].map((n) => [
    indices([n, 11], (i) => (i * 7) % WORDS),
    indices([n, 11], (i) => Number(i % 11 < 8)),
  ]);
  const kernels = expectCompiled(capture(model, inputs[0]!), inputs, { budget: TRANSFORMER_BUDGET });
  expect(kernels).toContain("embedding");
});

test("an index that is no row is refused by name", () => {
  const model = new TextTransformer().eval();
  const input = [indices([1, 4], () => WORDS), indices([1, 4], () => 1)];
  const graph = capture(model, [indices([1, 4], () => 0), input[1]!]);
  expect(() => expectCompiled(graph, [input])).toThrow(/an index must be a row of the table/);
});

test.each([
  ["after", { activation: "gelu" }],
  ["before", { normFirst: true, batchFirst: true }],
] as const)("PyTorch's encoder, normalizing %s", (_, options) => {
  const layer = new TransformerEncoderLayer(16, 4, { dimFeedforward: 30, ...options });
  const model = new TransformerEncoder(layer, 2).eval();
  expectCompiledFn((x) => model.forward(x), [randn([6, 3, 16])], TRANSFORMER_BUDGET);
  expectCompiledFn((x) => model.forward(x, { isCausal: true }), [randn([6, 6, 16])], TRANSFORMER_BUDGET);
});

describe("in integers", () => {
  const inputs = [2, 1].map((n) => [randn([n, PATCHES, WIDTH])]);

  test.each(["fbgemm", "x86", "qnnpack"] as const)("an encoder layer quantized by FX for %s, exactly", (engine) => {
    const prepared = prepareFx(new IntegerEncoder().eval(), getDefaultQConfigMapping(engine), inputs[0]!);
    prepared.run(...inputs[0]!);
    const converted = convertFx(prepared);
    const kernels = expectCompiled(converted, inputs, { budget: 0, reference: lower(converted) });
    expect(kernels.filter((kernel) => kernel === "pack, qgemm, quantize")).toHaveLength(2);
    expect(kernels.filter((kernel) => kernel.startsWith("f32"))).toEqual([]);
    for (const kernel of ["qsoftmax", "qlayernorm", "table of 256"]) expect(kernels).toContain(kernel);
  });

  test("an encoder layer quantized by PT2E, its integers within a step of the lowered graph's", () => {
    const quantizer = new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig({ isPerChannel: true }));
    const prepared = preparePt2e(capture(new IntegerEncoder().eval(), inputs[0]!), quantizer);
    prepared.run(...inputs[0]!);
    const converted = convertPt2e(prepared);
    const kernels = expectCompiled(converted, inputs, { budget: PT2E_BUDGET, reference: lower(converted) });
    expect(kernels.filter((kernel) => kernel.startsWith("qgemm"))).toHaveLength(5);
    expect(kernels).toContain("pack, qgemm, quantize");
  });
});

test("indices of the largest are found on the heap, without asking", () => {
  const kernels = expectCompiledFn((x) => argmax(x, -1), [randn([3, 5])]);
  expect(kernels).toContain("reference");
});

test("recurrent networks", () => {
  const [lstm, gru] = [new LSTM(6, 9, { numLayers: 2, bidirectional: true }), new GRU(6, 9)];
  expectCompiledFn((x) => lstm.forward(x)[0], [randn([5, 3, 6])]);
  expectCompiledFn((x) => gru.forward(x)[0], [randn([5, 3, 6])]);
  const classifier = new SequenceClassifier(6, 9, 4).eval();
  expectCompiledFn((x) => classifier.forward(x), [randn([3, 5, 6])]);
});
