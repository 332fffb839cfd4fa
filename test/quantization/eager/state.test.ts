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
import { fromArray, randn } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { FUSE, Net, batch, calibrated } from "./support.ts";

function throughFile(model: AnyModule): ReadonlyMap<string, Tensor> {
  return readSafetensors(writeSafetensors(model.stateDict())).tensors;
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
