/**
 * ResNet-20 for CIFAR-10 (He et al., 2016, section 4.2), as one writes it without quantization in mind: the graph
 * modes need no stubs. Shortcuts between stages subsample and append zero channels (option A).
 */

import { add, pad, relu, slice } from "fewbit";
import type { Tensor } from "fewbit";
import { AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, Module, ReLU, Sequential } from "fewbit/nn";

const CLASSES = 10;
const BLOCKS_PER_STAGE = 3;

/** Two 3x3 convolutions and a shortcut: x [N, in, H, W] to [N, out, H / stride, W / stride]. */
export class BasicBlock extends Module {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  relu1 = new ReLU();
  conv2: Conv2d;
  bn2: BatchNorm2d;
  private readonly stride: number;
  private readonly extraChannels: number;

  constructor(inChannels: number, outChannels: number, stride: number) {
    super();
    this.stride = stride;
    this.extraChannels = outChannels - inChannels;
    this.conv1 = new Conv2d(inChannels, outChannels, 3, { stride, padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(outChannels);
    this.conv2 = new Conv2d(outChannels, outChannels, 3, { padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(outChannels);
  }

  /** Every `stride`-th pixel, with as many zero channels before and after as the block adds. */
  private shortcut(x: Tensor): Tensor {
    if (this.extraChannels === 0) return x;
    const rows = slice(x, 2, 0, x.size(2), this.stride);
    const pixels = slice(rows, 3, 0, x.size(3), this.stride);
    const before = Math.floor(this.extraChannels / 2);
    return pad(pixels, [0, 0, 0, 0, before, this.extraChannels - before]);
  }

  forward(x: Tensor): Tensor {
    const y = this.bn2.forward(this.conv2.forward(this.relu1.forward(this.bn1.forward(this.conv1.forward(x)))));
    return relu(add(y, this.shortcut(x)));
  }
}

/** Images [N, 3, 32, 32] to logits [N, 10]. State-dict keys are those of the pretrained file. */
export class ResNet20 extends Module {
  conv1 = new Conv2d(3, 16, 3, { padding: 1, bias: false });
  bn1 = new BatchNorm2d(16);
  relu = new ReLU();
  layer1 = ResNet20.stage(16, 16, 1);
  layer2 = ResNet20.stage(16, 32, 2);
  layer3 = ResNet20.stage(32, 64, 2);
  pool = new AdaptiveAvgPool2d(1);
  linear = new Linear(64, CLASSES);

  private static stage(inChannels: number, outChannels: number, stride: number): Sequential {
    const blocks = Array.from({ length: BLOCKS_PER_STAGE }, (_, i) =>
      i === 0 ? new BasicBlock(inChannels, outChannels, stride) : new BasicBlock(outChannels, outChannels, 1),
    );
    return new Sequential(...blocks);
  }

  forward(x: Tensor): Tensor {
    let y = this.relu.forward(this.bn1.forward(this.conv1.forward(x)));
    for (const stage of [this.layer1, this.layer2, this.layer3]) y = stage.forward(y);
    return this.linear.forward(this.pool.forward(y).flatten(1));
  }
}
