/** Linear layers whose input is quantized by its own range when it is there: compiled as interpreted, bit for bit. */

import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { prepareGraph } from "../../src/compile/prepare.ts";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import { capture } from "../../src/graph/capture.ts";
import { GraphModule } from "../../src/graph/graph-module.ts";
import { Linear, Module, ReLU, Sequential } from "../../src/nn/index.ts";
import "../../src/ops/methods.ts";
import { quantizePerChannel, quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { linearDynamic } from "../../src/ops/quantized/dynamic.ts";
import {
  XnnpackQuantizer,
  convertPt2e,
  getSymmetricQuantizationConfig,
  preparePt2e,
} from "../../src/quantization/pt2e/index.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { full, rand, randn, zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(3);

const [WIDTH, HIDDEN] = [37, 50];

class Net extends Module {
  private readonly first: Tensor;
  private readonly second = quantizePerTensor(randn([9, HIDDEN]), 0.02, 3, "qint8");
  private readonly bias = randn([HIDDEN]);

  constructor() {
    super();
    const scales = rand([HIDDEN], { dtype: "float64" }).mul(0.01).add(0.005);
    this.first = quantizePerChannel(randn([HIDDEN, WIDTH]), scales, zeros([HIDDEN], { dtype: "int64" }), 0, "qint8");
  }

  forward(x: Tensor): Tensor {
    const y = linearDynamic(x, this.first, this.bias, { relu: true });
    return linearDynamic(y, this.second, null, { reduceRange: false });
  }
}

const relaxed = hasRelaxedSimd() ? ([{ build: "relaxed", dot: "unusable" }] as const) : [];
const engines = [{}, { build: "simd" }, ...relaxed, { threads: 2 }] as const;
const inputs = (shape: readonly number[]): Tensor[] => [
  randn(shape),
  randn(shape).mul(1e-6),
  randn(shape).add(30),
  zeros(shape),
  full(shape, -3),
];

describe.each(engines)("engine %j", (options) => {
  test("linearDynamic", () => {
    const engine = new Engine(options);
    const graph = capture(new Net(), [randn([2, 3, WIDTH])]);
    const executable = compile(graph, { engine });
    for (const shape of [
      [1, 1, WIDTH],
      [2, 3, WIDTH],
      [100, 7, WIDTH],
    ]) {
      const captured = capture(new Net(), [randn(shape)]);
      const own = compile(captured, { engine });
      for (const x of inputs(shape)) expect(own.runOne(x).data).toEqual(captured.run(x).data);
      own.dispose();
    }
    const x = randn([2, 3, WIDTH]);
    const { steps } = executable.explain([x], { repeats: 1 });
    expect(steps.filter(({ precision }) => precision === "int8")).toHaveLength(2);
    executable.dispose();
    engine.dispose();
  });

  test("PT2E with dynamic activations", () => {
    const engine = new Engine(options);
    const model = new Sequential(new Linear(WIDTH, HIDDEN), new ReLU(), new Linear(HIDDEN, 9)).eval();
    const config = getSymmetricQuantizationConfig({ isPerChannel: true, isDynamic: true });
    const prepared = preparePt2e(capture(model, [randn([4, WIDTH])]), new XnnpackQuantizer().setGlobal(config));
    prepared.forward(randn([4, WIDTH]));
    const { graph } = convertPt2e(prepared);
    const lowered = new GraphModule(prepareGraph(graph));
    const executable = compile(graph, { engine });
    for (const rows of [1, 4, 130]) {
      for (const x of inputs([rows, WIDTH])) expect(executable.runOne(x).data).toEqual(lowered.run(x).data);
    }
    const { steps } = executable.explain([randn([4, WIDTH])], { repeats: 1 });
    expect(steps.filter(({ precision }) => precision === "int8")).toHaveLength(2);
    executable.dispose();
    engine.dispose();
  });
});

test("an input that is not finite goes to the reference", () => {
  const graph = capture(new Net(), [randn([2, 3, WIDTH])]);
  const executable = compile(graph);
  const x = randn([2, 3, WIDTH]);
  x.data[5] = NaN;
  let message = "";
  try {
    graph.run(x);
  } catch (error) {
    message = String(error);
  }
  expect(message).toMatch(/min must not exceed max/);
  expect(() => executable.run(x)).toThrow(/min must not exceed max/);
  executable.dispose();
});
