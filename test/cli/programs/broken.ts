/** A model without stubs, for `fewbit doctor`. */

import type { Tensor } from "../../../src/index.ts";
import { zeros } from "../../../src/index.ts";
import { Conv2d, Linear, Module, ReLU } from "../../../src/nn/index.ts";

export class Net extends Module<[Tensor], Tensor> {
  conv = new Conv2d(1, 4, 3, { padding: 1 });
  relu = new ReLU();
  fc = new Linear(64, 3);

  override forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    return this.fc.forward(this.relu.forward(y).flatten(1));
  }
}

export const model = (): Net => new Net().eval();
export const exampleInputs = [zeros([1, 1, 4, 4])];
