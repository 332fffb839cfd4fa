/** Saving a converted model and loading it into a fresh one. */

import { describe, expect, it } from "vitest";
import { readSafetensors, writeSafetensors } from "../../../src/data/safetensors.ts";
import * as nn from "../../../src/nn/index.ts";
import type { AnyModule } from "../../../src/nn/module.ts";
import {
  convert,
  fuseModules,
  getObserverStateDict,
  loadObserverStateDict,
  prepare,
  quantizeDynamic,
} from "../../../src/quantization/eager/index.ts";
import {
  defaultQConfig,
  floatQParamsWeightOnlyQConfig4bit,
  getDefaultQConfig,
} from "../../../src/quantization/index.ts";
import { DeQuantStub, QuantStub } from "../../../src/quantization/stubs.ts";
import { fromArray, randn } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { listAt } from "../../golden/compare.ts";
import type { FlowModel } from "../../golden/flow-models.ts";
import { floatModel, setQConfig } from "../../golden/flows.ts";
import { loadGolden } from "../../golden/load.ts";
import { FUSE, Net, batch, calibrated } from "./support.ts";

function throughFile(model: AnyModule): ReadonlyMap<string, Tensor> {
  return readSafetensors(writeSafetensors(model.stateDict())).tensors;
}

class Attention extends nn.Module {
  quant: nn.Module = new QuantStub();
  attention: nn.Module<Tensor[], readonly [Tensor, unknown]> = new nn.MultiheadAttention(8, 2, {
    addBiasKv: true,
  }) as never;
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const q = this.quant.forward(x);
    return this.dequant.forward(this.attention.forward(q, q, q)[0]);
  }
}

describe("state dicts", () => {
  it("of a converted model go through a file into a fresh skeleton", () => {
    const trained = convert(calibrated(fuseModules(new Net().eval(), FUSE), batch()));
    const fresh = fuseModules(new Net().eval(), FUSE);
    fresh.qconfig = defaultQConfig;
    const skeleton = convert(prepare(fresh), { uninitializedObservers: "ignore" });
    expect([...skeleton.forward(batch()).data]).not.toEqual([...trained.forward(batch()).data]);
    skeleton.loadStateDict(throughFile(trained));
    expect([...skeleton.forward(batch()).data]).toEqual([...trained.forward(batch()).data]);
  });

  it.each(["LstmNet", "AttentionNet", "UpNet", "Activations"])("of %s", (name) => {
    const one = loadGolden("flows-static").cases.find(({ attrs }) => attrs["model"] === name && !attrs["reference"])!;
    const prepared = (): FlowModel => {
      const model = floatModel(one).eval();
      setQConfig(model, one.attrs);
      return prepare(model);
    };
    const calibrated = prepared();
    const inputs = (listAt(one.inputs, "calibration") as (Tensor | Tensor[])[]).map((x) => [x].flat());
    for (const x of inputs) calibrated.forward(...x);
    const model = convert(calibrated);
    const skeleton = convert(prepared(), { uninitializedObservers: "ignore" });
    skeleton.loadStateDict(throughFile(model));
    const flat = (result: unknown): number[] => [result].flat(2).flatMap((one) => [...(one as Tensor).data]);
    expect(flat(skeleton.forward(...inputs[0]!))).toEqual(flat(model.forward(...inputs[0]!)));
  });

  it("of attention with learned keys and values", () => {
    const x = randn([5, 2, 8], { generator: new Generator(5) });
    const make = (): Attention => new Attention().eval();
    const trained = convert(calibrated(make(), x));
    const fresh = make();
    fresh.qconfig = defaultQConfig;
    const skeleton = convert(prepare(fresh), { uninitializedObservers: "ignore" });
    skeleton.loadStateDict(throughFile(trained));
    expect([...skeleton.forward(x).data]).toEqual([...trained.forward(x).data]);
  });

  it("of dynamic layers too", () => {
    const make = (): nn.Sequential =>
      quantizeDynamic(new nn.Sequential(new nn.Linear(6, 5), new nn.ReLU(), new nn.Linear(5, 2)));
    const [model, other] = [make(), make()];
    const x = randn([3, 6], { generator: new Generator(4) });
    other.loadStateDict(throughFile(model));
    expect([...other.forward(x).data]).toEqual([...model.forward(x).data]);
  });

  it("of 4-bit tables too", () => {
    const make = (): AnyModule => {
      const holder = new nn.Sequential(new nn.EmbeddingBag(10, 8, { mode: "sum" }));
      return quantizeDynamic(holder, new Map([[nn.EmbeddingBag, floatQParamsWeightOnlyQConfig4bit]]));
    };
    const [model, other] = [make(), make()];
    const run = (one: AnyModule): number[] => {
      const bag = one.getSubmodule("0") as unknown as nn.EmbeddingBag;
      return [...bag.forward(fromArray([1, 2, 9], [3], "int64"), fromArray([0, 1], [2], "int64")).data];
    };
    other.loadStateDict(throughFile(model));
    expect(run(other)).toEqual(run(model));
  });

  it("of observers move calibration to another copy", () => {
    const prepared = calibrated(new Net(), batch());
    const other = new Net();
    other.loadStateDict(new Map([...prepared.stateDict()].filter(([key]) => !key.includes("post_process"))));
    other.qconfig = getDefaultQConfig("x86");
    const empty = prepare(other.eval());
    loadObserverStateDict(empty, getObserverStateDict(prepared));
    expect([...convert(empty).forward(batch()).data]).toEqual([...convert(prepared).forward(batch()).data]);
  });
});
