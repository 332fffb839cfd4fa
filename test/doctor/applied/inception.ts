/** examples/models/inception-plain.ts with the diff of placeStubs applied by hand. */

import { avgPool2d } from "fewbit";
import type { Tensor } from "fewbit";
import { BatchNorm2d, Conv2d, Module, ReLU } from "fewbit/nn";
import { DeQuantStub, FloatFunctional, QuantStub, fuseModules } from "fewbit/quantization";

export class BasicConv2d extends Module {
  conv: Conv2d;
  bn: BatchNorm2d;
  relu = new ReLU();

  constructor(inChannels: number, outChannels: number, kernel: number, padding = 0) {
    super();
    this.conv = new Conv2d(inChannels, outChannels, kernel, { padding, bias: false });
    this.bn = new BatchNorm2d(outChannels, { eps: 1e-3 });
  }

  forward(x: Tensor): Tensor {
    return this.relu.forward(this.bn.forward(this.conv.forward(x)));
  }
}

export class InceptionBlock extends Module {
  branch1x1: BasicConv2d;
  branch5x5reduce: BasicConv2d;
  branch5x5: BasicConv2d;
  branch3x3reduce: BasicConv2d;
  branch3x3: BasicConv2d;
  branchPool: BasicConv2d;
  cat_0 = new FloatFunctional();
  dequant_0 = new DeQuantStub();
  quant_0 = new QuantStub();

  constructor(channels: number) {
    super();
    this.branch1x1 = new BasicConv2d(channels, 8, 1);
    this.branch5x5reduce = new BasicConv2d(channels, 6, 1);
    this.branch5x5 = new BasicConv2d(6, 8, 5, 2);
    this.branch3x3reduce = new BasicConv2d(channels, 6, 1);
    this.branch3x3 = new BasicConv2d(6, 8, 3, 1);
    this.branchPool = new BasicConv2d(channels, 4, 1);
  }

  forward(x: Tensor): Tensor {
    x = this.quant_0.forward(x);
    const pooled = avgPool2d(x, 3, { stride: 1, padding: 1 });
    const parts = [
      this.branch1x1.forward(x),
      this.branch5x5.forward(this.branch5x5reduce.forward(x)),
      this.branch3x3.forward(this.branch3x3reduce.forward(x)),
      this.branchPool.forward(pooled),
    ];
    return this.dequant_0.forward(this.cat_0.cat(parts, 1));
  }
}

export function fuse(model: InceptionBlock): InceptionBlock {
  return fuseModules(model.eval(), [
    ["branch1x1.conv", "branch1x1.bn", "branch1x1.relu"],
    ["branch5x5reduce.conv", "branch5x5reduce.bn", "branch5x5reduce.relu"],
    ["branch5x5.conv", "branch5x5.bn", "branch5x5.relu"],
    ["branch3x3reduce.conv", "branch3x3reduce.bn", "branch3x3reduce.relu"],
    ["branch3x3.conv", "branch3x3.bn", "branch3x3.relu"],
    ["branchPool.conv", "branchPool.bn", "branchPool.relu"],
  ]);
}
