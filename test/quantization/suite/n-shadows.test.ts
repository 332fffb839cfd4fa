/**
 * N-shadows models against PyTorch's (golden/n-shadows.json): the same parts, the same shadows, the same distances.
 */

import { describe, expect, it } from "vitest";
import { QuantError } from "../../../src/errors.ts";
import { randn } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import { defaultDynamicQConfig, defaultPerChannelQConfig, defaultQConfig } from "../../../src/quantization/index.ts";
import { QConfigMapping } from "../../../src/quantization/fx/index.ts";
import * as suite from "../../../src/quantization/suite/index.ts";
import { capture, flattenTree } from "../../../src/graph/index.ts";
import { loadGolden } from "../../golden/load.ts";
import { loadModel } from "../../golden/programs/load.ts";

/** PyTorch computes norms in float32. */
const DECIBEL = 1e-4;

interface Row {
  readonly name: string;
  readonly fqn: string;
  readonly values: number;
  readonly comparisons: readonly number[];
}

function mappingsOf(setting: string): suite.QConfigMultiMapping {
  const made = new suite.QConfigMultiMapping();
  if (setting === "global") return made.setGlobal([defaultQConfig, defaultPerChannelQConfig]);
  return made.setGlobal([defaultQConfig]).setObjectType(nn.Linear, [defaultPerChannelQConfig, null, defaultQConfig]);
}

describe("N-shadows models", () => {
  it.each(loadGolden("n-shadows").cases.map((one) => [one.name, one] as const))("%s", (_, { attrs, expected }) => {
    const { model, calibration, test, floatOutput } = loadModel(attrs["model"] as string);
    const prepared = suite.prepareNShadowsModel(model, calibration[0]!, mappingsOf(attrs["setting"] as string));
    suite.loggersSetEnabled(prepared, false);
    for (const batch of calibration) prepared.forward(...batch);
    const converted = suite.convertNShadowsModel(prepared);
    suite.loggersSetEnabled(converted, true);
    const outputs = flattenTree([converted.forward(...test)]).leaves;
    expect(outputs.map(({ data }) => Array.from(data))).toEqual(
      flattenTree([capture(model, calibration[0]!).forward(...test)]).leaves.map(({ data }) => Array.from(data)),
    );
    expect(floatOutput).toBeDefined();
    const results = suite.extractResultsNShadowsModel(converted)["model"]!["node_output"]!;
    const rows = expected["rows"] as unknown as readonly Row[];
    expect(Object.keys(results)).toEqual(rows.map(({ name }) => name));
    for (const { name, fqn, values, comparisons } of rows) {
      const [entry] = results[name]!;
      if (fqn !== "") expect([name, entry!.fqn]).toEqual([name, fqn]);
      expect(entry!.values.length).toBe(values);
      const own = entry!.comparisons?.["sqnr"] ?? [];
      expect(own.length, name).toBe(comparisons.length);
      own.forEach((v, i) => {
        if (Number.isFinite(comparisons[i])) expect(Math.abs(v - comparisons[i]!), name).toBeLessThan(DECIBEL);
        else expect(v, name).toBe(comparisons[i]);
      });
    }
  });

  const net = (): nn.Sequential => new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 2)).eval();

  it("print one line a part and one column a qconfig", () => {
    const x = randn([16, 4]);
    const mappings = new suite.QConfigMultiMapping()
      .setGlobal([defaultQConfig])
      .setModuleName("2", [defaultDynamicQConfig, defaultQConfig]);
    const prepared = suite.prepareNShadowsModel(net(), [x], mappings);
    prepared.forward(x);
    const converted = suite.convertNShadowsModel(prepared);
    converted.forward(x);
    const lines = suite.printComparisonsNShadowsModel(suite.extractResultsNShadowsModel(converted)).split("\n");
    expect(lines[0]).toMatch(/^subgraph +type +module +qconfig 1 +qconfig 2$/);
    expect(lines[1]).toMatch(/^subgraph_0 +linear +0 +\d+\.\d\d$/);
    expect(lines[2]).toMatch(/^subgraph_1 +linear +2 +\d+\.\d\d +\d+\.\d\d$/);
  });

  it("keep activations only when asked, and compare with another function", () => {
    const x = randn([16, 4]);
    const prepared = suite.prepareNShadowsModel(
      net(),
      [x],
      new suite.QConfigMultiMapping().setGlobal([defaultQConfig]),
    );
    suite.loggersSetEnabled(prepared, false);
    prepared.forward(x);
    const converted = suite.convertNShadowsModel(prepared);
    suite.loggersSetEnabled(converted, true);
    suite.loggersSetSaveActivations(converted, false);
    for (const module of converted.graph.modules.values()) {
      if (!(module instanceof suite.OutputComparisonLogger)) continue;
      module.comparison = suite.computeCosineSimilarity;
      module.comparisonName = "cosine";
    }
    converted.forward(x);
    const [entry] = suite.extractResultsNShadowsModel(converted)["model"]!["node_output"]!["subgraph_0_1"]!;
    expect(entry!.values).toEqual([]);
    expect(entry!.comparisons!["cosine"]![0]).toBeGreaterThan(0.99);
    expect(entry!.qconfig_str).toContain("MinMaxObserver");
  });

  it("refuse mappings without effect, graphs without shadows, and shadows without data", () => {
    const x = randn([16, 4]);
    expect(() => suite.prepareNShadowsModel(net(), [x], new suite.QConfigMultiMapping())).toThrow(QuantError);
    const prepared = suite.prepareNShadowsModel(
      net(),
      [x],
      new suite.QConfigMultiMapping().setGlobal([defaultQConfig]),
    );
    expect(() => suite.convertNShadowsModel(prepared)).toThrow("saw no data");
  });
});

describe("QConfigMultiMapping", () => {
  it("fills mappings so that a wider setting of another does not step in", () => {
    const multi = new suite.QConfigMultiMapping()
      .setObjectType(nn.Linear, [defaultQConfig])
      .setGlobal([defaultPerChannelQConfig, defaultPerChannelQConfig, null, defaultDynamicQConfig]);
    expect(multi.qconfigMappingsList.map((mapping) => mapping.globalQConfig)).toEqual([
      defaultPerChannelQConfig,
      defaultDynamicQConfig,
    ]);
    expect(multi.qconfigMappingsList.map((mapping) => mapping.objectTypeQConfigs.get("Linear"))).toEqual([
      defaultQConfig,
      null,
    ]);
    multi.setModuleNameRegex("a.*", [null]).setModuleNameObjectTypeOrder("", nn.Linear, 0, [defaultQConfig]);
    expect(multi.qconfigMappingsList[1]!.moduleNameRegexQConfigs.get("a.*")).toBeNull();
    const mapping = new QConfigMapping().setGlobal(defaultQConfig);
    const given = suite.QConfigMultiMapping.fromListQConfigMapping([mapping]);
    expect(given.qconfigMappingsList[0]!.toDict()).toEqual(mapping.toDict());
  });
});
