/**
 * explain at every stage, as text and as JSON, compared with files in snapshots/. After a wanted change:
 * npx vitest run test/report/explain-stages.test.ts -u
 */

import path from "node:path";
import { describe, expect, test } from "vitest";
import { capture } from "../../src/graph/index.ts";
import * as nn from "../../src/nn/index.ts";
import {
  convert,
  fuseModules,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
} from "../../src/quantization/entry.ts";
import {
  convertFx,
  getDefaultQConfigMapping,
  getDefaultQatQConfigMapping,
  prepareFx,
  prepareQatFx,
} from "../../src/quantization/fx/index.ts";
import {
  XnnpackQuantizer,
  convertPt2e,
  getSymmetricQuantizationConfig,
  preparePt2e,
} from "../../src/quantization/pt2e/index.ts";
import { explain, explanationText } from "../../src/report/index.ts";
import type { Explanation, Stage } from "../../src/report/index.ts";
import { add } from "../../src/index.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { FUSE, Net, batch } from "../quantization/eager/support.ts";

/** The same network without stubs, for the graph modes. */
class Plain extends nn.Module {
  conv = new nn.Conv2d(2, 4, 3, { padding: 1 });
  bn = new nn.BatchNorm2d(4);
  relu = new nn.ReLU();
  act = new nn.GELU();
  fc = new nn.Linear(64, 3);

  forward(x: Tensor): Tensor {
    const a = this.relu.forward(this.bn.forward(this.conv.forward(x)));
    return this.fc.forward(this.act.forward(add(a, a)).flatten(1));
  }
}

function seeded<M>(make: () => M): M {
  manualSeed(2);
  return make();
}

const float = (): Net => {
  const model = seeded(() => fuseModules(new Net().eval(), FUSE));
  model.qconfig = getDefaultQConfig("x86");
  model.fc.qconfig = getDefaultQConfig("qnnpack");
  return model;
};
const prepared = (): Net => prepare(float());
const calibrated = (): Net => {
  const model = prepared();
  model.forward(batch());
  return model;
};
const training = (): Net => {
  const model = seeded(() => fuseModulesQat(new Net().train(), FUSE));
  model.qconfig = getDefaultQatQConfig("x86");
  const qat = prepareQat(model);
  qat.forward(batch());
  return qat;
};

const mapping = () => getDefaultQConfigMapping("x86").setModuleName("fc", getDefaultQConfig("qnnpack"));
const plain = (): Plain => seeded(() => new Plain()).eval();
const fxPrepared = () => prepareFx(plain(), mapping(), [batch()]);
const fxCalibrated = () => {
  const model = fxPrepared();
  model.forward(batch());
  return model;
};
const exported = () => {
  const quantizer = new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig());
  const model = preparePt2e(capture(plain(), [batch()]), quantizer);
  model.forward(batch());
  return model;
};

/** Stages of eager mode. */
const stages: readonly (readonly [name: string, stage: Stage, told: () => Explanation])[] = [
  ["float", "float", () => explain(float(), [batch()])],
  ["prepared", "prepared", () => explain(prepared(), [batch()])],
  ["calibrated", "calibrated", () => explain(calibrated(), [batch()])],
  ["converted", "converted", () => explain(convert(calibrated()), [batch()])],
  ["qat-training", "qat training", () => explain(training(), [batch()])],
  ["qat-eval", "qat eval", () => explain(training().eval(), [batch()])],
  ["qat-converted", "converted", () => explain(convert(training().eval()), [batch()])],
];

type Row = readonly [is: string, becomes: string | null];

/** Of graphs names and places may change with the passes that make them; what nodes are and become may not. */
const graphs: readonly (readonly [name: string, stage: Stage, told: () => Explanation, rows: readonly Row[]])[] = [
  ["a captured graph", "float", () => explain(capture(plain(), [batch()])), floatRows()],
  ["prepared by FX", "prepared", () => explain(fxPrepared()), preparedRows()],
  ["calibrated by FX", "calibrated", () => explain(fxCalibrated()), preparedRows()],
  ["calibrated for PyTorch 2 Export", "calibrated", () => explain(exported()), preparedRows()],
  ["converted for PyTorch 2 Export", "converted", () => explain(convertPt2e(exported())), preparedRows()],
  [
    "converted by FX",
    "converted",
    () => explain(convertFx(fxCalibrated())),
    [
      ["quantizedConv", null],
      ["quantizedAdd", null],
      ["quantizedLinear", null],
    ],
  ],
  [
    "prepared by FX for training",
    "qat training",
    () => explain(prepareQatFx(plain().train(), getDefaultQatQConfigMapping("x86"), [batch()])),
    [
      ["conv2d", "quantizedConv"],
      ["linear", "quantizedLinear"],
    ],
  ],
];

function floatRows(): Row[] {
  return ["conv2d", "batchNorm", "relu", "add", "gelu", "linear"].map((is) => [is, null]);
}

function preparedRows(): Row[] {
  return [
    ["conv2d", "quantizedConv"],
    ["relu", "quantizedConv"],
    ["add", "quantizedAdd"],
    ["gelu", null],
    ["linear", "quantizedLinear"],
  ];
}

describe.each(graphs)("explain of %s", (_name, stage, tell, rows) => {
  const told = tell();
  const row = (is: string) => told.modules.find(({ className }) => className === is)!;

  test("knows the stage, and is JSON", () => {
    expect(told.stage).toBe(stage);
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
    expect(explanationText(told).split("\n")[0]).toBe(`stage: ${stage}`);
  });

  test("says what each node is and becomes, and by which rule", () => {
    for (const [is, becomes] of rows) {
      expect(row(is).becomes, is).toBe(becomes);
      expect(row(is).rule, is).not.toBe("");
      expect(row(is).outputs[0]![0], is).toMatch(/^\w+\[[\d,]+\]$/);
    }
  });

  test("gives types and parameters where there are any", () => {
    const conv = told.modules.find(({ className }) => /conv/i.test(className))!;
    if (stage === "float") return;
    expect(conv.inputs[0]![0]).toMatch(/^qu?int8\[2,2,4,4\]$/);
    if (stage === "calibrated") expect(told.modules[0]!.output).toMatchObject({ observed: true });
    if (stage === "converted") expect([conv.scale, conv.storedWeight]).not.toContain(null);
    expect(told.modules.some(({ source }) => source?.includes("explain-stages.test.ts:"))).toBe(true);
  });
});

/** Six digits are enough to see a change, and few enough for float sums that differ in order. */
function rounded(told: Explanation): string {
  const shorten = (_key: string, value: unknown): unknown =>
    typeof value === "number" ? Number(value.toPrecision(6)) : value;
  return `${JSON.stringify(told, shorten, 2)}\n`;
}

function file(name: string): string {
  return path.join(import.meta.dirname, "snapshots", name);
}

describe.each(stages)("explain of a model that is %s", (name, stage, tell) => {
  const told = tell();

  test("knows the stage", () => {
    expect(told.stage).toBe(stage);
  });

  test("as text", async () => {
    await expect(`${explanationText(told)}\n`).toMatchFileSnapshot(file(`${name}.txt`));
  });

  test("as JSON", async () => {
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
    await expect(rounded(told)).toMatchFileSnapshot(file(`${name}.json.txt`));
  });
});

/** What the issue asks of a row, and at which stages of eager mode it must be there. */
test("every module's row has what is asked of it", () => {
  for (const [name, stage, tell] of stages) {
    for (const row of tell().modules) {
      expect(row.rule, `${name} ${row.path}`).not.toBe("");
      const isUnit = row.inputs.length > 0;
      if (!isUnit) continue;
      expect(row.outputs[0]!.length, `${name} ${row.path}`).toBeGreaterThan(0);
      if (/Stub$|^(De)?Quantize$/.test(row.className)) expect(row.note).not.toBeNull();
      if (stage === "converted") continue;
      expect(row.qconfig, `${name} ${row.path}`).not.toBeNull();
      if (row.output?.observed) expect([row.output.range, row.output.scale]).not.toContain(null);
    }
  }
});

test("says from where a qconfig is inherited", () => {
  const { modules } = explain(float());
  const from = (at: string): unknown => modules.find(({ path: one }) => one === at)!.qconfig;
  expect(from("conv")).toMatchObject({ from: "", own: false });
  expect(from("fc")).toMatchObject({ from: "fc", own: true });
  const fx = explain(fxPrepared()).modules;
  expect(fx.find(({ className }) => className === "linear")!.qconfig).toMatchObject({
    from: 'the mapping\'s module name "fc"',
    own: true,
  });
  expect(fx.find(({ className }) => className === "conv2d")!.qconfig).toMatchObject({ own: false });
});
