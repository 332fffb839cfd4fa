import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { capture } from "../../src/graph/capture.ts";
import { Conv2d } from "../../src/nn/conv.ts";
import { BatchNorm2d } from "../../src/nn/batch-norm.ts";
import { Linear } from "../../src/nn/linear.ts";
import { Module } from "../../src/nn/module.ts";
import "../../src/ops/methods.ts";
import { randn } from "../../src/tensor/create.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

class Net extends Module {
  conv1 = new Conv2d(3, 12, 3, { padding: 1 });
  bn1 = new BatchNorm2d(12);
  conv2 = new Conv2d(12, 12, 3, { padding: 1, groups: 12, stride: 2 });
  conv3 = new Conv2d(12, 8, 1, { groups: 2 });
  fc = new Linear(8 * 4 * 4, 10);

  forward(x: Tensor): Tensor {
    const y = this.conv3.forward(this.conv2.forward(this.bn1.forward(this.conv1.forward(x))));
    return this.fc.forward(y.flatten(1));
  }
}

function maxError(a: Tensor, b: Tensor): number {
  return Math.max(...a.data.map((v, i) => Math.abs(v - b.data[i]!)));
}

test("a float network compiled agrees with the interpreter for several batch sizes", () => {
  manualSeed(3);
  const net = new Net().eval();
  const graphModule = capture(net, [randn([2, 3, 8, 8])]);
  const executable = compile(graphModule);
  for (const batch of [2, 1, 3, 2]) {
    const x = randn([batch, 3, 8, 8]);
    expect(maxError(executable.runOne(x), graphModule.run(x))).toBeLessThan(1e-5);
  }
  const text = executable.explain([randn([2, 3, 8, 8])]).toString();
  expect(text).toContain("f32 conv 6x8");
  expect(text).toContain("f32 depthwise");
  executable.dispose();
  expect(() => executable.run(randn([1, 3, 8, 8]))).toThrow(/disposed/);
});
