/**
 * Sums in the epilogue of integer convolutions give the bits of the operators they replace: through bytes
 * (quantizedAdd) and as reals (a float sum between dequantize and quantize), on every engine.
 */

import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { prepareGraph } from "../../src/compile/prepare.ts";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import { capture } from "../../src/graph/capture.ts";
import { GraphModule } from "../../src/graph/graph-module.ts";
import { Module } from "../../src/nn/module.ts";
import "../../src/ops/methods.ts";
import { add, conv2d, relu } from "../../src/ops/index.ts";
import {
  decomposedDequantizePerChannel,
  decomposedDequantizePerTensor,
  decomposedQuantizePerChannel,
  decomposedQuantizePerTensor,
} from "../../src/ops/quantize/decomposed.ts";
import { dequantize, quantizePerChannel, quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { quantizedAdd } from "../../src/ops/quantized/arithmetic.ts";
import { quantizedConv2d } from "../../src/ops/quantized/conv.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { rand, randn, zeros } from "../../src/tensor/create.ts";
import { dtypeInfo } from "../../src/tensor/dtype.ts";
import type { QuantizedDType } from "../../src/tensor/dtype.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(5);

const CHANNELS = 16;
const WEIGHT = { dtype: "int8", quantMin: -127, quantMax: 127 } as const;
const PARAMETERS = { scale: 0.5, zeroPoint: 101, relu: false };

function channelWeight(): Tensor {
  const scales = rand([CHANNELS], { dtype: "float64" }).mul(0.01).add(0.005);
  return quantizePerChannel(
    randn([CHANNELS, CHANNELS, 3, 3]),
    scales,
    zeros([CHANNELS], { dtype: "int64" }),
    0,
    "qint8",
  );
}

/** Two blocks: a sum with the input, then one of two convolutions' results. */
class BytesNet extends Module {
  private readonly dtype: QuantizedDType;
  private readonly first = channelWeight();
  private readonly bias = randn([CHANNELS]);
  private readonly second = quantizePerTensor(randn([CHANNELS, CHANNELS, 3, 3]), 0.02, 3, "qint8");
  private readonly side = channelWeight();

  constructor(dtype: QuantizedDType) {
    super();
    this.dtype = dtype;
  }

  forward(x: Tensor): Tensor {
    const z = this.dtype === "qint8" ? -7 : 118;
    const q = quantizePerTensor(x, 0.03, z, this.dtype);
    const a = quantizedConv2d(q, this.first, this.bias, { padding: 1, scale: 0.05, zeroPoint: z + 3, relu: true });
    const b = quantizedAdd(a, q, { scale: 0.07, zeroPoint: z - 9, relu: true });
    const c = quantizedConv2d(b, this.second, this.bias, { padding: 1, scale: 0.4, zeroPoint: z });
    const d = quantizedConv2d(b, this.side, null, { padding: 1, scale: 0.3, zeroPoint: z + 50 });
    return dequantize(quantizedAdd(c, d, { scale: 0.5, zeroPoint: z, relu: false }));
  }
}

const relaxed = hasRelaxedSimd() ? ([{ build: "relaxed", dot: "unusable" }] as const) : [];
const engines = [{}, { build: "simd" }, ...relaxed, { threads: 2 }] as const;

function sums(executable: ReturnType<typeof compile>, x: Tensor): number {
  return executable.explain([x], { repeats: 1 }).steps.filter(({ kernel }) => kernel.endsWith("+ add")).length;
}

describe.each(["quint8", "qint8"] as const)("through bytes, %s", (dtype) => {
  test.each(engines)("compiled equals interpreted, engine %j", (options) => {
    const graph = capture(new BytesNet(dtype), [randn([2, CHANNELS, 4, 8])]);
    const engine = new Engine(options);
    const executable = compile(graph, { engine });
    for (const batch of [1, 3, 100]) {
      const x = randn([batch, CHANNELS, 4, 8]);
      expect(executable.runOne(x).data).toEqual(graph.run(x).data);
      expect(sums(executable, x)).toBe(2);
    }
    executable.dispose();
    engine.dispose();
  });

  test("not where the last elements round in another way", () => {
    const x = randn([1, CHANNELS, 3, 5]);
    const graph = capture(new BytesNet(dtype), [x]);
    const executable = compile(graph);
    expect(executable.runOne(x).data).toEqual(graph.run(x).data);
    expect(sums(executable, x)).toBe(0);
    executable.dispose();
  });
});

/** The form PT2E gives a residual block: integers in and out, floats in between. */
class RealsNet extends Module {
  private readonly dtype: "int8" | "uint8";
  private readonly limit: number;
  private readonly relu: boolean;
  private readonly scales = rand([CHANNELS], { dtype: "float64" }).mul(0.01).add(0.005);
  private readonly weight = decomposedQuantizePerChannel(
    randn([CHANNELS, CHANNELS, 3, 3]),
    this.scales,
    null,
    0,
    WEIGHT,
  );
  private readonly bias = randn([CHANNELS]);

  constructor(dtype: "int8" | "uint8", relu: boolean, limit: number) {
    super();
    this.dtype = dtype;
    this.relu = relu;
    this.limit = limit;
  }

  private fake(x: Tensor, scale: number, zeroPoint: number): Tensor {
    const { min, max } = dtypeInfo[this.dtype];
    const attrs = { dtype: this.dtype, quantMin: min, quantMax: max - this.limit };
    return decomposedDequantizePerTensor(
      decomposedQuantizePerTensor(x, scale, zeroPoint, attrs),
      scale,
      zeroPoint,
      attrs,
    );
  }

  forward(x: Tensor): Tensor {
    const z = this.dtype === "int8" ? -7 : 118;
    const q = this.fake(x, 0.03, z);
    const weight = decomposedDequantizePerChannel(this.weight, this.scales, null, 0, WEIGHT);
    const y = add(q, conv2d(q, weight, this.bias, { padding: 1 }));
    return this.fake(this.relu ? relu(y) : y, 0.09, z - 5);
  }
}

describe.each(["uint8", "int8"] as const)("as reals, %s", (dtype) => {
  test.each(engines.flatMap((options) => [true, false].map((relu) => ({ options, relu }))))(
    "compiled equals the lowered graph, %j",
    ({ options, relu }) => {
      const graph = capture(new RealsNet(dtype, relu, relu ? 0 : 60), [randn([2, CHANNELS, 5, 3])]).graph;
      const lowered = new GraphModule(prepareGraph(graph));
      const engine = new Engine(options);
      const executable = compile(graph, { engine });
      for (const batch of [1, 3, 100]) {
        const x = randn([batch, CHANNELS, 5, 3]);
        expect(executable.runOne(x).data).toEqual(lowered.run(x).data);
        expect(sums(executable, x)).toBe(1);
      }
      executable.dispose();
      engine.dispose();
    },
  );
});

test("a float that something else reads is not taken over", () => {
  class Shared extends RealsNet {
    override forward(x: Tensor): Tensor {
      return add(super.forward(x), x);
    }
  }
  class Twice extends Module {
    private readonly conv = channelWeight();

    forward(x: Tensor): Tensor {
      const q = quantizePerTensor(x, 0.03, 120, "quint8");
      const y = quantizedConv2d(q, this.conv, null, { padding: 1, scale: 0.2, zeroPoint: 99 });
      return dequantize(quantizedAdd(quantizedAdd(y, y, PARAMETERS), quantizedAdd(y, q, PARAMETERS), PARAMETERS));
    }
  }
  const x = randn([2, CHANNELS, 4, 4]);
  for (const [net, count] of [
    [new Shared("uint8", true, 0), 1],
    [new Twice(), 0],
  ] as const) {
    const graph = capture(net, [x]).graph;
    const executable = compile(graph);
    expect(executable.runOne(x).data).toEqual(new GraphModule(prepareGraph(graph)).run(x).data);
    expect(sums(executable, x)).toBe(count);
    executable.dispose();
  }
});
