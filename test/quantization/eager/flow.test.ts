/** The eager flow beyond the golden cases: qconfigs handed down, wrappers, custom modules, one-call flows, hooks. */

import { describe, expect, it } from "vitest";
import { FloatFunctional } from "../../../src/nn/float-functional.ts";
import * as nn from "../../../src/nn/index.ts";
import type { AnyModule } from "../../../src/nn/module.ts";
import type { ConvertTools, PrepareTools } from "../../../src/nn/quantizable/tools.ts";
import * as nnq from "../../../src/nn/quantized/index.ts";
import * as nnqr from "../../../src/nn/reference/index.ts";
import {
  addQuantDequant,
  convert,
  defaultEvalFn,
  prepare,
  propagateQConfig,
  quantize,
  quantizeDynamic,
  quantizeQat,
} from "../../../src/quantization/eager/index.ts";
import { defaultQConfig, getDefaultQConfig, getDefaultQatQConfig } from "../../../src/quantization/index.ts";
import { QuantWrapper } from "../../../src/quantization/stubs.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { Net, batch, calibrated } from "./support.ts";

describe("propagateQConfig", () => {
  it("prefers a module's own, then its path, then its class, then its parent's", () => {
    const model = new Net();
    const [own, byPath, byClass, root] = Array.from({ length: 4 }, () => getDefaultQConfig("x86"));
    model.conv.qconfig = own!;
    propagateQConfig(
      model,
      new Map<never, never>([
        ["", root],
        ["conv", byPath],
        ["bn", byPath],
        [nn.BatchNorm2d, byClass],
        [nn.Linear, byClass],
      ] as never),
    );
    expect(model.conv.qconfig).toBe(own);
    expect(model.bn.qconfig).toBe(byPath);
    expect(model.fc.qconfig).toBe(byClass);
    expect(model.relu.qconfig).toBe(root);
    expect(model.fc.path).toBe("fc");
  });

  it("leaves parts with null float", () => {
    const model = new QuantWrapper(new nn.Sequential(new nn.Flatten(), new nn.Linear(32, 3)));
    model.qconfig = defaultQConfig;
    (model.module as unknown as nn.Sequential).at(1).qconfig = null;
    const prepared = prepare(model.eval());
    expect(prepared.getSubmodule("module.1").forwardHooks.post).toHaveLength(0);
  });
});

describe("addQuantDequant", () => {
  it("wraps leaves that have a qconfig", () => {
    const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(32, 3), new nn.Linear(3, 2));
    model.at(1).qconfig = defaultQConfig;
    propagateQConfig(model);
    addQuantDequant(model);
    expect(model.at(1)).toBeInstanceOf(QuantWrapper);
    expect(model.at(2)).toBeInstanceOf(nn.Linear);
    const prepared = prepare(model.eval());
    prepared.forward(batch());
    const converted = convert(prepared);
    expect(converted.getSubmodule("1.module")).toBeInstanceOf(nnq.Linear);
    expect(converted.forward(batch()).isQuantized).toBe(false);
  });
});

describe("flows in one call", () => {
  it("quantize calibrates a copy", () => {
    const model = new Net();
    model.qconfig = getDefaultQConfig("x86");
    const quantized = quantize(model, defaultEvalFn, [[[batch(), null]]]);
    expect(quantized.fc).toBeInstanceOf(nnq.Linear);
    expect(model.fc).toBeInstanceOf(nn.Linear);
    expect(model.training).toBe(true);
    expect([...quantized.forward(batch()).data]).toEqual([
      ...convert(calibrated(model, batch())).forward(batch()).data,
    ]);
  });

  it("quantizeQat trains a copy", () => {
    const model = new Net().eval();
    model.qconfig = getDefaultQatQConfig("x86");
    const quantized = quantizeQat(model, (prepared, x: Tensor) => void prepared.forward(x), [batch()]);
    expect(quantized.conv).toBeInstanceOf(nnq.Conv2d);
    expect(model.conv).toBeInstanceOf(nn.Conv2d);
  });

  it("change the model itself when asked to", () => {
    const model = new Net().eval();
    model.qconfig = getDefaultQConfig("x86");
    expect(quantize(model, defaultEvalFn, [[[batch(), null]]], { inplace: true })).toBe(model);
    expect(model.fc).toBeInstanceOf(nnq.Linear);
    expect(model.modules().some((module) => module.qconfig !== undefined)).toBe(false);
  });

  it("quantizeDynamic never replaces the root", () => {
    expect(quantizeDynamic(new nn.Linear(4, 2))).toBeInstanceOf(nn.Linear);
  });
});

describe("convert", () => {
  it("keeps hooks of the user's, on quantized tensors", () => {
    const model = new Net();
    const seen: boolean[] = [];
    model.fc.registerForwardHook((_module, _args, output) => void seen.push((output as Tensor).isQuantized));
    convert(calibrated(model, batch())).forward(batch());
    expect(seen).toEqual([false, true]);
  });

  it("hands the engine on", () => {
    const converted = convert(calibrated(new Net(), batch()), { engine: "qnnpack" });
    expect((converted.conv as unknown as nnq.Conv2d).engine).toBe("qnnpack");
  });

  it("can keep qconfigs", () => {
    expect(convert(calibrated(new Net(), batch()), { removeQConfig: false }).fc.path).toBe("fc");
  });

  it("makes reference modules whose integers are those of quantized ones", () => {
    const prepared = calibrated(new Net(), batch());
    const reference = convert(prepared, { isReference: true }).fc as unknown as nnqr.Linear;
    const quantized = convert(prepared).fc as unknown as nnq.Linear;
    expect(reference).toBeInstanceOf(nnqr.Linear);
    expect([...reference.getQuantizedWeight().data]).toEqual([...quantized.weight.data]);
    const again = nnq.Linear.fromReference(reference, quantized.scale, quantized.zeroPoint);
    expect([...again.weight.data]).toEqual([...quantized.weight.data]);
  });
});

/** x + linear(x), as a float module, an observed one and a quantized one. */
class Residual extends nn.Module {
  inner: nn.Module = new nn.Linear(32, 32);

  forward(x: Tensor): Tensor {
    return this.inner.forward(x);
  }
}

class ObservedResidual extends nn.Module {
  sum = new FloatFunctional();
  inner: nn.Module;

  constructor(inner: nn.Module, qconfig: unknown) {
    super();
    this.inner = inner;
    this.qconfig = qconfig;
  }

  forward(x: Tensor): Tensor {
    return this.sum.add(x, this.inner.forward(x));
  }

  static fromFloat(float: Residual, { prepare: prepared }: PrepareTools): ObservedResidual {
    return prepared(new ObservedResidual(float.inner, float.qconfig).eval());
  }
}

class QuantizedResidual extends nn.Module {
  body: AnyModule;

  constructor(body: AnyModule) {
    super();
    this.body = body;
  }

  forward(x: Tensor): Tensor {
    return this.body.forward(x as never) as Tensor;
  }

  static fromObserved(observed: ObservedResidual, { convert: converted }: ConvertTools): QuantizedResidual {
    return new QuantizedResidual(converted(observed));
  }
}

describe("custom modules", () => {
  it("are observed and converted by their own classes, also below others", () => {
    const model = new QuantWrapper(new nn.Sequential(new nn.Flatten(), new Residual()));
    const prepareCustomConfigDict = {
      float_to_observed_custom_module_class: new Map([[Residual, ObservedResidual]]),
    };
    const convertCustomConfigDict = {
      observed_to_quantized_custom_module_class: new Map([[ObservedResidual, QuantizedResidual]]),
    };
    const prepared = calibrated(model, batch(), { prepareCustomConfigDict });
    expect(prepared.getSubmodule("module.1")).toBeInstanceOf(ObservedResidual);
    const converted = convert(prepared, { convertCustomConfigDict });
    const custom = converted.getSubmodule("module.1");
    expect(custom).toBeInstanceOf(QuantizedResidual);
    expect(custom.getSubmodule("body.inner")).toBeInstanceOf(nnq.Linear);
    expect(custom.getSubmodule("body.sum")).toBeInstanceOf(nnq.QFunctional);
    const [float, integer] = [prepared.forward(batch()), converted.forward(batch())];
    const error = float.data.map((v, i) => v - integer.data[i]!);
    expect(Math.max(...error.map(Math.abs))).toBeLessThan(0.15);
  });
});
