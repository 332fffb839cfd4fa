/**
 * Every lowering pair, both sides run on random integers, scales and zero points: equal for operators that choose,
 * move or join; at most one step apart, and seldom, for those that compute (the derivations stand above the rules).
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GraphModule, capture } from "../../../src/graph/index.ts";
import { runPasses } from "../../../src/graph/rewrite.ts";
import { Module } from "../../../src/nn/index.ts";
import {
  adaptiveAvgPool2d, add, avgPool2d, cat, clamp, conv1d, conv2d, hardswish, hardtanh, leakyRelu, linear, matmul, maxPool2d, mean, mul, pad, permute, relu, relu6,
  reshape, sigmoid, slice, transpose,
} from "../../../src/ops/index.ts"; // prettier-ignore
import {
  decomposedDequantizePerChannel,
  decomposedDequantizePerTensor,
  decomposedQuantizePerTensor,
} from "../../../src/ops/quantize/decomposed.ts";
import type { DecomposedAttrs } from "../../../src/ops/quantize/decomposed.ts";
import { lowerQuantized } from "../../../src/quantization/lower/index.ts";
import { fromArray } from "../../../src/tensor/create.ts";
import { allocate, dtypeInfo } from "../../../src/tensor/dtype.ts";
import { numel } from "../../../src/tensor/shape.ts";
import { Generator } from "../../../src/tensor/random.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";

const RUNS = 30;
/** Share of results that may fall on the other side of a tie. */
const SELDOM = 0.02;

interface Case {
  readonly seed: number;
  readonly dtype: "int8" | "uint8";
  readonly scale: number;
  readonly zeroPoint: number;
  readonly outScale: number;
  readonly outZeroPoint: number;
  readonly reduced: boolean;
}

const cases: fc.Arbitrary<Case> = fc.record({
  seed: fc.integer({ min: 1, max: 1e6 }),
  dtype: fc.constantFrom("int8", "uint8"),
  scale: fc.double({ min: 0.005, max: 0.1, noNaN: true }),
  zeroPoint: fc.integer({ min: 0, max: 255 }),
  outScale: fc.double({ min: 0.01, max: 0.5, noNaN: true }),
  outZeroPoint: fc.integer({ min: 0, max: 255 }),
  reduced: fc.boolean(),
});

/** Quantize and dequantize of one side, in the case's dtype. */
class Side {
  readonly attrs: DecomposedAttrs;
  private readonly scale: number;
  private readonly zeroPoint: number;

  constructor({ dtype, reduced }: Case, scale: number, zeroPoint: number) {
    const { min, max } = dtypeInfo[dtype];
    this.attrs = { dtype, quantMin: min, quantMax: reduced ? max - 100 : max };
    this.scale = Math.fround(scale);
    this.zeroPoint = Math.min(zeroPoint + min, this.attrs.quantMax);
  }

  read(q: Tensor): Tensor {
    return decomposedDequantizePerTensor(q, this.scale, this.zeroPoint, this.attrs);
  }

  write(x: Tensor): Tensor {
    return decomposedQuantizePerTensor(x, this.scale, this.zeroPoint, this.attrs);
  }
}

interface Sides {
  readonly a: Side;
  readonly b: Side;
  readonly out: Side;
  readonly random: Generator;
}

class Program extends Module<Tensor[], Tensor> {
  private readonly body: (q: readonly Tensor[]) => Tensor;

  constructor(body: (q: readonly Tensor[]) => Tensor) {
    super();
    this.body = body;
  }

  forward(...inputs: Tensor[]): Tensor {
    return this.body(inputs);
  }
}

function integers(random: Generator, dtype: "int8" | "uint8", shape: readonly number[], high?: number): Tensor {
  const { min, max } = dtypeInfo[dtype];
  const data = allocate(dtype, numel(shape));
  for (let i = 0; i < data.length; i++) data[i] = Math.min(min + Math.floor(random.uniform() * 256), high ?? max);
  return new Tensor(dtype, shape, data);
}

function stored(random: Generator, shape: readonly number[], perChannel: boolean): Tensor {
  const weight = integers(random, "int8", shape);
  const attrs: DecomposedAttrs = { dtype: "int8", quantMin: -127, quantMax: 127 };
  if (!perChannel) return decomposedDequantizePerTensor(weight, 0.01, 0, attrs);
  const scales = fromArray(
    Array.from({ length: shape[0]! }, () => 0.002 + random.uniform() / 64),
    [shape[0]!],
  );
  return decomposedDequantizePerChannel(
    weight,
    scales,
    fromArray(
      Array.from(scales.data, () => 0),
      [shape[0]!],
      "int64",
    ),
    0,
    attrs,
  );
}

function biases(random: Generator, channels: number): Tensor {
  return fromArray(
    Array.from({ length: channels }, () => random.uniform() * 2 - 1),
    [channels],
  );
}

interface Pair {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  /** The integer operator that must be in the lowered graph. */
  readonly integer: string;
  /** Both sides have the input's parameters. */
  readonly shares?: boolean;
  /** Equal integers; else at most a step apart. */
  readonly exact?: boolean;
  /** Share of results that are exact ties: averages of an even number of integers. */
  readonly ties?: number;
  readonly body: (sides: Sides, q: readonly Tensor[]) => Tensor;
}

const image = [2, 3, 6, 5];
const one = (name: string, integer: string, f: (x: Tensor) => Tensor, options: Partial<Pair> = {}): Pair => ({
  name,
  integer,
  shapes: [image],
  shares: true,
  body: ({ a, out }, [q]) => out.write(f(a.read(q!))),
  ...options,
});
const two = (name: string, integer: string, f: (x: Tensor, y: Tensor) => Tensor): Pair => ({
  name,
  integer,
  shapes: [image, image],
  body: ({ a, b, out }, [p, q]) => out.write(f(a.read(p!), b.read(q!))),
});
const layer = (
  name: string,
  integer: string,
  shape: readonly number[],
  f: (x: Tensor, sides: Sides) => Tensor,
): Pair => ({
  name,
  integer,
  shapes: [shape],
  body: (sides, [q]) => sides.out.write(f(sides.a.read(q!), sides)),
});

const pairs: readonly Pair[] = [
  layer("conv2d", "quantizedConv", image, (x, { random }) =>
    conv2d(x, stored(random, [4, 3, 3, 3], false), biases(random, 4), { padding: 1 }),
  ),
  layer("conv2d, relu, weights by channel", "quantizedConv", image, (x, { random }) =>
    relu(conv2d(x, stored(random, [4, 3, 3, 3], true), biases(random, 4), { stride: 2 })),
  ),
  layer("conv1d without bias", "quantizedConv", [2, 3, 9], (x, { random }) =>
    conv1d(x, stored(random, [4, 3, 3], true), null),
  ),
  layer("grouped conv2d", "quantizedConv", [1, 4, 5, 5], (x, { random }) =>
    conv2d(x, stored(random, [4, 1, 3, 3], true), biases(random, 4), { groups: 4 }),
  ),
  layer("conv2d, relu6", "quantizedClamp", image, (x, { random }) =>
    relu6(conv2d(x, stored(random, [4, 3, 3, 3], true), biases(random, 4))),
  ),
  layer("linear", "quantizedLinear", [5, 12], (x, { random }) =>
    linear(x, stored(random, [7, 12], false), biases(random, 7)),
  ),
  layer("linear, relu, weights by row", "quantizedLinear", [2, 5, 12], (x, { random }) =>
    relu(linear(x, stored(random, [7, 12], true), null)),
  ),
  two("add", "quantizedAdd", add),
  two("add, relu", "quantizedAdd", (x, y) => relu(add(x, y))),
  two("mul", "quantizedMul", mul),
  two("mul, relu", "quantizedMul", (x, y) => relu(mul(x, y))),
  two("matmul", "quantizedMatmul", (x, y) => matmul(x, transpose(y, -1, -2))),
  one("relu", "quantizedRelu", relu, { exact: true }),
  one("maxPool2d", "maxPool2d", (x) => maxPool2d(x, 2), { exact: true }),
  one("reshape", "reshape", (x) => reshape(x, [2, -1]), { exact: true }),
  one("pad", "pad", (x) => pad(x, [1, 2, 0, 1, 0, 3]), { exact: true }),
  one("two moves", "pad", (x) => pad(slice(x, 2, 0, 6, 2), [0, 0, 0, 0, 1, 1]), { exact: true }),
  one("permute", "permute", (x) => permute(x, [0, 2, 3, 1]), { exact: true }),
  one("relu6", "quantizedClamp", relu6),
  one("hardtanh", "quantizedClamp", (x) => hardtanh(x, { minVal: -0.3, maxVal: 0.7 })),
  one("clamp", "quantizedClamp", (x) => clamp(x, -0.2, null)),
  one("avgPool2d", "quantizedAvgPool2d", (x) => avgPool2d(x, 3, { stride: 1, padding: 1 })),
  one("adaptiveAvgPool2d", "quantizedAdaptiveAvgPool2d", (x) => adaptiveAvgPool2d(x, 2)),
  one("mean", "quantizedMean", (x) => mean(x, [2, 3]), { ties: 1 / 30 }),
  one("sigmoid", "quantizedSigmoid", sigmoid, { shares: false }),
  one("hardswish", "quantizedHardswish", hardswish, { shares: false }),
  one("leakyRelu", "quantizedLeakyRelu", leakyRelu, { shares: false }),
  {
    name: "cat",
    integer: "quantizedCat",
    shapes: [image, image],
    shares: true,
    exact: true,
    body: ({ a, out }, [p, q]) => out.write(cat([a.read(p!), a.read(q!)], 1)),
  },
];

/** How far apart the integers of the graph and of its lowered form are. */
function distances(pair: Pair, drawn: Case): number[] {
  const inputs = new Generator(drawn.seed);
  const a = new Side(drawn, drawn.scale, drawn.zeroPoint);
  const out = pair.shares ? a : new Side(drawn, drawn.outScale, drawn.outZeroPoint);
  const b = new Side(drawn, drawn.scale * 0.7, 255 - drawn.zeroPoint);
  const high = a.attrs.quantMax;
  const tensors = pair.shapes.map((shape) => integers(inputs, drawn.dtype, shape, high));
  const program = new Program((q) => pair.body({ a, b, out, random: new Generator(drawn.seed + 1) }, q));
  const graph = capture(program, tensors, { dynamicBatch: false });
  const lowered = new GraphModule(runPasses(graph.graph.cloneWithMap().graph, lowerQuantized));
  const targets = lowered.graph.nodes.map(({ target }) => target);
  expect(targets).toContain(pair.integer);
  expect(targets).not.toContain("decomposedQuantizePerTensor");
  const [expected, actual] = [graph.run(...tensors), lowered.run(...tensors)];
  expect(actual.dtype).toBe(expected.dtype);
  return [...expected.data].map((v, i) => Math.abs(v - actual.data[i]!));
}

describe("lowering pairs", () => {
  test.each(pairs.map((pair) => [pair.name, pair] as const))("%s", (_, pair) => {
    let [results, differing] = [0, 0];
    fc.assert(
      fc.property(cases, (drawn) => {
        const far = distances(pair, drawn);
        results += far.length;
        differing += far.filter((d) => d > 0).length;
        expect(Math.max(...far)).toBeLessThanOrEqual(pair.exact ? 0 : 1);
      }),
      { numRuns: RUNS },
    );
    expect(differing / results).toBeLessThanOrEqual(SELDOM + (pair.ties ?? 0));
  });
});
