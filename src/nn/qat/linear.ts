/**
 * Linear with a fake-quantized weight, for quantization-aware training. Source: torch/ao/nn/qat/modules/linear.py.
 */

import { linear } from "../../ops/linear.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Linear as FloatLinear } from "../linear.ts";
import type { AnyModule, Module } from "../module.ts";
import { floatLayer } from "../quantized/observed.ts";
import { requireQConfig } from "./qconfig.ts";

export interface QatLinearOptions {
  readonly bias?: boolean;
  /** A QConfig whose weight makes a fake-quantize module. */
  readonly qconfig: unknown;
}

export class Linear extends FloatLinear {
  weightFakeQuant: Module;

  /** @throws QuantError without a qconfig. */
  constructor(inFeatures: number, outFeatures: number, { bias = true, qconfig }: QatLinearOptions) {
    super(inFeatures, outFeatures, { bias });
    this.qconfig = qconfig;
    this.weightFakeQuant = requireQConfig("qat.Linear", qconfig).weight();
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weightFakeQuant.forward(this.weight), this.bias);
  }

  /** A training layer that shares the parameters of a float one. @throws QuantError */
  static fromFloat(module: AnyModule): Linear {
    const layer = floatLayer(module) as FloatLinear;
    const qat = new this(layer.inFeatures, layer.outFeatures, { bias: layer.bias !== null, qconfig: module.qconfig });
    qat.weight = layer.weight;
    qat.bias = layer.bias;
    return qat;
  }

  /** A float layer with a copy of the parameters. */
  toFloat(): FloatLinear {
    const linear = new FloatLinear(this.inFeatures, this.outFeatures, { bias: this.bias !== null });
    linear.weight = new Parameter(this.weight.copy());
    linear.bias = this.bias && new Parameter(this.bias.copy());
    return linear.train(this.training);
  }
}
