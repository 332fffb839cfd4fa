/** Sequential, ModuleList, ModuleDict: names, order, replacement, cloning, and attached modules. */

import { describe, expect, it } from "vitest";
import { ModuleError } from "../../src/errors.ts";
import {
  BatchNorm2d,
  Conv2d,
  Flatten,
  Identity,
  Linear,
  Module,
  ModuleDict,
  ModuleList,
  ReLU,
  Sequential,
} from "../../src/nn/index.ts";
import type { AnyModule } from "../../src/nn/index.ts";
import { randn } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

function net(): Sequential {
  return new Sequential(new Conv2d(1, 2, 3), new BatchNorm2d(2), new ReLU(), new Flatten(), new Linear(8, 3));
}

describe("Sequential", () => {
  it("names children by position, with PyTorch's keys", () => {
    expect([...net().stateDict().keys()]).toEqual([
      "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked", "4.weight", "4.bias",
    ]); // prettier-ignore
  });

  it("takes names, even those of its own properties", () => {
    const named = new Sequential({ training: new Linear(2, 3), forward: new ReLU() });
    expect(named.namedChildren().map(([name]) => name)).toEqual(["training", "forward"]);
    expect(named.forward(randn([4, 2])).shape).toEqual([4, 3]);
    expect(named.training).toBe(true);
  });

  it("finds and replaces children", () => {
    const model = new Sequential(net(), new Identity());
    expect(model.getSubmodule("0.4")).toBeInstanceOf(Linear);
    model.setSubmodule("0.2", new Identity());
    expect((model.at(0) as Sequential).at(2)).toBeInstanceOf(Identity);
    expect(model.at(-1)).toBe(model.at(1));
    expect(model.length).toBe(2);
    expect(() => model.at(5)).toThrow(ModuleError);
  });

  it("clones deeply", () => {
    const model = net();
    const copy = model.clone();
    const x = randn([1, 1, 4, 4]);
    model.eval();
    copy.eval();
    expect(copy.forward(x).tolist()).toEqual(model.forward(x).tolist());
    (copy.at(0) as Conv2d).weight.data.fill(0);
    expect(copy.forward(x).tolist()).not.toEqual(model.forward(x).tolist());
    expect(copy.at(0)).not.toBe(model.at(0));
  });

  it("shows modules attached to it beside its children, without calling them", () => {
    const model = net() as Sequential & { observer?: AnyModule };
    model.observer = new Identity();
    expect(model.namedChildren().map(([name]) => name)).toEqual(["0", "1", "2", "3", "4", "observer"]);
    expect(model.length).toBe(5);
    model.setChild("observer", new ReLU());
    expect(model.observer).toBeInstanceOf(ReLU);
  });

  it("refuses what is not a module", () => {
    expect(() => new Sequential(new ReLU(), "relu" as unknown as AnyModule)).toThrow(ModuleError);
  });
});

class Branches extends Module {
  layers = new ModuleList([new Linear(2, 2), new Linear(2, 2)]);
  heads = new ModuleDict({ a: new Linear(2, 1) });

  forward(x: Tensor): Tensor {
    let y = x;
    for (const layer of this.layers) y = (layer as Linear).forward(y);
    return (this.heads.get("a") as Linear).forward(y);
  }
}

describe("ModuleList and ModuleDict", () => {
  it("give their modules to the one that holds them", () => {
    const model = new Branches();
    expect([...model.stateDict().keys()]).toEqual([
      "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "heads.a.weight", "heads.a.bias",
    ]); // prettier-ignore
    expect(model.forward(randn([5, 2])).shape).toEqual([5, 1]);
    model.layers.append(new Linear(2, 2));
    model.heads.set("b", new ReLU());
    expect(model.layers.length).toBe(3);
    expect(model.heads.keys()).toEqual(["a", "b"]);
  });

  it("are not called", () => {
    expect(() => new ModuleList().forward()).toThrow(ModuleError);
    expect(() => new ModuleDict().forward()).toThrow(ModuleError);
  });
});
