/** What users get wrong in the eager flow, and what they are told. */

import { describe, expect, it, vi } from "vitest";
import { ArgumentError, DtypeError, ModuleError, QuantError } from "../../../src/errors.ts";
import * as nn from "../../../src/nn/index.ts";
import { add, quantizePerTensor } from "../../../src/ops/index.ts";
import {
  QuantWrapper,
  convert,
  fuseModules,
  fuseModulesQat,
  loadObserverStateDict,
  prepare,
  prepareQat,
  quantizeDynamic,
} from "../../../src/quantization/eager/index.ts";
import { defaultQConfig, getDefaultQConfig } from "../../../src/quantization/index.ts";
import { FUSE, Net, batch, calibrated } from "./support.ts";

describe("tensors of the wrong kind", () => {
  it("a float tensor in a quantized module: the module, and the stub that is missing", () => {
    const model = convert(calibrated(new Net(), batch()));
    model.quant = new nn.Identity();
    expect(() => model.forward(batch())).toThrow(DtypeError);
    expect(() => model.forward(batch())).toThrow(
      /quantized Conv2d at "conv": got a float tensor.*QuantStub is missing before "conv"/s,
    );
  });

  it("a plain sum of quantized tensors: FloatFunctional", () => {
    const x = quantizePerTensor(batch(), 0.1, 0, "quint8");
    expect(() => add(x, x)).toThrow(/FloatFunctional/);
  });

  it("a quantized tensor in a float layer", () => {
    const x = quantizePerTensor(batch(), 0.1, 0, "quint8");
    expect(() => new nn.Conv2d(2, 4, 3).forward(x)).toThrow(DtypeError);
  });

  it("a quantized tensor in a dynamic layer", () => {
    const model = quantizeDynamic(new nn.Sequential(new nn.Linear(4, 2)));
    const x = quantizePerTensor(batch(), 0.1, 0, "quint8");
    expect(() => model.forward(x)).toThrow(/takes float tensors/);
  });
});

describe("fuse lists", () => {
  const model = new Net().eval();

  it("unknown names come with near ones", () => {
    expect(() => fuseModules(model, ["conv", "bn1", "relu"])).toThrow(ModuleError);
    expect(() => fuseModules(model, ["conv", "bn1", "relu"])).toThrow(/bn1.*Did you mean bn/s);
  });

  it("sequences that cannot be fused come with those that can", () => {
    expect(() => fuseModules(model, ["bn", "conv"])).toThrow(QuantError);
    expect(() => fuseModules(model, ["conv", "fc"])).toThrow(
      /Conv2d \+ Linear.*Legal sequences that start so: Conv2d \+ BatchNorm2d/s,
    );
  });

  it("one name, a name twice, a module in two lists", () => {
    expect(() => fuseModules(model, ["conv"])).toThrow(/at least two/);
    expect(() => fuseModules(model, ["conv", "conv"])).toThrow(ArgumentError);
    expect(() =>
      fuseModules(model, [
        ["conv", "bn"],
        ["bn", "relu"],
      ]),
    ).toThrow(/once only/);
  });

  it("modes that differ, and folding in training mode", () => {
    expect(() => fuseModules(new Net().train(), FUSE)).toThrow(/eval mode/);
    const mixed = new Net().eval();
    mixed.bn.train();
    expect(() => fuseModules(mixed, FUSE)).toThrow(/same mode/);
  });

  it("batch normalization that cannot be trained fused", () => {
    const wide = new Net().train();
    wide.bn = new nn.BatchNorm2d(5);
    expect(() => fuseModulesQat(wide, FUSE)).toThrow(/output channels/);
    const fixed = new Net().train();
    fixed.bn = new nn.BatchNorm2d(4, { affine: false });
    expect(() => fuseModulesQat(fixed, FUSE)).toThrow(/affine/);
  });
});

describe("observers that saw nothing", () => {
  function unused(): Net {
    const model = new Net();
    model.qconfig = getDefaultQConfig("x86");
    return prepare(model.eval());
  }

  it("name the module", () => {
    expect(() => convert(unused())).toThrow(QuantError);
    expect(() => convert(unused())).toThrow(/"quant".*saw no data/s);
  });

  it("may be warned about, or left for a state dict", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    try {
      convert(unused(), { uninitializedObservers: "ignore" });
      expect(warn).not.toHaveBeenCalled();
      const model = convert(unused(), { uninitializedObservers: "warn" });
      expect(warn).toHaveBeenCalledWith(expect.stringMatching(/"fc".*saw no data/s));
      expect(model.stateDict().get("fc.scale")!.item()).toBe(1);
    } finally {
      warn.mockRestore();
    }
  });

  it("do not matter without a qconfig", () => {
    const model = new Net();
    model.qconfig = getDefaultQConfig("x86");
    for (const child of model.children()) child.qconfig = null;
    expect(convert(prepare(model.eval())).fc).toBeInstanceOf(nn.Linear);
  });
});

describe("preparing", () => {
  it("for training needs training mode", () => {
    const model = new Net();
    model.qconfig = defaultQConfig;
    expect(() => prepareQat(model.eval())).toThrow(/training mode.*train\(\)/s);
  });

  it("needs qconfigs", () => {
    const model = new Net().eval();
    model.qconfig = { activation: 1 };
    expect(() => prepare(model)).toThrow(/qconfig must be a QConfig/);
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    prepare(new Net().eval());
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("no module has a qconfig"));
    warn.mockRestore();
  });
});

describe("names and state", () => {
  it("dynamic quantization of modules that do not exist", () => {
    const model = new nn.Sequential(new nn.Linear(4, 2));
    expect(() => quantizeDynamic(model, new Set(["1"]))).toThrow(ModuleError);
    expect(() => quantizeDynamic(model, null, { dtype: "int8" as never })).toThrow(/qint8, float16, quint8, quint4x2/);
  });

  it("state dicts that do not fit name the key", () => {
    const model = convert(calibrated(new Net(), batch()));
    const state = new Map(model.stateDict());
    const without = new Map([...state].filter(([key]) => key !== "conv.weight"));
    expect(() => model.loadStateDict(without)).toThrow(/conv.weight|weight/);
    const float = new Map(new Net().stateDict());
    expect(() => model.loadStateDict(float)).toThrow(ModuleError);
    const wrong = new Map([...state, ["fc._packed_params._packed_params.0", state.get("conv.weight")!]]);
    expect(() => model.loadStateDict(wrong)).toThrow(/quantized Linear.*shapes must agree/s);
  });

  it("observer states that do not fit", () => {
    const prepared = calibrated(new Net(), batch());
    expect(() => loadObserverStateDict(prepared, new Map())).toThrow(/exactly those/);
  });
});

describe("transposed convolutions", () => {
  it("need a per-tensor weight", () => {
    const model = new QuantWrapper(new nn.ConvTranspose2d(2, 3, 2));
    expect(() => convert(calibrated(model, batch()))).toThrow(/ConvTranspose2d at "module": the weight.*per tensor/s);
    const other = new QuantWrapper(new nn.ConvTranspose2d(2, 3, 2));
    other.qconfig = getDefaultQConfig("qnnpack");
    expect(convert(calibrated(other, batch())).forward(batch()).shape).toEqual([2, 3, 5, 5]);
  });
});
