/** Small models for the tests of the eager flow. */

import { FloatFunctional } from "../../../src/nn/float-functional.ts";
import * as nn from "../../../src/nn/index.ts";
import type { AnyModule } from "../../../src/nn/module.ts";
import { prepare } from "../../../src/quantization/eager/index.ts";
import type { PrepareOptions } from "../../../src/quantization/eager/index.ts";
import { getDefaultQConfig } from "../../../src/quantization/index.ts";
import { DeQuantStub, QuantStub } from "../../../src/quantization/stubs.ts";
import { randn } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

/** Convolution with batch normalization and ReLU, a sum, a linear layer. Input [n, 2, 4, 4], output [n, 3]. */
export class Net extends nn.Module {
  quant: nn.Module = new QuantStub();
  conv: nn.Module = new nn.Conv2d(2, 4, 3, { padding: 1 });
  bn: nn.Module = new nn.BatchNorm2d(4);
  relu: nn.Module = new nn.ReLU();
  sum = new FloatFunctional();
  flat: nn.Module = new nn.Flatten();
  fc: nn.Module = new nn.Linear(64, 3);
  dequant: nn.Module = new DeQuantStub();

  forward(x: Tensor): Tensor {
    const a = this.relu.forward(this.bn.forward(this.conv.forward(this.quant.forward(x))));
    return this.dequant.forward(this.fc.forward(this.flat.forward(this.sum.add(a, a))));
  }
}

export const FUSE = ["conv", "bn", "relu"];

export function batch(seed = 1): Tensor {
  return randn([2, 2, 4, 4], { generator: new Generator(seed) });
}

/** A prepared copy that saw one batch. */
export function calibrated<M extends AnyModule>(model: M, x: Tensor, options: PrepareOptions = {}): M {
  model.qconfig ??= getDefaultQConfig("x86");
  const prepared = prepare(model.eval(), options);
  prepared.forward(x as never);
  return prepared;
}
