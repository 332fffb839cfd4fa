/** explain at every stage of a small network. */

import { describe, expect, test } from "vitest";
import {
  convert,
  fuseModules,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
} from "../../src/quantization/entry.ts";
import { explain, explanationText } from "../../src/report/index.ts";
import type { Explanation, ModuleReport } from "../../src/report/index.ts";
import { FUSE, Net, batch } from "../quantization/eager/support.ts";

function at({ modules }: Explanation, path: string): ModuleReport {
  return modules.find((module) => module.path === path)!;
}

describe("explain", () => {
  const fused = (): Net => {
    const model = fuseModules(new Net().eval(), FUSE);
    model.qconfig = getDefaultQConfig("x86");
    return model;
  };

  test("says of a float model what each module will become, and from where its qconfig comes", () => {
    const told = explain(fused(), [batch()]);
    expect(told.stage).toBe("float");
    expect(at(told, "conv")).toMatchObject({ className: "ConvReLU2d", becomes: "quantized ConvReLU2d" });
    expect(at(told, "conv").qconfig).toMatchObject({
      from: "",
      own: false,
      activation: "HistogramObserver(reduceRange=true)",
    });
    expect(at(told, "conv").inputs).toEqual([["quint8[2,2,4,4]"]]);
    expect(at(told, "dequant").outputs).toEqual([["float32[2,3]"]]);
    expect(at(told, "bn")).toMatchObject({ className: "Identity", becomes: null });
    expect(at(told, "quant").note).toContain("observer");
    expect(told.modules.some(({ path }) => path.startsWith("conv."))).toBe(false);
  });

  test("tells own qconfigs from inherited ones, and null", () => {
    const model = fused();
    model.fc.qconfig = getDefaultQConfig("qnnpack");
    model.conv.qconfig = null;
    const told = explain(model);
    expect(at(told, "fc").qconfig).toMatchObject({ own: true, from: "fc" });
    expect(at(told, "conv").rule).toContain("null");
  });

  test("shows ranges and parameters once calibrated", () => {
    const prepared = prepare(fused());
    expect(explain(prepared).stage).toBe("prepared");
    prepared.forward(batch());
    const told = explain(prepared);
    expect(told.stage).toBe("calibrated");
    const { output } = at(told, "quant");
    expect(output).toMatchObject({ className: "HistogramObserver", dtype: "quint8", observed: true });
    expect(output!.settings).toMatchObject({ quantMin: 0, quantMax: 127, reduceRange: true });
    expect(output!.range![0]).toBeLessThan(0);
    expect(at(told, "dequant").output).toBeNull();
    expect(at(told, "sum").output!.observed).toBe(true);
  });

  test("shows integers once converted", () => {
    const prepared = prepare(fused());
    prepared.forward(batch());
    const told = explain(convert(prepared), [batch()]);
    expect(told.stage).toBe("converted");
    expect(at(told, "quant")).toMatchObject({ className: "Quantize", outputs: [["quint8[2,2,4,4]"]] });
    expect(at(told, "fc").scale).toBeGreaterThan(0);
    expect(at(told, "fc").storedWeight).toMatchObject({ dtype: "qint8" });
    expect(at(told, "fc").storedWeight!.scales).toHaveLength(3);
  });

  test("knows training from eval in QAT", () => {
    const model = fuseModulesQat(new Net().train(), FUSE);
    model.qconfig = getDefaultQatQConfig("x86");
    expect(at(explain(model), "conv").rule).toContain("by way of");
    const qat = prepareQat(model);
    qat.forward(batch());
    const told = explain(qat);
    expect(told.stage).toBe("qat training");
    expect(at(told, "conv")).toMatchObject({ className: "ConvBnReLU2d", becomes: "quantized ConvReLU2d" });
    expect(at(told, "conv").weight).toMatchObject({ dtype: "qint8", observes: true, rounds: true });
    expect(explain(qat.eval()).stage).toBe("qat eval");
  });

  test("is JSON, and prints", () => {
    const told = explain(fused(), [batch()]);
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
    const lines = explanationText(told).split("\n");
    expect(lines[0]).toBe("stage: float");
    expect(lines.find((line) => line.includes("conv "))).toMatch(
      /conv +ConvReLU2d +quantized ConvReLU2d +static table: ConvReLU2d → ConvReLU2d +from the root/,
    );
  });

  test("leaves the model alone", () => {
    const model = fused();
    const before = model.toString();
    explain(model, [batch()]);
    expect(model.toString()).toBe(before);
    expect(model.conv.qconfig).toBeUndefined();
  });
});
