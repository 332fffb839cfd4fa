import { describe, expect, test } from "vitest";
import { capture } from "../../../src/graph/capture.ts";
import type { GraphModule } from "../../../src/graph/graph-module.ts";
import type { Graph, Node } from "../../../src/graph/graph.ts";
import { Conv2d, Linear, Module, ReLU } from "../../../src/nn/index.ts";
import { add } from "../../../src/ops/index.ts";
import "../../../src/ops/methods.ts";
import { HistogramObserver } from "../../../src/quantization/observers/histogram.ts";
import { MinMaxObserver, PerChannelMinMaxObserver } from "../../../src/quantization/observers/min-max.ts";
import { QuantizationAnnotation, annotate } from "../../../src/quantization/pt2e/annotation.ts";
import { convertPt2e } from "../../../src/quantization/pt2e/convert-pt2e.ts";
import { preparePt2e } from "../../../src/quantization/pt2e/prepare.ts";
import { ComposableQuantizer, Quantizer } from "../../../src/quantization/pt2e/quantizer.ts";
import { QuantizationSpec, SharedQuantizationSpec } from "../../../src/quantization/pt2e/spec.ts";
import type { QSpec } from "../../../src/quantization/pt2e/spec.ts";
import { manualSeed } from "../../../src/tensor/context.ts";
import { randn } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

const activation = new QuantizationSpec({
  dtype: "uint8",
  quantMin: 0,
  quantMax: 255,
  qscheme: "per_tensor_affine",
  observerOrFakeQuantCtr: HistogramObserver,
});
const weight = new QuantizationSpec({
  dtype: "int8",
  quantMin: -127,
  quantMax: 127,
  qscheme: "per_channel_symmetric",
  chAxis: 0,
  observerOrFakeQuantCtr: PerChannelMinMaxObserver,
});

/** dB that 8 bits must reach on the data they were calibrated with. */
const MIN_SQNR = 30;

function sqnr(a: Tensor, b: Tensor): number {
  const energy = (values: readonly number[]): number => values.reduce((sum, v) => sum + v * v, 0);
  return 10 * Math.log10(energy([...a.data]) / energy([...a.data].map((v, i) => v - b.data[i]!)));
}

/** Annotates inputs, weight and output of the named operators. */
class Simple extends Quantizer {
  private readonly targets: readonly string[];
  private readonly output: (node: Node) => QSpec | null;

  constructor(targets: readonly string[], output: (node: Node) => QSpec | null = () => activation) {
    super();
    this.targets = targets;
    this.output = output;
  }

  annotate(graph: Graph): void {
    for (const node of graph.nodes.filter(({ target }) => this.targets.includes(target))) {
      const [x, second] = node.inputs;
      const weighted = node.target !== "add";
      const inputs = new Map<NonNullable<typeof x>, QSpec | null>([[x!, activation]]);
      if (second) inputs.set(second, weighted ? weight : activation);
      annotate(node, new QuantizationAnnotation({ inputQspecMap: inputs, outputQspec: this.output(node) }));
    }
  }
}

class Net extends Module {
  conv = new Conv2d(3, 4, 3, { padding: 1 });
  relu = new ReLU();
  conv2 = new Conv2d(4, 4, 3, { padding: 1 });
  fc = new Linear(4 * 16, 5);

  forward(x: Tensor): Tensor {
    const y = this.relu.forward(this.conv.forward(x));
    return this.fc.forward(add(this.conv2.forward(y), y).flatten(1));
  }
}

manualSeed(1);
const net = new Net().eval();
const captured = (): GraphModule => capture(net, [randn([2, 3, 4, 4])]);
const targets = (graph: Graph): string[] =>
  graph.nodes
    .filter(({ kind }) => kind === "operator" || kind === "module")
    .map((node) => (node.kind === "module" ? "observer" : node.target));

test("prepare observes each tensor once and convert gives quantize and dequantize pairs", () => {
  const prepared = preparePt2e(captured(), new Simple(["conv2d", "linear"]));
  expect(targets(prepared.graph).filter((name) => name === "observer")).toHaveLength(3 + 3 + 3);
  const x = randn([8, 3, 4, 4]);
  prepared.run(x);
  const converted = convertPt2e(prepared);
  const names = targets(converted.graph);
  expect(names.filter((name) => name === "decomposedQuantizePerTensor")).toHaveLength(6);
  expect(names.filter((name) => name === "decomposedDequantizePerChannel")).toHaveLength(3);
  expect(names).not.toContain("decomposedQuantizePerChannel");
  expect([...converted.graph.attributes.values()].filter(({ dtype }) => dtype === "int8")).toHaveLength(3);
  expect(sqnr(net.forward(x), converted.run(x))).toBeGreaterThan(MIN_SQNR);
});

test("readers of one tensor with equal specs share its observer", () => {
  const prepared = preparePt2e(captured(), new Simple(["add", "conv2d"]));
  const modules = [...prepared.graph.modules.values()];
  expect(new Set(modules).size).toBe(modules.length);
  const relu = prepared.graph.nodes.find(({ target }) => target === "relu")!;
  expect(relu.output.users.map(({ kind }) => kind)).toEqual(["module"]);
});

describe("bad annotations", () => {
  test("a spec that refers to nothing", () => {
    const quantizer = new Simple(["conv2d"], (node) => new SharedQuantizationSpec([node.inputs[2]!, node]));
    expect(() => preparePt2e(captured(), quantizer)).toThrow(/refers to an edge or node that has no annotation/);
  });

  test("specs that share in a circle", () => {
    class Circle extends Quantizer {
      annotate(graph: Graph): void {
        const [a, b] = graph.nodes.filter(({ target }) => target === "conv2d");
        annotate(a!, new QuantizationAnnotation({ outputQspec: new SharedQuantizationSpec(b!.output) }));
        annotate(b!, new QuantizationAnnotation({ outputQspec: new SharedQuantizationSpec(a!.output) }));
      }
    }
    expect(() => preparePt2e(captured(), new Circle())).toThrow(/circle/);
  });

  test("a range outside the dtype", () => {
    expect(
      () => new QuantizationSpec({ dtype: "int8", quantMin: 0, quantMax: 255, observerOrFakeQuantCtr: MinMaxObserver }),
    ).toThrow(/within the dtype/);
  });

  test("convert before calibration", () => {
    expect(() => convertPt2e(preparePt2e(captured(), new Simple(["linear"])))).toThrow(
      /saw no data.*watches = %fc_weight.*Calibrate first/s,
    );
  });

  test("a composed quantizer that overwrites another's annotation", () => {
    const composed = new ComposableQuantizer([new Simple(["conv2d"]), new Simple(["conv2d", "linear"])]);
    expect(() => preparePt2e(captured(), composed)).toThrow(/changed an annotation.*quantizer = Simple/s);
  });
});
