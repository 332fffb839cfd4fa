/** Float linear layers with weights in integers: kept so by a plan for few rows, and the interpreter's results either way. */

import { describe, expect, test } from "vitest";
import { compile, lower } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { capture } from "../../src/graph/capture.ts";
import { F32_BUDGET } from "../../src/kernels/budget.ts";
import { Module } from "../../src/nn/module.ts";
import { linear } from "../../src/ops/linear.ts";
import { dequantizeAffine } from "../../src/ops/quantize/affine.ts";
import { decomposedDequantizePerChannel, decomposedDequantizePerTensor } from "../../src/ops/quantize/decomposed.ts";
import { abs } from "../../src/ops/unary.ts";
import { fromArray, rand, randn } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const generator = new Generator(8);
const [DEPTH, CHANNELS] = [36, 21];

function integers(low: number, high: number, depth = DEPTH): Tensor {
  const values = Array.from(
    rand([CHANNELS * depth], { generator }).data,
    (v) => low + Math.floor(v * (high - low + 1)),
  );
  return fromArray(values, [CHANNELS, depth], "int8");
}

const bias = randn([CHANNELS], { generator });
const positive = (shape: readonly number[]): Tensor => fromArray(Array.from(rand(shape, { generator }).data, (v) => v + 0.01), shape); // prettier-ignore
const bytes = { quantMin: -128, quantMax: 127, dtype: "int8" } as const;
const nibbles = { quantMin: -8, quantMax: 7 } as const;

interface Case {
  readonly weight: () => Tensor;
  readonly depth?: number;
  readonly bits: 4 | 8;
}

const [q8, q4, odd] = [integers(-128, 127), integers(-8, 7), integers(-8, 7, 35)];
const [channelScales, groupScales] = [positive([CHANNELS]), positive([CHANNELS, DEPTH / 12])];
const channelZeros = fromArray(Array.from({ length: CHANNELS }, (_, i) => i - 9), [CHANNELS], "int64"); // prettier-ignore
const groupZeros = fromArray(Array.from({ length: groupScales.numel }, (_, i) => (i % 5) - 2), groupScales.shape, "int8"); // prettier-ignore

const cases: Readonly<Record<string, Case>> = {
  "a scale in all": { weight: () => decomposedDequantizePerTensor(q8, 0.02, 3, bytes), bits: 8 },
  "a scale a channel": {
    weight: () => decomposedDequantizePerChannel(q8, channelScales, channelZeros, 0, bytes),
    bits: 8,
  },
  "four bits in groups": {
    weight: () => dequantizeAffine(q4, [1, 12], groupScales, groupZeros, nibbles),
    bits: 4,
  },
  "four bits, odd depth, one group": {
    weight: () => dequantizeAffine(odd, [1, 35], channelScales, null, nibbles),
    depth: 35,
    bits: 4,
  },
};

class Layer extends Module<[Tensor], Tensor> {
  private readonly weight: () => Tensor;
  constructor(weight: () => Tensor) {
    super();
    this.weight = weight;
  }
  override forward(x: Tensor): Tensor {
    return linear(x, this.weight(), bias);
  }
}

const engines = [{}, { build: "simd" }, { threads: 2 }] as const;

describe.each(Object.entries(cases))("%s", (_, { weight, depth = DEPTH, bits }) => {
  const module = capture(new Layer(weight), [randn([2, depth], { generator })]);

  test.each(engines)("%o", (options) => {
    const engine = new Engine(options);
    const executable = compile(module, { engine });
    for (const rows of [1, 3, 8, 9]) {
      const x = randn([rows, depth], { generator });
      const [y, expected] = [executable.runOne(x), module.run(x)];
      const magnitude = linear(abs(x), abs(weight()), abs(bias));
      y.data.forEach((v, i) => {
        expect(Math.abs(v - expected.data[i]!)).toBeLessThanOrEqual(F32_BUDGET * magnitude.data[i]!);
      });
    }
    executable.dispose();
    engine.dispose();
  });

  test("few rows read integers, many read floats", () => {
    const executable = compile(module);
    const kernelOf = (rows: number): string =>
      executable
        .explain([randn([rows, depth], { generator })], { repeats: 1 })
        .steps.find(({ node, precision }) => precision === "float" && node.includes("weightOnlyLinear"))!.kernel;
    expect(kernelOf(1)).toBe(`int${bits} weights 1x32`);
    expect(kernelOf(8)).toBe(`int${bits} weights 4x8`);
    expect(kernelOf(9)).toContain("f32 gemm");
    executable.dispose();
  });

  test("interpreted, it is the layer it came from", () => {
    const x = randn([4, depth], { generator });
    expect(Array.from(lower(module).run(x).data)).toEqual(Array.from(module.run(x).data));
  });
});
