/** Linear layers with 8-bit float weights against PyTorch's casts (golden/float8-linear.json), and configs that are refused. */

import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../../src/errors.ts";
import { randn } from "../../../src/index.ts";
import { Linear, Sequential } from "../../../src/nn/index.ts";
import { ones, zeros } from "../../../src/tensor/create.ts";
import * as weights from "../../../src/quantization/weights/index.ts";
import { expectTensor, tensorAt } from "../../golden/compare.ts";
import { loadGolden } from "../../golden/load.ts";
import type { Fields } from "../../golden/load.ts";

/** Float sums of 64 products in another order; the rest is the same float32 steps. */
const OUTPUT = { ofLargest: 1e-6 };

function configOf(attrs: Fields, inputs: Fields): object {
  const granularity = attrs["perRow"] ? new weights.PerRow() : new weights.PerTensor();
  if (attrs["activation"] === null) return new weights.Float8WeightOnlyConfig({ granularity });
  if (attrs["activation"] === "dynamic") return new weights.Float8DynamicActivationFloat8WeightConfig({ granularity });
  return new weights.Float8StaticActivationFloat8WeightConfig({ granularity, scale: tensorAt(inputs, "scale") });
}

describe("8-bit float weights", () => {
  it.each(loadGolden("float8-linear").cases.map((one) => [one.name, one] as const))(
    "%s",
    (_, { inputs, attrs, expected }) => {
      const float = new Linear(64, 12);
      float.loadStateDict(new Map([["weight", tensorAt(inputs, "weight")], ["bias", tensorAt(inputs, "bias")]])); // prettier-ignore
      const model = new Sequential(float);
      weights.quantizeModel(model, configOf(attrs, inputs));
      const layer = model.getSubmodule("0") as weights.Float8Linear;
      expect(layer.qdata.dtype).toBe("float8_e4m3fn");
      expect(Array.from(layer.qdata.data)).toEqual(Array.from(tensorAt(expected, "qdata").data));
      expect(Array.from(layer.scale.data)).toEqual(Array.from(tensorAt(expected, "scale").data));
      expectTensor(model.forward(tensorAt(inputs, "x")), tensorAt(expected, "output"), OUTPUT, "output");
    },
  );

  it("with 4-bit groups and 8-bit float activations keep the output", () => {
    const model = new Sequential(new Linear(64, 16), new Linear(16, 4));
    const x = randn([8, 64]);
    const float = model.forward(x);
    weights.quantizeModel(model, new weights.Float8DynamicActivationInt4WeightConfig({ groupSize: 32 }));
    expect(model.getSubmodule("0")).toBeInstanceOf(weights.AffineQuantizedLinear);
    expect(model.getSubmodule("1")).toBeInstanceOf(Linear);
    expect(weights.computeError(float, model.forward(x))).toBeGreaterThan(15);
  });

  it("limit the activation's magnitude where asked", () => {
    const model = new Sequential(new Linear(8, 2, { bias: false }));
    model.loadStateDict(new Map([["0.weight", ones([2, 8])]]));
    weights.quantizeModel(model, new weights.Float8DynamicActivationFloat8WeightConfig({ activationValueUb: 1 }));
    const y = model.forward(ones([1, 8]).mul(4));
    expect(y.data[0]).toBeCloseTo(8, 5);
  });

  it("travel in state dicts", () => {
    const [a, b] = [new Sequential(new Linear(8, 4)), new Sequential(new Linear(8, 4))];
    for (const model of [a, b]) weights.quantizeModel(model, new weights.Float8WeightOnlyConfig());
    b.loadStateDict(a.stateDict());
    const x = randn([3, 8]);
    expect(b.forward(x).data).toEqual(a.forward(x).data);
  });

  it("refuse other granularities and several static scales", () => {
    const granularity = new weights.PerGroup(8);
    expect(() => new weights.Float8WeightOnlyConfig({ granularity })).toThrow(ArgumentError);
    expect(() => new weights.Float8StaticActivationFloat8WeightConfig({ scale: zeros([2]) })).toThrow("one scale");
  });
});
