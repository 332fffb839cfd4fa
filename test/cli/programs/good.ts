/** A sound model, for `fewbit doctor` and `fewbit explain`. */

import type { Tensor } from "../../../src/index.ts";
import { Conv2d, Module } from "../../../src/nn/index.ts";
import { DeQuantStub, QuantStub } from "../../../src/quantization/entry.ts";

export default class Net extends Module<[Tensor], Tensor> {
  quant = new QuantStub();
  conv = new Conv2d(1, 4, 3, { padding: 1 });
  dequant = new DeQuantStub();

  constructor() {
    super();
    this.eval();
  }

  override forward(x: Tensor): Tensor {
    return this.dequant.forward(this.conv.forward(this.quant.forward(x)));
  }
}
