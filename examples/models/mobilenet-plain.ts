/**
 * MobileNetV2 (Sandler et al., 2018) in small, as one writes it without quantization in mind: inverted residuals with
 * a plain sum.
 */

import { add } from "fewbit";
import type { Tensor } from "fewbit";
import { AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, Module, ReLU, Sequential } from "fewbit/nn";

function convBnRelu(
  inChannels: number,
  outChannels: number,
  kernel: number,
  stride: number,
  groups: number,
): Sequential {
  const padding = (kernel - 1) / 2;
  const conv = new Conv2d(inChannels, outChannels, kernel, { stride, padding, groups, bias: false });
  return new Sequential(conv, new BatchNorm2d(outChannels), new ReLU());
}

/** Widen, filter each channel, narrow; and a shortcut where shapes allow. */
export class InvertedResidual extends Module {
  conv: Sequential;
  private readonly hasShortcut: boolean;

  constructor(inChannels: number, outChannels: number, stride: number, expansion: number) {
    super();
    const hidden = inChannels * expansion;
    this.hasShortcut = stride === 1 && inChannels === outChannels;
    this.conv = new Sequential(
      ...(expansion === 1 ? [] : [convBnRelu(inChannels, hidden, 1, 1, 1)]),
      convBnRelu(hidden, hidden, 3, stride, hidden),
      new Conv2d(hidden, outChannels, 1, { bias: false }),
      new BatchNorm2d(outChannels),
    );
  }

  forward(x: Tensor): Tensor {
    return this.hasShortcut ? add(x, this.conv.forward(x)) : this.conv.forward(x);
  }
}

/** Images [N, 3, H, W] to logits [N, classes]. */
export class MobileNetV2 extends Module {
  features: Sequential;
  pool = new AdaptiveAvgPool2d(1);
  classifier: Sequential;

  constructor(classes = 10) {
    super();
    this.features = new Sequential(
      convBnRelu(3, 8, 3, 2, 1),
      new InvertedResidual(8, 8, 1, 1),
      new InvertedResidual(8, 12, 2, 4),
      new InvertedResidual(12, 12, 1, 4),
      convBnRelu(12, 32, 1, 1, 1),
    );
    this.classifier = new Sequential(new Dropout(0.2), new Linear(32, classes));
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(this.pool.forward(this.features.forward(x)).flatten(1));
  }
}
