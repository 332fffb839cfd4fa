import { describe, expect, it } from "vitest";
import * as nn from "../../../src/nn/index.ts";
import { equalize } from "../../../src/quantization/suite/index.ts";
import { fromArray } from "../../../src/tensor/create.ts";

/** torch.ao.quantization._equalize.equalize on the model below. */
const PYTORCH: Readonly<Record<string, readonly number[]>> = {
  "0.weight": [-0.444237, 1.1105926, 0.2221185, -0.6663554, 1.4646966, 0, -1.4646966, 1.0985224],
  "0.bias": [-0.444237, 1.8308709],
  "2.weight": [-1.0031641, 1.5212798, 0.7737769, -1.4081023],
  "2.bias": [-0.8912854, 3.4374042],
  "4.weight": [-0.8414813, 1.3636744, 0.4207406, -0.8182046, 1.6829625, 0],
  "4.bias": [-0.5, 1.25, 0.25],
};

/** The values of PyTorch's run are ((7i + 3) mod 11 - 5) / 4, three times that in the middle layer. */
function threeConvs(): nn.Sequential {
  const model = new nn.Sequential(
    new nn.Conv2d(1, 2, 2),
    new nn.ReLU(),
    new nn.Conv2d(2, 2, 1),
    new nn.ReLU(),
    new nn.Conv2d(2, 3, 1),
  );
  for (const [name, parameter] of model.namedParameters()) {
    const factor = name.startsWith("2") ? 3 : 1;
    parameter.assign(Array.from({ length: parameter.numel }, (_, i) => ((((i * 7 + 3) % 11) - 5) / 4) * factor));
  }
  return model;
}

describe("equalize", () => {
  it("gives PyTorch's weights", () => {
    const state = equalize(threeConvs(), [["0", "2", "4"]]).stateDict();
    for (const [key, values] of Object.entries(PYTORCH)) {
      values.forEach((value, i) => expect(state.get(key)!.data[i], `${key}[${i}]`).toBeCloseTo(value, 4));
    }
  });

  it("keeps what the model computes", () => {
    const model = threeConvs();
    const x = fromArray([0.5, -1, 2, 0.25], [1, 1, 2, 2]);
    const before = [...model.forward(x).data];
    const after = [...equalize(model, [[model.at(0), "2"]]).forward(x).data];
    after.forEach((v, i) => expect(v).toBeCloseTo(before[i]!, 4));
  });

  it("changes a copy when asked to", () => {
    const model = threeConvs();
    const weight = [...(model.at(0) as nn.Conv2d).weight.data];
    expect(equalize(model, [["0", "2"]], { inplace: false })).not.toBe(model);
    expect([...(model.at(0) as nn.Conv2d).weight.data]).toEqual(weight);
  });

  it("refuses what cannot be equalized", () => {
    expect(() => equalize(threeConvs(), [["0"]])).toThrow(/at least two modules/);
    expect(() => equalize(threeConvs(), [["0", "1"]])).toThrow(/only Linear, Conv1d, Conv2d/);
    expect(() => equalize(threeConvs(), [["0", "9"]])).toThrow(/no such module/);
    expect(() => equalize(threeConvs(), [["4", "0"]])).toThrow(/3 output channels are not the second's 1 input/);
  });
});
