/** A small residual network as an ONNX file, with everything a ResNet has: what quantizeOnnx is tested on. */

import { capture } from "../../../src/graph/index.ts";
import type { GraphModule } from "../../../src/graph/index.ts";
import { BatchNorm2d, Conv2d, Linear, Module } from "../../../src/nn/index.ts";
import { adaptiveAvgPool2d, add, maxPool2d, pad, relu, slice } from "../../../src/ops/index.ts";
import { exportOnnx } from "../../../src/onnx/index.ts";
import { randn } from "../../../src/tensor/create.ts";

import { manualSeed } from "../../../src/tensor/context.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

export class ResidualNet extends Module<[Tensor], Tensor> {
  first = new Conv2d(3, 8, 3, { padding: 1 });
  norm = new BatchNorm2d(8);
  left = new Conv2d(8, 8, 3, { padding: 1 });
  right = new Conv2d(8, 16, 3, { padding: 1, stride: 2, bias: false });
  fc = new Linear(16, 5);

  override forward(x: Tensor): Tensor {
    const a = maxPool2d(relu(this.norm.forward(this.first.forward(x))), 2);
    const b = relu(add(this.left.forward(a), a));
    const shortcut = pad(slice(slice(b, 2, 0, 8, 2), 3, 0, 8, 2), [0, 0, 0, 0, 4, 4]);
    const c = relu(add(this.right.forward(b), shortcut));
    return this.fc.forward(adaptiveAvgPool2d(c, 1).reshape([-1, 16]));
  }
}

export const generator = (seed: number): Generator => new Generator(seed);

export function images(seed: number, count: number): Tensor {
  return randn([count, 3, 16, 16], { generator: generator(seed) });
}

export function residualNet(): GraphModule {
  manualSeed(3);
  const net = new ResidualNet();
  net.eval();
  return capture(net, [images(1, 2)]);
}

export function residualFile(): Uint8Array {
  return exportOnnx(residualNet(), { outputNames: ["scores"], metadata: { author: "a test" } });
}
