/**
 * Linear and batch normalization trained as one quantized layer: conv-bn.ts's approximate path for matrices.
 * Source: torch/ao/nn/intrinsic/qat/modules/linear_fused.py.
 */

import { QuantError } from "../../../errors.ts";
import { add, div, mul } from "../../../ops/arithmetic.ts";
import { linear } from "../../../ops/linear.ts";
import { reshape } from "../../../ops/shape.ts";
import { sqrt } from "../../../ops/unary.ts";
import { noGrad } from "../../../tensor/context.ts";
import { zeros } from "../../../tensor/create.ts";
import { Parameter } from "../../../tensor/tensor.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import { BatchNorm1d } from "../../batch-norm.ts";
import { fuseLinearBnWeights } from "../../fusion.ts";
import type { WeightBias } from "../../fusion.ts";
import { Linear } from "../../linear.ts";
import type { AnyModule, Module } from "../../module.ts";
import { requireQConfig } from "../../qat/qconfig.ts";
import { fusedPart } from "../../quantized/observed.ts";

export class LinearBn1d extends Linear {
  bn: BatchNorm1d;
  weightFakeQuant: Module;
  /** While true, batch normalization uses its running statistics, in training too. */
  freezeBn = false;

  constructor(layer: Linear, bn: BatchNorm1d, qconfig: unknown) {
    super(layer.inFeatures, layer.outFeatures, { bias: layer.bias !== null });
    this.weight = layer.weight;
    this.bias = layer.bias;
    this.qconfig = qconfig;
    this.weightFakeQuant = requireQConfig("LinearBn1d", qconfig).weight();
    this.bn = new BatchNorm1d(bn.numFeatures, { eps: bn.eps, momentum: bn.momentum });
    for (const name of ["weight", "bias", "runningMean", "runningVar", "numBatchesTracked"] as const) {
      (this.bn as unknown as Record<string, unknown>)[name] = bn[name];
    }
  }

  override forward(x: Tensor): Tensor {
    const { runningVar, eps, weight: gamma } = this.bn;
    if (!runningVar) throw new QuantError("LinearBn1d", {}, "batch normalization must track running statistics");
    const factor = div(gamma!, sqrt(add(runningVar, eps)));
    const weight = this.weightFakeQuant.forward(mul(this.weight, reshape(factor, [-1, 1])));
    let y = div(linear(x, weight, zeros([this.outFeatures])), reshape(factor, [1, -1]));
    if (this.bias) y = add(y, reshape(this.bias, [1, -1]));
    return this.bn.forward(y);
  }

  /** Batch normalization uses batch statistics again, and updates the running ones. */
  updateBnStats(): this {
    this.freezeBn = false;
    this.bn.training = true;
    return this;
  }

  /** Batch normalization uses and keeps its running statistics, also while training. */
  freezeBnStats(): this {
    this.freezeBn = true;
    this.bn.training = false;
    return this;
  }

  override train(mode = true): this {
    this.training = mode;
    if (!this.freezeBn) for (const child of this.children()) child.train(mode);
    return this;
  }

  /** The folded layer that quantization sees. */
  foldedWeightBias(): WeightBias {
    return fuseLinearBnWeights(this.weight, this.bias, this.bn);
  }

  /** The float layer this one stands for. */
  toFloat(): Linear {
    const layer = new Linear(this.inFeatures, this.outFeatures);
    const { weight, bias } = noGrad(() => this.foldedWeightBias());
    layer.weight = new Parameter(weight.detach());
    layer.bias = new Parameter(bias.detach());
    return layer.train(this.training);
  }

  static fromFloat(module: AnyModule): LinearBn1d {
    return new LinearBn1d(fusedPart(module, 0) as Linear, fusedPart(module, 1) as BatchNorm1d, module.qconfig);
  }
}
