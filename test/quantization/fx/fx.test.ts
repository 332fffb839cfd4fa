/**
 * FX flows by themselves: settings and what is wrong with them, units, copies, modules kept whole, clones, compiled runs.
 */

import { describe, expect, it } from "vitest";
import { QuantError } from "../../../src/errors.ts";
import { manualSeed, randn, relu, reshape } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import { loadGraph, saveGraph } from "../../../src/graph/index.ts";
import { compile } from "../../../src/compile/index.ts";
import * as nn from "../../../src/nn/index.ts";
import { quantizePerTensor } from "../../../src/ops/quantize/native.ts";
import { defaultQConfig, defaultDynamicQConfig } from "../../../src/quantization/index.ts";
import * as fx from "../../../src/quantization/fx/index.ts";

class Net extends nn.Module {
  conv = new nn.Conv2d(3, 8, 3, { padding: 1, bias: false });
  bn = new nn.BatchNorm2d(8);
  act = new nn.ReLU();
  pool = new nn.MaxPool2d(2);
  fc = new nn.Linear(8 * 16, 4);
  labels = ["a", "b", "c", "d"];
  forward(x: Tensor): Tensor {
    const y = this.pool.forward(this.act.forward(this.bn.forward(this.conv.forward(x))));
    return this.fc.forward(relu(reshape(y, [y.shape[0]!, -1])));
  }
}

function ready(): { model: Net; x: Tensor } {
  manualSeed(3);
  const model = new Net();
  model.eval();
  return { model, x: randn([2, 3, 8, 8]) };
}

const targets = (graph: { nodes: readonly { kind: string; target: string }[] }): string[] =>
  graph.nodes.filter(({ kind }) => kind === "operator").map(({ target }) => target);

describe("prepareFx and convertFx", () => {
  it("leave the model as it was", () => {
    const { model, x } = ready();
    const before = model.forward(x);
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x]);
    prepared.forward(x);
    fx.convertFx(prepared);
    expect(Array.from(model.forward(x).data)).toEqual(Array.from(before.data));
  });

  it("give integer operators throughout, and compiled the interpreter's numbers", () => {
    const { model, x } = ready();
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x]);
    prepared.forward(x);
    const quantized = fx.convertFx(prepared);
    expect(targets(quantized.graph)).toEqual([
      "quantizePerTensor",
      "quantizedConv",
      "maxPool2d",
      "reshape",
      "quantizedRelu",
      "quantizedLinear",
      "dequantize",
    ]);
    const executable = compile(quantized, { fallback: "reference" });
    expect(Array.from(executable.runOne(x).data)).toEqual(Array.from(quantized.run(x).data));
    executable.dispose();
  });

  it("serve any batch size", () => {
    const { model, x } = ready();
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x]);
    prepared.forward(randn([5, 3, 8, 8]));
    expect(fx.convertFx(prepared).run(randn([3, 3, 8, 8])).shape).toEqual([3, 4]);
  });

  it("stay apart from their clones", () => {
    const { model, x } = ready();
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x]);
    const copy = prepared.clone();
    prepared.forward(x);
    expect(() => fx.convertFx(copy)).toThrow(QuantError);
    copy.forward(x);
    expect(Array.from(fx.convertFx(copy).run(x).data)).toEqual(Array.from(fx.convertFx(prepared).run(x).data));
  });

  it("start from a graph that fuseFx gave", () => {
    const { model, x } = ready();
    const fused = fx.fuseFx(model, [x]);
    expect(targets(fused.graph)).not.toContain("batchNorm");
    const prepared = fx.prepareFx(fused, fx.getDefaultQConfigMapping(), [x]);
    const direct = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x]);
    for (const one of [prepared, direct]) one.forward(x);
    expect(Array.from(fx.convertFx(prepared).run(x).data)).toEqual(Array.from(fx.convertFx(direct).run(x).data));
  });

  it("are saved and loaded, weights with one scale a channel included", () => {
    const { model, x } = ready();
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x]);
    prepared.forward(x);
    for (const converted of [fx.convertFx(prepared), fx.convertToReferenceFx(prepared)]) {
      const loaded = loadGraph(saveGraph(converted));
      expect(Array.from(loaded.run(x).data)).toEqual(Array.from(converted.run(x).data));
      expect(loaded.toString()).toBe(converted.toString());
    }
  });

  it("carry attributes along", () => {
    const { model, x } = ready();
    const custom = new fx.PrepareCustomConfig().setPreservedAttributes(["labels"]);
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x], custom);
    prepared.forward(x);
    const convertCustomConfig = new fx.ConvertCustomConfig().setPreservedAttributes(["labels"]);
    expect(fx.convertFx(prepared, { convertCustomConfig }).preserved["labels"]).toEqual(["a", "b", "c", "d"]);
    expect(() =>
      fx.prepareFx(
        model,
        fx.getDefaultQConfigMapping(),
        [x],
        new fx.PrepareCustomConfig().setPreservedAttributes(["label"]),
      ),
    ).toThrow("labels");
  });

  it("read and give integers where asked", () => {
    const { model, x } = ready();
    const custom = new fx.PrepareCustomConfig().setInputQuantizedIndexes([0]).setOutputQuantizedIndexes([0]);
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x], custom);
    prepared.forward(x);
    const quantized = fx.convertFx(prepared, { inputQParams: [{ scale: 0.05, zeroPoint: 60 }] });
    const y = quantized.run(quantizePerTensor(x, 0.05, 60, "quint8"));
    expect([y.dtype, y.shape]).toEqual(["quint8", [2, 4]]);
  });
});

describe("mistakes are named", () => {
  const attempt = (mapping: fx.QConfigMapping) => () => {
    const { model, x } = ready();
    return fx.prepareFx(model, mapping, [x]);
  };

  it.each([
    ["a module name", new fx.QConfigMapping().setModuleName("con", defaultQConfig), "conv"],
    ["a pattern", new fx.QConfigMapping().setModuleNameRegex("block.*", defaultQConfig), "near"],
    ["a type", new fx.QConfigMapping().setObjectType("Conv2D", defaultQConfig), "Conv2d"],
    [
      "a module of an order setting",
      new fx.QConfigMapping().setModuleNameObjectTypeOrder("poool", "relu", 0, null),
      "pool",
    ],
  ])("%s that matches nothing", (_, mapping, near) => {
    expect(attempt(mapping)).toThrow(near);
  });

  it("converting before calibration", () => {
    expect(() => fx.convertFx(attempt(fx.getDefaultQConfigMapping())())).toThrow("saw no data");
  });

  it("converting what was not prepared", () => {
    const { model, x } = ready();
    expect(() => fx.convertFx(fx.symbolicTrace(model, [x]) as fx.ObservedGraphModule)).toThrow("prepareFx");
  });

  it("converting twice, or nothing", () => {
    const { model, x } = ready();
    const prepared = fx.prepareFx(model, fx.getDefaultQConfigMapping(), [x]);
    prepared.forward(x);
    for (const converted of [fx.convertFx(prepared), fx.convertToReferenceFx(prepared)])
      expect(() => fx.convertFx(converted as fx.ObservedGraphModule)).toThrow(/already converted/);
    expect(() => fx.convertFx(null as never)).toThrow(QuantError);
  });

  it("a batch norm in training mode", () => {
    const { model, x } = ready();
    expect(() => fx.prepareFx(model.train(), fx.getDefaultQConfigMapping(), [x])).toThrow("eval");
  });

  it("another mapping at conversion", () => {
    const { model, x } = ready();
    const prepared = fx.prepareFx(model, new fx.QConfigMapping().setModuleName("fc", defaultQConfig), [x]);
    prepared.forward(x);
    expect(() =>
      fx.convertFx(prepared, { qconfigMapping: new fx.QConfigMapping().setModuleName("fc", defaultDynamicQConfig) }),
    ).toThrow("fc");
  });

  it("positions that the model does not have", () => {
    const { model, x } = ready();
    expect(() =>
      fx.prepareFx(
        model,
        fx.getDefaultQConfigMapping(),
        [x],
        new fx.PrepareCustomConfig().setInputQuantizedIndexes([1]),
      ),
    ).toThrow("position");
  });
});

describe("arguments of the wrong kind", () => {
  it("are named, with what belongs there", () => {
    const { model, x } = ready();
    const wrong = (value: unknown): never => value as never;
    expect(() => fx.prepareFx(model, wrong(defaultQConfig), [x])).toThrow("must be a QConfigMapping");
    const mapping = fx.getDefaultQConfigMapping();
    expect(() => fx.prepareFx(model, mapping, [x], wrong(fx.getX86BackendConfig()))).toThrow("PrepareCustomConfig");
    expect(() => fx.prepareFx(model, mapping, [x], null, wrong("x86"))).toThrow("must be a BackendConfig");
    expect(() => fx.prepareFx(model, mapping, wrong(x))).toThrow("must be an array");
  });
});

describe("QConfigMapping", () => {
  it("round-trips as plain data and replaces settings in place", () => {
    const mapping = new fx.QConfigMapping()
      .setGlobal(defaultQConfig)
      .setObjectType(nn.Conv2d, null)
      .setModuleName("fc", null)
      .setModuleName("fc", defaultDynamicQConfig)
      .setModuleNameObjectTypeOrder("", "relu", 0, null);
    expect(fx.QConfigMapping.fromDict(mapping.toDict()).toDict()).toEqual(mapping.toDict());
    expect([...mapping.moduleNameQConfigs]).toEqual([["fc", defaultDynamicQConfig]]);
    expect(() => fx.QConfigMapping.fromDict({ modules: [] } as never)).toThrow("level");
  });

  it("lets a name win over a pattern, a pattern over a type, a type over the global setting", () => {
    const { model, x } = ready();
    const count = (mapping: fx.QConfigMapping): number =>
      [...fx.prepareFx(model, mapping, [x]).graph.modules.keys()].length;
    const only = (): fx.QConfigMapping => new fx.QConfigMapping().setObjectType(nn.Linear, defaultQConfig);
    expect(count(new fx.QConfigMapping())).toBe(0);
    expect(count(only())).toBe(2);
    expect(count(only().setModuleNameRegex("f.*", null))).toBe(0);
    expect(count(only().setModuleNameRegex("f.*", null).setModuleName("fc", defaultQConfig))).toBe(2);
    expect(count(only().setModuleNameObjectTypeOrder("", nn.Linear, 0, null))).toBe(0);
  });
});
