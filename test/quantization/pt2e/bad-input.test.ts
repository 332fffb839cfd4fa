/**
 * What the graph mode refuses, and that each refusal names the place and the rule.
 */

import { describe, expect, test } from "vitest";
import { QuantError } from "../../../src/errors.ts";
import { capture } from "../../../src/graph/index.ts";
import type { Graph } from "../../../src/graph/index.ts";
import { BatchNorm2d, Conv2d, Dropout, Linear, Module, ReLU } from "../../../src/nn/index.ts";
import { flatten } from "../../../src/ops/index.ts";
import { MinMaxObserver } from "../../../src/quantization/observers/index.ts";
import {
  ComposableQuantizer, DerivedQuantizationSpec, FixedQParamsQuantizationSpec, QuantizationAnnotation, QuantizationSpec, Quantizer, SharedQuantizationSpec, X86Quantizer,
  XnnpackQuantizer, annotate, convertPt2e, getDefaultX86QuantizationConfig, getSymmetricQuantizationConfig, moveExportedModelToEval,
  moveExportedModelToTrain, preparePt2e, prepareQatPt2e,
} from "../../../src/quantization/pt2e/index.ts"; // prettier-ignore
import { manualSeed } from "../../../src/tensor/context.ts";
import { full, ones, randn } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

class Net extends Module {
  conv = new Conv2d(3, 4, 3);
  relu = new ReLU();
  drop = new Dropout(0.25);
  head = new Linear(4 * 16, 5);

  forward(x: Tensor): Tensor {
    return this.head.forward(flatten(this.drop.forward(this.relu.forward(this.conv.forward(x))), 1));
  }
}

manualSeed(2);
const example = randn([2, 3, 6, 6]);
const captured = (): ReturnType<typeof capture> => capture(new Net().eval(), [example]);
const config = getSymmetricQuantizationConfig();
const int8 = { dtype: "int8", quantMin: -128, quantMax: 127, qscheme: "per_tensor_affine" } as const;
const spec = new QuantizationSpec({ ...int8, observerOrFakeQuantCtr: MinMaxObserver });

/** A quantizer from one function. */
function quantizer(write: (graph: Graph) => void): Quantizer {
  return new (class extends Quantizer {
    override annotate(graph: Graph): void {
      write(graph);
    }
  })();
}

const nodeOf = (graph: Graph, target: string): Graph["nodes"][number] =>
  graph.nodes.find((node) => node.target === target)!;

describe("names that match nothing", () => {
  test("a module name, with near ones", () => {
    expect(() => preparePt2e(captured(), new XnnpackQuantizer().setModuleName("hed", config))).toThrow(
      /hed.*Did you mean head\?/s,
    );
    expect(() => preparePt2e(captured(), new X86Quantizer().setModuleName("convs", null))).toThrow(
      /convs.*Did you mean conv\?/s,
    );
  });

  test("a module type, with those there are", () => {
    expect(() => preparePt2e(captured(), new XnnpackQuantizer().setModuleType(BatchNorm2d, config))).toThrow(
      /BatchNorm2d.*Conv2d, ReLU/s,
    );
  });

  test("a function that cannot be quantized", () => {
    expect(() => new X86Quantizer().setFunctionType("linar", getDefaultX86QuantizationConfig())).toThrow(
      /linar.*linear/s,
    );
  });
});

describe("settings apply to exactly what they name", () => {
  test("one module, and what only hands its values on", () => {
    const prepared = preparePt2e(captured(), new XnnpackQuantizer().setModuleName("conv", config));
    const watched = prepared.graph.nodes
      .filter(({ kind }) => kind === "module")
      .map(({ inputs }) => inputs[0]!.node.target);
    expect(watched).toEqual(["x", "conv.weight", "conv2d", "relu"]);
  });

  test("one operator", () => {
    const prepared = preparePt2e(captured(), new XnnpackQuantizer().setOperatorType("linear", config));
    const watched = prepared.graph.nodes
      .filter(({ kind }) => kind === "module")
      .map(({ inputs }) => inputs[0]!.node.target);
    expect(watched).toEqual(["head.weight", "reshape", "linear"]);
  });

  test("null leaves a module out", () => {
    const prepared = preparePt2e(
      captured(),
      new X86Quantizer().setGlobal(getDefaultX86QuantizationConfig()).setModuleName("conv", null),
    );
    const watched = prepared.graph.nodes
      .filter(({ kind }) => kind === "module")
      .map(({ inputs }) => inputs[0]!.node.target);
    expect(watched).toEqual(["head.weight", "reshape"]);
  });
});

describe("annotations", () => {
  test("a value the node does not read", () => {
    const foreign = quantizer((graph) =>
      annotate(
        nodeOf(graph, "linear"),
        new QuantizationAnnotation({ inputQspecMap: new Map([[graph.inputs[0]!, spec]]) }),
      ),
    );
    expect(() => preparePt2e(captured(), foreign)).toThrow(/names a value its node does not read/);
  });

  test("a node of another graph", () => {
    const other = captured().graph;
    const foreign = quantizer((graph) => {
      const conv = nodeOf(graph, "conv2d");
      annotate(
        conv,
        new QuantizationAnnotation({
          inputQspecMap: new Map([[conv.inputs[0]!, new SharedQuantizationSpec(nodeOf(other, "relu").output)]]),
        }),
      );
    });
    expect(() => preparePt2e(captured(), foreign)).toThrow(
      /refers to an edge or node that has no annotation in this graph/,
    );
  });

  test("derived specs in a circle", () => {
    const circle = quantizer((graph) => {
      const [conv, linear] = [nodeOf(graph, "conv2d"), nodeOf(graph, "linear")];
      const derived = (from: typeof conv): DerivedQuantizationSpec =>
        new DerivedQuantizationSpec({
          ...int8,
          derivedFrom: [from.output],
          deriveQParamsFn: () => ({ scale: ones([1]), zeroPoint: full([1], 0, { dtype: "int32" }) }),
        });
      annotate(conv, new QuantizationAnnotation({ outputQspec: derived(linear) }));
      annotate(linear, new QuantizationAnnotation({ outputQspec: derived(conv) }));
    });
    expect(() => preparePt2e(captured(), circle)).toThrow(/derived from one another in a circle/);
  });

  test("what validate refuses", () => {
    const strict = quantizer(() => undefined);
    strict.validate = () => {
      throw new QuantError("validate", {}, "the target has no dropout");
    };
    expect(() => preparePt2e(captured(), strict)).toThrow(/no dropout/);
  });
});

describe("specs", () => {
  test("parameters outside the dtype", () => {
    expect(() => new FixedQParamsQuantizationSpec({ ...int8, scale: 0, zeroPoint: 0 })).toThrow(
      /scale must be positive/,
    );
    expect(() => new FixedQParamsQuantizationSpec({ ...int8, scale: 1, zeroPoint: 300 })).toThrow(/zeroPoint/);
    expect(() => getSymmetricQuantizationConfig({ actQmin: -200 })).toThrow(/within the dtype/);
    expect(() => new QuantizationSpec({ ...int8, chAxis: -1, observerOrFakeQuantCtr: MinMaxObserver })).toThrow(
      /chAxis/,
    );
  });

  test("configs that train and do not, or static and dynamic", () => {
    const static8 = getDefaultX86QuantizationConfig();
    expect(() =>
      new X86Quantizer().setGlobal(static8).setModuleName("fc", getDefaultX86QuantizationConfig({ isDynamic: true })),
    ).toThrow(/cannot be mixed/);
    expect(() =>
      new X86Quantizer().setGlobal(static8).setModuleName("fc", getDefaultX86QuantizationConfig({ isQat: true })),
    ).toThrow(/cannot be mixed/);
  });
});

describe("the flow", () => {
  test("a module that is no graph, a graph prepared twice, convert before calibration", () => {
    const global = new XnnpackQuantizer().setGlobal(config);
    expect(() => preparePt2e(new Net() as never, global)).toThrow(/captured graph.*capture\(model/s);
    const prepared = preparePt2e(captured(), global);
    expect(() => preparePt2e(prepared, global)).toThrow(/already prepared/);
    expect(() => convertPt2e(prepared)).toThrow(/saw no data/);
  });

  test("inputs of another shape", () => {
    expect(() =>
      preparePt2e(captured(), new XnnpackQuantizer().setGlobal(config)).forward(randn([2, 4, 6, 6])),
    ).toThrow(/captured/);
  });

  test("train and eval keep the settings of dropout", () => {
    const prepared = prepareQatPt2e(
      capture(new Net().train(), [example]),
      new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig({ isQat: true })),
    );
    const dropout = (): unknown => nodeOf(prepared.graph, "dropout").attrs;
    const before = dropout();
    moveExportedModelToEval(prepared);
    expect(dropout()).toEqual({ ...(before as object), training: false });
    expect(prepared.run(example).data).toEqual(prepared.run(example).data);
    moveExportedModelToTrain(prepared);
    expect(dropout()).toEqual(before);
  });
});

describe("mistakes that would give a float model without a word", () => {
  const xnnpack = new XnnpackQuantizer();
  const qat = { isQat: true };

  test("a quantizer without any setting, or with null only", () => {
    expect(() => preparePt2e(captured(), xnnpack)).toThrow(/XnnpackQuantizer: it has no setting.*setGlobal/s);
    expect(() => preparePt2e(captured(), new X86Quantizer())).toThrow(QuantError);
    expect(() => preparePt2e(captured(), new X86Quantizer().setModuleName("conv", null))).toThrow(/no setting/);
    expect(() => preparePt2e(captured(), new ComposableQuantizer([]))).toThrow(/no quantizer/);
    expect(() => preparePt2e(captured(), new ComposableQuantizer([xnnpack]))).toThrow(/no setting/);
    expect(() => prepareQatPt2e(captured(), xnnpack)).toThrow(/no setting/);
  });

  test("a config made for the other flow", () => {
    const [training, calibrating] = [getSymmetricQuantizationConfig(qat), config].map((made) =>
      new XnnpackQuantizer().setModuleName("conv", made),
    );
    expect(() => preparePt2e(captured(), training!)).toThrow(/for training.*prepareQatPt2e/s);
    expect(() => prepareQatPt2e(captured(), calibrating!)).toThrow(/for calibration.*isQat: true/s);
    const x86 = new X86Quantizer().setGlobal(getDefaultX86QuantizationConfig(qat));
    expect(() => preparePt2e(captured(), new ComposableQuantizer([x86]))).toThrow(/for training/);
  });

  test("converting what was not prepared, or twice", () => {
    expect(() => convertPt2e(captured())).toThrow(/no observers.*Call preparePt2e/s);
    const prepared = preparePt2e(captured(), new XnnpackQuantizer().setGlobal(config));
    prepared.forward(example);
    expect(() => convertPt2e(convertPt2e(prepared))).toThrow(/already converted/);
    expect(() => convertPt2e(convertPt2e(prepared))).toThrow(QuantError);
    expect(convertPt2e(prepared).run(example).shape).toEqual([2, 5]);
  });

  test("but a quantizer may find nothing, as in PyTorch", () => {
    const idle = preparePt2e(captured(), quantizer(() => undefined)); // prettier-ignore
    const converted = convertPt2e(idle.clone());
    expect([...converted.run(example).data]).toEqual([...idle.run(example).data]);
    expect(() => convertPt2e(converted)).toThrow(/not prepared/);
  });
});

describe("arguments of the wrong kind", () => {
  const wrong = (value: unknown): never => value as never;

  test("are named, with what belongs there", () => {
    expect(() => preparePt2e(captured(), wrong(undefined))).toThrow(/must be a Quantizer.*new X86Quantizer/s);
    expect(() => preparePt2e(captured(), wrong(config))).toThrow(/must be a Quantizer/);
    expect(() => convertPt2e(wrong(new Net()))).toThrow(/needs a prepared graph/);
    expect(() => convertPt2e(wrong(undefined))).toThrow(/needs a prepared graph.*given = undefined/s);
    expect(() => preparePt2e(wrong(null), new XnnpackQuantizer().setGlobal(config))).toThrow(/captured graph/);
    expect(() => new XnnpackQuantizer().setGlobal(wrong(undefined))).toThrow(/QuantizationConfig/);
    expect(() => new X86Quantizer().setGlobal(wrong({ activation: 1 }))).toThrow(/QuantizationConfig/);
    expect(() =>
      capture(
        wrong(() => null),
        [example],
      ),
    ).toThrow(/needs a module/);
  });

  test("shared specs in a circle", () => {
    const circle = quantizer((graph) => {
      const [conv, linear] = [nodeOf(graph, "conv2d"), nodeOf(graph, "linear")];
      annotate(conv, new QuantizationAnnotation({ outputQspec: new SharedQuantizationSpec(linear.output) }));
      annotate(linear, new QuantizationAnnotation({ outputQspec: new SharedQuantizationSpec(conv.output) }));
    });
    expect(() => preparePt2e(captured(), circle)).toThrow(/point at one another in a circle/);
  });
});
