/** examples/models/squeezenet-plain.ts with the diff of placeStubs applied by hand. */

import { reshape } from "fewbit";
import type { Tensor } from "fewbit";
import { AdaptiveAvgPool2d, Conv2d, Dropout, MaxPool2d, Module, ReLU, Sequential } from "fewbit/nn";
import { DeQuantStub, FloatFunctional, QuantStub, fuseModules } from "fewbit/quantization";

export class Fire extends Module {
  squeeze: Conv2d;
  expand1x1: Conv2d;
  expand3x3: Conv2d;
  activation = new ReLU();
  activation_0 = new ReLU();
  activation_1 = new ReLU();
  cat_0 = new FloatFunctional();

  constructor(inChannels: number, squeezed: number, expanded: number) {
    super();
    this.squeeze = new Conv2d(inChannels, squeezed, 1);
    this.expand1x1 = new Conv2d(squeezed, expanded, 1);
    this.expand3x3 = new Conv2d(squeezed, expanded, 3, { padding: 1 });
  }

  forward(x: Tensor): Tensor {
    const y = this.activation.forward(this.squeeze.forward(x));
    const parts = [
      this.activation_0.forward(this.expand1x1.forward(y)),
      this.activation_1.forward(this.expand3x3.forward(y)),
    ];
    return this.cat_0.cat(parts, 1);
  }
}

export class SqueezeNet extends Module {
  features = new Sequential(
    new Conv2d(3, 12, 3, { stride: 2 }),
    new ReLU(),
    new MaxPool2d(3, { stride: 2 }),
    new Fire(12, 4, 8),
    new Fire(16, 4, 8),
  );
  classifier: Sequential;
  quant_0 = new QuantStub();
  dequant_0 = new DeQuantStub();

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
    x = this.quant_0.forward(x);
    const y = this.classifier.forward(this.features.forward(x));
    return this.dequant_0.forward(reshape(y, [y.size(0), -1]));
  }
}

export function fuse(model: SqueezeNet): SqueezeNet {
  return fuseModules(model.eval(), [
    ["features.0", "features.1"],
    ["features.3.squeeze", "features.3.activation"],
    ["features.3.expand1x1", "features.3.activation_0"],
    ["features.3.expand3x3", "features.3.activation_1"],
    ["features.4.squeeze", "features.4.activation"],
    ["features.4.expand1x1", "features.4.activation_0"],
    ["features.4.expand3x3", "features.4.activation_1"],
    ["classifier.1", "classifier.2"],
  ]);
}
