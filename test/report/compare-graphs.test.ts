/** compare on graphs: FX and PyTorch 2 Export, converted, as reference, and fake-quantized. */

import { describe, expect, test } from "vitest";
import { InceptionBlock } from "../../examples/models/inception-plain.ts";
import { MobileNetV2 } from "../../examples/models/mobilenet-plain.ts";
import { capture } from "../../src/graph/index.ts";
import type { GraphModule } from "../../src/graph/index.ts";
import type { AnyModule } from "../../src/nn/module.ts";
import {
  convertFx,
  convertToReferenceFx,
  getDefaultQConfigMapping,
  prepareFx,
} from "../../src/quantization/fx/index.ts";
import {
  X86Quantizer,
  XnnpackQuantizer,
  convertPt2e,
  getDefaultX86QuantizationConfig,
  getSymmetricQuantizationConfig,
  preparePt2e,
  prepareQatPt2e,
} from "../../src/quantization/pt2e/index.ts";
import { computeSqnr } from "../../src/quantization/suite/metrics.ts";
import { generateNumericDebugHandle } from "../../src/quantization/suite/index.ts";
import { compare, comparisonText } from "../../src/report/index.ts";
import { randn } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Signal to noise in dB that 8 bits keep at least in these networks. */
const MIN_SQNR = 12;

const images = (seed: number): Tensor => randn([2, 3, 32, 32], { generator: new Generator(seed) });
const model = new MobileNetV2().eval();
const batches = [1, 2].map((seed) => [images(seed)]);

function byFx(convert: typeof convertFx): GraphModule {
  const prepared = prepareFx(model, getDefaultQConfigMapping("qnnpack"), [images(0)]);
  for (const inputs of batches) prepared.forward(...inputs);
  return convert(prepared);
}

function byExport(float: AnyModule = model): GraphModule {
  const quantizer = new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig({ isPerChannel: true }));
  const prepared = preparePt2e(capture(float, [images(0)]), quantizer);
  for (const inputs of batches) prepared.forward(...inputs);
  return convertPt2e(prepared);
}

function byX86(): GraphModule {
  const quantizer = new X86Quantizer().setGlobal(getDefaultX86QuantizationConfig());
  const prepared = preparePt2e(capture(model, [images(0)]), quantizer);
  for (const inputs of batches) prepared.forward(...inputs);
  return convertPt2e(prepared);
}

const forms: readonly (readonly [string, () => GraphModule])[] = [
  ["FX, lowered to integers", () => byFx(convertFx)],
  ["FX, as reference", () => byFx(convertToReferenceFx)],
  ["PyTorch 2 Export for XNNPACK", () => byExport()],
  ["PyTorch 2 Export for x86", byX86],
];

describe.each(forms)("compare with a graph of %s", (_name, make) => {
  const graph = make();
  const told = compare(model, graph, batches);

  test("has a row for every convolution and sum", () => {
    const convolutions = told.layers.filter(({ className }) => className.startsWith("conv2d"));
    expect(convolutions).toHaveLength(10);
    expect(told.layers.filter(({ className }) => className === "add")).toHaveLength(2);
    expect(told.layers.find(({ className }) => className === "linear")!.path).toBe("classifier.1");
    expect(told.unmatched.filter(({ className }) => className.startsWith("conv2d"))).toEqual([]);
  });

  test("takes the last row's output where the model's is", () => {
    const one = compare(model, graph, [batches[0]!]).layers.find(({ className }) => className === "linear")!;
    const expected = (model as unknown as { forward(x: Tensor): Tensor }).forward(batches[0]![0]!);
    expect(one.sqnr).toBeCloseTo(computeSqnr(expected, graph.run(batches[0]![0])), 3);
  });

  test("measures each, with range and parts of the error", () => {
    for (const { className, name, sqnr, errorMadeHere, histogram } of told.layers) {
      expect(sqnr, name).toBeGreaterThan(MIN_SQNR);
      if (!/^(conv2d|add|linear)/.test(className)) continue;
      expect(errorMadeHere, name).not.toBeNull();
      expect(histogram.counts.length, name).toBeGreaterThan(1);
    }
    const withRange = told.layers.filter(({ histogram }) => histogram.range !== null);
    expect(withRange.length).toBeGreaterThanOrEqual(12);
    expect(comparisonText(told)).toContain("conv2d");
  });
});

describe("compare of graphs", () => {
  test("matches nodes by debug handles", () => {
    const captured = capture(model, [images(0)]);
    generateNumericDebugHandle(captured);
    const quantizer = new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig());
    const prepared = preparePt2e(captured, quantizer);
    for (const inputs of batches) prepared.forward(...inputs);
    const told = compare(captured, convertPt2e(prepared), batches);
    expect(told.layers.filter(({ className }) => className.startsWith("conv2d"))).toHaveLength(10);
  });

  test("finds no error between a graph and itself", () => {
    const captured = capture(model, [images(0)]);
    for (const { sqnr, errorMadeHere } of compare(captured, captured, batches).layers) {
      expect(sqnr).toBe(Infinity);
      expect(errorMadeHere).toBe(0);
    }
  });

  test("takes fake-quantized graphs", () => {
    const block = new InceptionBlock(6).train();
    const x = randn([2, 6, 8, 8], { generator: new Generator(1) });
    const captured = capture(block, [x]);
    const quantizer = new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig({ isQat: true }));
    const prepared = prepareQatPt2e(captured, quantizer);
    prepared.forward(x);
    const told = compare(block.eval(), prepared.eval(), [[x]]);
    expect(told.layers.some(({ histogram }) => histogram.range !== null)).toBe(true);
  });

  test("refuses to compare a graph with a module of eager mode", () => {
    expect(() => compare(capture(model, [images(0)]), model, batches)).toThrow(/only be compared with a graph/);
  });
});
