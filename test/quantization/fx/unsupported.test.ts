/**
 * Settings the backend does not run: the layer stays float, and the prepared model, a callback, an error or doctor says
 * so, as asked.
 */

import { describe, expect, it } from "vitest";
import { doctor } from "../../../src/doctor/index.ts";
import { QuantError } from "../../../src/errors.ts";
import { randn, tensor } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import * as q from "../../../src/quantization/index.ts";
import * as fx from "../../../src/quantization/fx/index.ts";

const image = (): Tensor => randn([2, 3, 8, 8]);
const convNet = (): nn.Sequential => new nn.Sequential(new nn.Conv2d(3, 4, 3), new nn.ReLU(), new nn.Softmax(1)).eval();
const everything = (qconfig: q.QConfig): fx.QConfigMapping => new fx.QConfigMapping().setGlobal(qconfig);

const kinds = (prepared: fx.ObservedGraphModule): string[] =>
  prepared.unsupported.map(({ kind, type, path, reason }) => [kind, type, path, reason].join(" | "));

describe("settings without effect", () => {
  it("are none for a default mapping on its backend", () => {
    expect(fx.prepareFx(convNet(), fx.getDefaultQConfigMapping(), [image()]).unsupported).toEqual([]);
  });

  it("name the dtypes the backend has instead", () => {
    const prepared = fx.prepareFx(convNet(), everything(q.defaultDynamicQConfig), [image()]);
    expect(kinds(prepared)).toEqual([
      "dtypes | ConvReLU2d | 0 | input quint8, not dynamic quint8",
      "dtypes | Softmax | 2 | input quint8, not dynamic quint8",
    ]);
    expect(prepared.unsupported[0]!.location).toMatch(/^unsupported\.test\.ts:\d+$/);
    expect(prepared.unsupported[0]!.message).toMatch(
      /^ConvReLU2d \(0, unsupported.test.ts:\d+\) stays float: backend native runs it with input quint8, not dynamic quint8$/,
    );
    expect(prepared.graph.modules.size).toBe(0);
  });

  it("name the range a constraint asks for", () => {
    const { activation, weight } = q.defaultSymmetricQnnpackQConfig;
    const wide = new q.QConfig({ activation, weight: weight.withArgs({ quantMin: -128 }) });
    const model = new nn.Sequential(new nn.Linear(4, 4)).eval();
    const relu = (x: q.QConfig): fx.QConfigMapping => new fx.QConfigMapping().setObjectType("linear", x);
    class Functional extends nn.Module {
      weight = randn([4, 4]);
      inner = model;
      forward(x: Tensor): Tensor {
        return nn.functional.linear(x, this.weight);
      }
    }
    const prepared = fx.prepareFx(
      new Functional().eval(),
      relu(wide),
      [randn([2, 4])],
      null,
      fx.getQnnpackBackendConfig(),
    );
    expect(kinds(prepared)[0]).toContain("weight qint8: quantMin is -128, and must be at least -127");
  });

  it("name weights that stay float between integers", () => {
    const qconfig = new q.QConfig({ activation: q.defaultObserver, weight: q.defaultObserver });
    const prepared = fx.prepareFx(new nn.Sequential(new nn.Linear(4, 4)).eval(), everything(qconfig), [randn([2, 4])]);
    expect(kinds(prepared)).toEqual(["weight | Linear | 0 | weight qint8 or weight float16"]);
    expect(prepared.unsupported[0]!.message).toContain("keeps a float weight");
  });

  it("name settings by type and by name that no pattern is about", () => {
    const model = new nn.Sequential(new nn.Linear(8, 8), new nn.LayerNorm([8])).eval();
    const prepared = fx.prepareFx(
      model,
      fx.getDefaultQConfigMapping(),
      [randn([2, 8])],
      null,
      fx.getX86BackendConfig(),
    );
    expect(kinds(prepared)).toEqual(["pattern | LayerNorm | 1 | lists no pattern for it"]);
    const named = new fx.QConfigMapping().setModuleName("1", q.defaultQConfig);
    const other = fx.prepareFx(model, named, [randn([2, 8])], null, fx.getX86BackendConfig());
    expect(kinds(other)).toEqual(kinds(prepared));
  });

  it("include embeddings, which only have integer weights", () => {
    const model = new nn.Sequential(new nn.Embedding(8, 8), new nn.Linear(8, 8)).eval();
    const words = tensor([1, 2], { dtype: "int64" });
    expect(kinds(fx.prepareFx(model, fx.getDefaultQConfigMapping(), [words]))).toEqual([
      "dtypes | Embedding | 0 | input float32, not quint8",
    ]);
  });

  it("are refused or reported one by one when asked", () => {
    const mapping = everything(q.defaultDynamicQConfig);
    expect(() => fx.prepareFx(convNet(), mapping, [image()], null, null, { onUnsupported: "error" })).toThrow(
      QuantError,
    );
    const told: string[] = [];
    fx.prepareFx(convNet(), mapping, [image()], null, null, { onUnsupported: ({ type }) => told.push(type) });
    expect(told).toEqual(["ConvReLU2d", "Softmax"]);
    const qat = fx.prepareQatFx(convNet().train(), everything(q.defaultDynamicQConfig), [image()]);
    expect(qat.unsupported.length).toBeGreaterThan(0);
  });

  it("are what doctor finds in a prepared model", () => {
    const prepared = fx.prepareFx(convNet(), everything(q.defaultDynamicQConfig), [image()]);
    expect(doctor(prepared, []).map(({ code, path }) => `${code} ${path}`)).toEqual(
      prepared.unsupported.map(({ path }) => `backend-unsupported ${path}`),
    );
  });
});
