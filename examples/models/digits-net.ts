/**
 * A small residual network for 8x8 digits, written for eager quantization.
 */

import type { Tensor } from "fewbit";
import { AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, Module, ReLU } from "fewbit/nn";
import { DeQuantStub, FloatFunctional, QuantStub } from "fewbit/quantization";

/** x + conv(relu(conv(x))), then relu; [N, C, H, W] to the same shape. */
export class ResidualBlock extends Module {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  relu1 = new ReLU();
  conv2: Conv2d;
  bn2: BatchNorm2d;
  sum = new FloatFunctional();

  constructor(channels: number) {
    super();
    this.conv1 = new Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(channels);
    this.conv2 = new Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(channels);
  }

  forward(x: Tensor): Tensor {
    const y = this.relu1.forward(this.bn1.forward(this.conv1.forward(x)));
    return this.sum.addRelu(this.bn2.forward(this.conv2.forward(y)), x);
  }
}

/** Images [N, 1, 8, 8] to logits [N, 10]. */
export class DigitsNet extends Module {
  quant = new QuantStub();
  stem = new Conv2d(1, 16, 3, { padding: 1, bias: false });
  stemBn = new BatchNorm2d(16);
  stemRelu = new ReLU();
  block1 = new ResidualBlock(16);
  down = new Conv2d(16, 32, 3, { stride: 2, padding: 1, bias: false });
  downBn = new BatchNorm2d(32);
  downRelu = new ReLU();
  block2 = new ResidualBlock(32);
  pool = new AdaptiveAvgPool2d(1);
  classifier = new Linear(32, 10);
  dequant = new DeQuantStub();

  forward(x: Tensor): Tensor {
    let y = this.stemRelu.forward(this.stemBn.forward(this.stem.forward(this.quant.forward(x))));
    y = this.downRelu.forward(this.downBn.forward(this.down.forward(this.block1.forward(y))));
    y = this.pool.forward(this.block2.forward(y)).flatten(1);
    return this.dequant.forward(this.classifier.forward(y));
  }
}

/** What `fuseModules` joins. */
export const digitsFusions: string[][] = [
  ["stem", "stemBn", "stemRelu"],
  ["block1.conv1", "block1.bn1", "block1.relu1"],
  ["block1.conv2", "block1.bn2"],
  ["down", "downBn", "downRelu"],
  ["block2.conv1", "block2.bn1", "block2.relu1"],
  ["block2.conv2", "block2.bn2"],
];
