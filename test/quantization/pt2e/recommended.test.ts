import { describe, expect, test } from "vitest";
import { capture } from "../../../src/graph/index.ts";
import type { GraphModule } from "../../../src/graph/index.ts";
import { BatchNorm2d, Conv2d, Linear, Module, ReLU } from "../../../src/nn/index.ts";
import { flatten } from "../../../src/ops/index.ts";
import {
  X86Quantizer,
  convertPt2e,
  correctBias,
  getRecommendedQuantizationConfig,
  preparePt2e,
} from "../../../src/quantization/pt2e/index.ts";
import { manualSeed } from "../../../src/tensor/context.ts";
import { randn } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

class Net extends Module {
  conv = new Conv2d(3, 6, 3, { bias: false });
  bn = new BatchNorm2d(6);
  relu = new ReLU();
  fc = new Linear(6 * 16, 4, { bias: false });

  forward(x: Tensor): Tensor {
    return this.fc.forward(flatten(this.relu.forward(this.bn.forward(this.conv.forward(x))), 1));
  }
}

manualSeed(3);
const float = capture(new Net().eval(), [randn([2, 3, 6, 6])]);
const images = randn([64, 3, 6, 6]);

function converted(): GraphModule {
  const prepared = preparePt2e(float, new X86Quantizer().setGlobal(getRecommendedQuantizationConfig()));
  prepared.forward(images);
  return convertPt2e(prepared);
}

function columnMeans(y: Tensor): number[] {
  const [rows, columns] = y.shape as [number, number];
  return Array.from(
    { length: columns },
    (_, c) => Array.from({ length: rows }, (_, r) => y.data[r * columns + c]!).reduce((a, b) => a + b, 0) / rows,
  );
}

/** Float32 sums over 64 rows. */
const MEAN_DIGITS = 5;

describe("bias correction", () => {
  test("gives outputs the float model's means, and leaves the given graph alone", () => {
    const graph = converted();
    const before = graph.toString();
    const corrected = correctBias(graph, float, [images]);
    expect(graph.toString()).toBe(before);
    const wanted = columnMeans(float.run(images));
    columnMeans(corrected.run(images)).forEach((mean, c) => expect(mean).toBeCloseTo(wanted[c]!, MEAN_DIGITS));
  });

  test("refuses another model's graph", () => {
    const other = capture(new Conv2d(3, 6, 3), [randn([2, 3, 6, 6])]);
    expect(() => correctBias(converted(), other, [images])).toThrow(/do not have the same layers/);
  });
});
