/**
 * SqueezeNet (Iandola et al., 2016) in small: fire modules join two convolutions by a plain cat, and use one ReLU for
 * all three.
 */

import { cat } from "fewbit";
import type { Tensor } from "fewbit";
import { AdaptiveAvgPool2d, Conv2d, Dropout, MaxPool2d, Module, ReLU, Sequential } from "fewbit/nn";

export class Fire extends Module {
  squeeze: Conv2d;
  expand1x1: Conv2d;
  expand3x3: Conv2d;
  activation = new ReLU();

  constructor(inChannels: number, squeezed: number, expanded: number) {
    super();
    this.squeeze = new Conv2d(inChannels, squeezed, 1);
    this.expand1x1 = new Conv2d(squeezed, expanded, 1);
    this.expand3x3 = new Conv2d(squeezed, expanded, 3, { padding: 1 });
  }

  forward(x: Tensor): Tensor {
    const y = this.activation.forward(this.squeeze.forward(x));
    const parts = [this.expand1x1, this.expand3x3].map((conv) => this.activation.forward(conv.forward(y)));
    return cat(parts, 1);
  }
}

/** Images [N, 3, H, W] to logits [N, classes]. */
export class SqueezeNet extends Module {
  features = new Sequential(
    new Conv2d(3, 12, 3, { stride: 2 }),
    new ReLU(),
    new MaxPool2d(3, { stride: 2 }),
    new Fire(12, 4, 8),
    new Fire(16, 4, 8),
  );
  classifier: Sequential;

  constructor(classes = 10) {
    super();
    this.classifier = new Sequential(
      new Dropout(0.5),
      new Conv2d(16, classes, 1),
      new ReLU(),
      new AdaptiveAvgPool2d(1),
    );
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(this.features.forward(x)).flatten(1);
  }
}
