/** compare on small networks: equal models, quantized ones, and a layer spoilt on purpose. */

import { describe, expect, test } from "vitest";
import * as nn from "../../src/nn/index.ts";
import {
  FloatFunctional,
  DeQuantStub,
  MinMaxObserver,
  QConfig,
  QuantStub,
  convert,
  defaultWeightObserver,
  fuseModules,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
} from "../../src/quantization/entry.ts";
import { compare, compareQConfigs, comparisonText, histogramText, sideBySideText } from "../../src/report/index.ts";
import type { Comparison, LayerComparison } from "../../src/report/index.ts";
import type { QConfig as Config } from "../../src/quantization/qconfig.ts";
import { computeCosineSimilarity, computeSqnr } from "../../src/quantization/suite/metrics.ts";
import { randn } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { FUSE, Net, batch } from "../quantization/eager/support.ts";

/** Signal to noise in dB that 8 bits keep at least in these layers. */
const MIN_SQNR = 20;

const float = fuseModules(new Net().eval(), FUSE);

function quantized(qconfig: Config, spoilt = 1): Net {
  const model = float.clone();
  model.qconfig = qconfig;
  const prepared = prepare(model);
  prepared.forward(batch());
  const converted = convert(prepared);
  (converted.conv as unknown as { scale: number }).scale *= spoilt;
  return converted;
}

function row({ layers }: Comparison, name: string): LayerComparison {
  return layers.find((layer) => layer.name === name)!;
}

/** Every operation of a FloatFunctional, and two of them through one. */
class Functionals extends nn.Module {
  quant = new QuantStub();
  left = new nn.Linear(4, 4);
  right = new nn.Linear(4, 4);
  sum = new FloatFunctional();
  product = new FloatFunctional();
  join = new FloatFunctional();
  scalars = new FloatFunctional();
  dequant = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const y = this.quant.forward(x);
    const [a, b] = [this.left.forward(y), this.right.forward(y)];
    const s = this.scalars.addScalar(this.scalars.mulScalar(this.sum.addRelu(a, b), 0.5), 1);
    return this.dequant.forward(this.join.cat([s, this.product.mul(a, b)], 1));
  }
}

describe("compare", () => {
  const data = [[batch()]];

  test("finds no error between equal models", () => {
    for (const { error, sqnr, cosine, errorInherited } of compare(float, float, data).layers) {
      expect([error, sqnr, errorInherited]).toEqual([0, Infinity, 0]);
      expect(cosine).toBeCloseTo(1, 6);
    }
  });

  test("measures every layer of a converted model", () => {
    const { layers, ranking, unmatched } = compare(float, quantized(getDefaultQConfig("x86")), data);
    expect(layers.map(({ name }) => name)).toEqual(["quant", "conv", "bn", "relu", "sum", "flat", "fc", "dequant"]);
    expect(unmatched).toEqual([]);
    expect(ranking).toHaveLength(layers.length);
    for (const layer of layers) expect(layer.sqnr).toBeGreaterThan(MIN_SQNR);
    const quant = layers.find(({ path }) => path === "quant")!;
    expect(quant.errorInherited).toBe(0);
    expect(quant.errorMadeHere).toBe(quant.error);
    expect(quant.histogram.range!.max).toBeGreaterThan(quant.histogram.range!.min);
    expect(quant.histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(batch().numel);
  });

  test("gives sums, products and joins of functionals rows of their own", () => {
    const model = new Functionals().eval();
    const configured = model.clone();
    configured.qconfig = getDefaultQConfig("qnnpack");
    const prepared = prepare(configured);
    const x = randn([8, 4], { generator: new Generator(5) });
    prepared.forward(x);
    const told = compare(model, convert(prepared), [[x]]);
    const functionals = told.layers.filter(({ className }) => className.startsWith("FloatFunctional"));
    expect(functionals.map(({ name, className }) => [name, className])).toEqual([
      ["sum", "FloatFunctional.addRelu"],
      ["scalars:mulScalar", "FloatFunctional.mulScalar"],
      ["scalars:addScalar", "FloatFunctional.addScalar"],
      ["product", "FloatFunctional.mul"],
      ["join", "FloatFunctional.cat"],
    ]);
    for (const layer of functionals) {
      expect(layer.quantizedClassName).toBe("QFunctional");
      expect(layer.sqnr).toBeGreaterThan(MIN_SQNR);
      expect(layer.errorMadeHere).not.toBeNull();
      expect(layer.errorInherited).toBeGreaterThan(0);
    }
    // Multiplying by a power of two only moves the scale.
    expect(row(told, "scalars:mulScalar").errorMadeHere).toBe(0);
  });

  test("agrees with the suite's measures, and with counts by hand", () => {
    const model = quantized(getDefaultQConfig("x86"), 0.3);
    const outputs = [float, model].map((one) => {
      const copy = one.clone();
      let seen: Tensor | null = null;
      copy.conv.registerForwardHook((_module, _args, output) => void (seen = output as Tensor));
      copy.forward(batch());
      return seen!;
    });
    const [expected, given] = outputs as [Tensor, Tensor];
    const conv = row(compare(float, model, data), "conv");
    expect(conv.sqnr).toBe(computeSqnr(expected, given));
    expect(conv.cosine).toBe(computeCosineSimilarity(expected, given));
    const { scale } = given.qparams as { scale: number };
    const top = 255 * scale;
    const values = [...expected.data];
    const share = (test: (value: number) => boolean, of = values): number => of.filter(test).length / of.length;
    expect(conv.clipping).toBe(share((value) => value > top + scale / 2));
    expect(conv.saturation).toBe(
      share(
        (q) => q === 255,
        [...given.data].map((q) => q),
      ),
    );
    expect(conv.zeros).toEqual([share((value) => value === 0), share((q) => q === 0, [...given.data])]);
    expect(conv.clipping).toBeGreaterThan(0);
  });

  test("keeps no values: batch by batch gives what one batch of all gives", () => {
    const model = quantized(getDefaultQConfig("x86"));
    const batches = Array.from({ length: 6 }, (_, i) => batch(i + 1));
    let pulled = 0;
    function* stream(): Generator_ {
      for (const x of batches) {
        pulled++;
        yield [x];
      }
    }
    const streamed = compare(float, model, stream());
    expect(pulled).toBe(6);
    expect(streamed.batches).toBe(6);
    const backwards = compare(
      float,
      model,
      [...batches].reverse().map((x) => [x]),
    );
    for (const [i, layer] of streamed.layers.entries()) {
      expect(layer.histogram).toEqual(backwards.layers[i]!.histogram);
      expect(layer.sqnr).toBeCloseTo(backwards.layers[i]!.sqnr, 9);
      expect(layer.histogram.counts.length).toBeLessThanOrEqual(128);
    }
    // What stays per layer does not grow with the data.
    const size = (told: Comparison): number => JSON.stringify(told).length;
    expect(size(streamed)).toBeLessThan(2 * size(compare(float, model, data)));
  });

  test("blames the layer that was spoilt, not those that inherit", () => {
    const told = compare(float, quantized(getDefaultQConfig("qnnpack"), 0.2), data);
    expect(told.ranking[0]).toBe("conv");
    const [conv, fc] = [row(told, "conv"), row(told, "fc")];
    expect(conv.clipping).toBeGreaterThan(0.1);
    expect(conv.saturation).toBeGreaterThan(0.1);
    expect(fc.errorInherited!).toBeGreaterThan(fc.errorMadeHere!);
    expect(histogramText(conv)).toMatch(/^conv: integers reach 0\.\.[\d.]+\n(.*\n)+.* x+$/);
  });

  test("does not compare layers that are fused in one model only, and says so", () => {
    const unfused = new Net().eval();
    const model = fuseModules(unfused, FUSE);
    model.qconfig = getDefaultQConfig("x86");
    const prepared = prepare(model);
    prepared.forward(batch());
    const told = compare(unfused, convert(prepared), data);
    expect(told.unmatched.map(({ name }) => name)).toEqual(["conv", "bn", "relu"]);
    expect(told.unmatched[0]!.reason).toContain("fuse the float model alike");
    expect(comparisonText(told)).toContain("not compared: conv");
    expect(told.layers.map(({ name }) => name)).toContain("sum");
  });

  test("takes fake-quantized models", () => {
    const model = fuseModulesQat(new Net().train(), FUSE);
    model.qconfig = getDefaultQatQConfig("qnnpack");
    const qat = prepareQat(model);
    qat.forward(batch());
    const told = compare(model, qat, data);
    const quant = row(told, "quant");
    expect(quant.histogram.range).not.toBeNull();
    expect(quant.sqnr).toBeGreaterThan(MIN_SQNR);
    expect(quant.sqnr).toBeLessThan(Infinity);
  });

  test("puts two qconfigs side by side", () => {
    const fourBits = new QConfig({
      activation: MinMaxObserver.withArgs({ quantMin: 0, quantMax: 15 }),
      weight: defaultWeightObserver,
    });
    const [fine, coarse] = [getDefaultQConfig("x86"), fourBits].map((qconfig) =>
      compare(float, quantized(qconfig), data),
    );
    const rows = compareQConfigs(fine!, coarse!);
    for (const { sqnr, cosine } of rows) {
      expect(sqnr[0]).toBeGreaterThan(sqnr[1]);
      expect(cosine[0]).toBeGreaterThan(cosine[1]);
    }
    const gaps = rows.map(({ sqnr: [a, b] }) => Math.abs(a - b));
    expect(gaps).toEqual([...gaps].sort((a, b) => b - a));
    expect(sideBySideText(rows, ["8 bit", "4 bit"])).toContain("SQNR dB 4 bit");
    expect(comparisonText(fine!)).toContain("made here");
  });

  test("is JSON", () => {
    const told = compare(float, quantized(getDefaultQConfig("x86")), data);
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
  });

  test("refuses no data, and models that have nothing in common", () => {
    expect(() => compare(float, float, [])).toThrow(/at least one batch/);
    expect(() => compare(float, new nn.Flatten().eval(), data)).toThrow(/no layer in common/);
  });
});

type Generator_ = Iterable<readonly unknown[]> & Iterator<readonly unknown[]>;
