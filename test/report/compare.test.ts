/** compare on a small network: equal models, quantized ones, and a layer spoilt on purpose. */

import { describe, expect, test } from "vitest";
import {
  MinMaxObserver,
  QConfig,
  convert,
  defaultWeightObserver,
  fuseModules,
  getDefaultQConfig,
  prepare,
} from "../../src/quantization/entry.ts";
import { compare, compareQConfigs, comparisonText, sideBySideText } from "../../src/report/index.ts";
import type { QConfig as Config } from "../../src/quantization/qconfig.ts";
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

describe("compare", () => {
  const data = [[batch()]];

  test("finds no error between equal models", () => {
    for (const { error, sqnr, cosine, errorInherited } of compare(float, float, data).layers) {
      expect([error, sqnr, errorInherited]).toEqual([0, Infinity, 0]);
      expect(cosine).toBeCloseTo(1, 6);
    }
  });

  test("measures every layer of a converted model", () => {
    const { layers, ranking } = compare(float, quantized(getDefaultQConfig("x86")), data);
    expect(layers.map(({ path }) => path)).toEqual(expect.arrayContaining(["quant", "conv", "fc", "dequant"]));
    expect(ranking).toHaveLength(layers.length);
    for (const layer of layers) expect(layer.sqnr).toBeGreaterThan(MIN_SQNR);
    const quant = layers.find(({ path }) => path === "quant")!;
    expect(quant.errorInherited).toBe(0);
    expect(quant.errorMadeHere).toBe(quant.error);
    expect(quant.histogram.range!.max).toBeGreaterThan(quant.histogram.range!.min);
    expect(quant.histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(batch().numel);
  });

  test("blames the layer that was spoilt, not those that inherit", () => {
    const { layers, ranking } = compare(float, quantized(getDefaultQConfig("qnnpack"), 0.2), data);
    expect(ranking[0]).toBe("conv");
    const [conv, fc] = ["conv", "fc"].map((path) => layers.find((layer) => layer.path === path)!);
    expect(conv!.clipping).toBeGreaterThan(0.1);
    expect(conv!.saturation).toBeGreaterThan(0.1);
    expect(fc!.errorInherited!).toBeGreaterThan(fc!.errorMadeHere!);
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
    for (const { sqnr } of rows) expect(sqnr[0]).toBeGreaterThan(sqnr[1]);
    expect(sideBySideText(rows, ["8 bit", "4 bit"])).toContain("SQNR dB 4 bit");
    expect(comparisonText(fine!)).toContain("made here");
  });
});
