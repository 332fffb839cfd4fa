/**
 * What each way of quantizing gives, as a file in both forms: onnxruntime and the engine compute the same numbers from it, and
 * they are those of the model it was made of but for biases as int32 and values halfway between two integers.
 */

import { describe, expect, test } from "vitest";
import { DigitsNet, digitsFusions } from "../../../examples/models/digits-net.ts";
import { capture } from "../../../src/graph/index.ts";
import type { GraphModule } from "../../../src/graph/index.ts";
import type { Module } from "../../../src/nn/module.ts";
import { compile } from "../../../src/compile/index.ts";
import { exportOnnx, importOnnx } from "../../../src/onnx/index.ts";
import { openSession } from "../../../examples/lib/onnxruntime.ts";
import { convert, fuseModules, prepare } from "../../../src/quantization/eager/index.ts";
import { getDefaultQConfig } from "../../../src/quantization/index.ts";
import * as fx from "../../../src/quantization/fx/index.ts";
import { XnnpackQuantizer, convertPt2e, getSymmetricQuantizationConfig, preparePt2e } from "../../../src/quantization/pt2e/index.ts"; // prettier-ignore
import { decodeMessage } from "../../../src/onnx/schema.ts";
import { manualSeed } from "../../../src/tensor/context.ts";
import { randn } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

const images = (seed: number, count = 16): Tensor => randn([count, 1, 8, 8], { generator: new Generator(seed) });

function net(): DigitsNet {
  manualSeed(5);
  const model = new DigitsNet();
  model.forward(images(1));
  model.eval();
  return model;
}

const flows: Readonly<Record<string, () => GraphModule>> = {
  "eager, qnnpack": () => eager("qnnpack"),
  "eager, x86": () => eager("x86"),
  FX: () => {
    const prepared = fx.prepareFx(net(), fx.getDefaultQConfigMapping("x86"), [images(1)]);
    prepared.forward(images(2));
    return fx.convertFx(prepared);
  },
  "FX, reference": () => {
    const prepared = fx.prepareFx(net(), fx.getDefaultQConfigMapping("qnnpack"), [images(1)]);
    prepared.forward(images(2));
    return fx.convertToReferenceFx(prepared);
  },
  PT2E: () => {
    const config = getSymmetricQuantizationConfig({ isPerChannel: true });
    const prepared = preparePt2e(capture(net(), [images(1)]), new XnnpackQuantizer().setGlobal(config));
    prepared.forward(images(2));
    return convertPt2e(prepared);
  },
};

function eager(engine: "x86" | "qnnpack"): GraphModule {
  const model: Module<[Tensor], Tensor> = fuseModules(net(), digitsFusions);
  model.qconfig = getDefaultQConfig(engine);
  const prepared = prepare(model);
  prepared.forward(images(2));
  return capture(convert(prepared), [images(1)]);
}

function sqnr(expected: Tensor, got: Tensor): number {
  let [signal, noise] = [0, 0];
  expected.data.forEach((v, i) => {
    signal += v * v;
    noise += (v - got.data[i]!) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}

/** dB by which biases rounded to int32 leave the model's own results; these networks have few and small layers. */
const INTEGER_BIAS = 35;
/**
 * dB by which a graph that computes in floats between its pairs leaves its integers: sums of floats round some values that lie
 * halfway the other way, and a step in an early layer goes on through the later ones.
 */
const TIES = 35;

describe.each(Object.keys(flows))("%s", (name) => {
  const module = flows[name]!();
  const x = images(3);
  const expected = module.run(x);

  const compiled = (model: GraphModule): Tensor => {
    const executable = compile(model);
    const y = executable.runOne(x);
    executable.dispose();
    return y;
  };

  test("with the biases of the model, the engine computes the model", () => {
    const y = compiled(importOnnx(exportOnnx(module)));
    const has = (target: string): boolean => module.graph.nodes.some((node) => node.target === target);
    if (has("quantizedConv")) expect(Array.from(y.data)).toEqual(Array.from(expected.data));
    else if (has("decomposedQuantizePerTensor")) expect(Array.from(y.data)).toEqual(Array.from(compiled(module).data));
    else expect(sqnr(expected, y)).toBeGreaterThan(TIES);
  });

  test.each(["qdq", "qoperator"] as const)("%s with integer biases: engine and onnxruntime agree", async (format) => {
    const bytes = exportOnnx(module, { format, integerBias: true });
    const y = compiled(importOnnx(bytes));
    expect(sqnr(expected, y)).toBeGreaterThan(INTEGER_BIAS);
    const [theirs] = await (await openSession(bytes))(x);
    expect(Array.from(y.data)).toEqual(Array.from(theirs!));
  });

  test("as operators on integers, no layer is left in float", () => {
    const operators = decodeMessage("ModelProto", exportOnnx(module, { format: "qoperator" })).graph!.node.map(
      ({ opType }) => opType,
    );
    expect(operators.filter((type) => type === "QLinearConv")).toHaveLength(6);
    expect(operators.filter((type) => /^(Conv|Gemm|MatMul|Add)$/.test(type))).toEqual([]);
  });
});
