/**
 * An Inception block (Szegedy et al., 2015): four branches of the same input, joined by a plain cat, with functional
 * ReLUs.
 */

import { avgPool2d, cat, relu } from "fewbit";
import type { Tensor } from "fewbit";
import { BatchNorm2d, Conv2d, Module } from "fewbit/nn";

export class BasicConv2d extends Module {
  conv: Conv2d;
  bn: BatchNorm2d;

  constructor(inChannels: number, outChannels: number, kernel: number, padding = 0) {
    super();
    this.conv = new Conv2d(inChannels, outChannels, kernel, { padding, bias: false });
    this.bn = new BatchNorm2d(outChannels, { eps: 1e-3 });
  }

  forward(x: Tensor): Tensor {
    return relu(this.bn.forward(this.conv.forward(x)));
  }
}

/** [N, channels, H, W] to [N, 28, H, W]. */
export class InceptionBlock extends Module {
  branch1x1: BasicConv2d;
  branch5x5reduce: BasicConv2d;
  branch5x5: BasicConv2d;
  branch3x3reduce: BasicConv2d;
  branch3x3: BasicConv2d;
  branchPool: BasicConv2d;

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
    const pooled = avgPool2d(x, 3, { stride: 1, padding: 1 });
    return cat(
      [
        this.branch1x1.forward(x),
        this.branch5x5.forward(this.branch5x5reduce.forward(x)),
        this.branch3x3.forward(this.branch3x3reduce.forward(x)),
        this.branchPool.forward(pooled),
      ],
      1,
    );
  }
}
