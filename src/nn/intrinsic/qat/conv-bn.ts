/**
 * Convolution and batch normalization trained as one quantized layer (Krishnamoorthi, 2018, section 3.2.2).
 *
 * The weight is fake-quantized with batch normalization folded in by its running statistics; the output is scaled back
 * and normalized as usual, so that batch statistics still train:
 *
 *     k = gamma / sqrt(runningVar + eps)      y = BN(conv(x, fakeQuant(W k)) / k + b)
 *
 * `slowPath` computes the batch's statistics with a second convolution instead, which also stands a gamma of 0.
 * Source: torch/ao/nn/intrinsic/qat/modules/conv_fused.py.
 */

import { QuantError } from "../../../errors.ts";
import { relu } from "../../../ops/activation-linear.ts";
import { add, div, mul, sub } from "../../../ops/arithmetic.ts";
import { mean } from "../../../ops/reduce.ts";
import { reshape } from "../../../ops/shape.ts";
import { sqrt } from "../../../ops/unary.ts";
import { noGrad } from "../../../tensor/context.ts";
import { zeros } from "../../../tensor/create.ts";
import { Parameter } from "../../../tensor/tensor.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import { BatchNorm1d, BatchNorm2d, BatchNorm3d } from "../../batch-norm.ts";
import type { BatchNorm } from "../../batch-norm.ts";
import { Conv1d, Conv2d, Conv3d, ConvNd } from "../../conv.ts";
import { fuseConvBnWeights } from "../../fusion.ts";
import type { WeightBias } from "../../fusion.ts";
import type { AnyModule, Module } from "../../module.ts";
import { requireQConfig } from "../../qat/qconfig.ts";
import { convOptionsOf } from "../../quantized/conv.ts";
import { fusedPart } from "../../quantized/observed.ts";

const batchNorms = { 1: BatchNorm1d, 2: BatchNorm2d, 3: BatchNorm3d };
const floatConvs = { 1: Conv1d, 2: Conv2d, 3: Conv3d };

/** What the six layers share. Takes over the parts of a fused float module. */
export abstract class ConvBnNd extends ConvNd {
  bn: BatchNorm;
  weightFakeQuant: Module;
  /** While true, batch normalization uses its running statistics, in training too. */
  freezeBn = false;
  /** Use the accurate path with two convolutions. */
  slowPath = false;

  constructor(conv: ConvNd, bn: BatchNorm, qconfig: unknown) {
    super(conv.spatialRank, conv.inChannels, conv.outChannels, conv.kernelSize, convOptionsOf(conv));
    this.weight = conv.weight;
    this.bias = conv.bias;
    this.qconfig = qconfig;
    this.weightFakeQuant = requireQConfig(this.constructor.name, qconfig).weight();
    const { numFeatures, eps, momentum } = bn;
    this.bn = new batchNorms[conv.spatialRank](numFeatures, { eps, momentum });
    for (const name of ["weight", "bias", "runningMean", "runningVar", "numBatchesTracked"] as const) {
      (this.bn as unknown as Record<string, unknown>)[name] = bn[name];
    }
  }

  override forward(x: Tensor): Tensor {
    return this.slowPath ? this.forwardSlow(x) : this.forwardApproximate(x);
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

  /** A frozen batch normalization stays as it is, whatever the mode. */
  override train(mode = true): this {
    this.training = mode;
    if (!this.freezeBn) for (const child of this.children()) child.train(mode);
    return this;
  }

  /** The folded convolution that quantization sees. @throws QuantError without running statistics. */
  foldedWeightBias(): WeightBias {
    return fuseConvBnWeights(this.weight, this.bias, this.bn);
  }

  /** The float layer this one stands for: a convolution with batch normalization folded in. */
  toFloat(): ConvNd {
    const options = { ...convOptionsOf(this), bias: true };
    const conv = new floatConvs[this.spatialRank](this.inChannels, this.outChannels, this.kernelSize, options);
    const { weight, bias } = noGrad(() => this.foldedWeightBias());
    conv.weight = new Parameter(weight.detach());
    conv.bias = new Parameter(bias.detach());
    return conv.train(this.training);
  }

  private get runningStd(): Tensor {
    const { runningVar, eps } = this.bn;
    if (!runningVar)
      throw new QuantError(this.constructor.name, {}, "batch normalization must track running statistics");
    return sqrt(add(runningVar, eps));
  }

  /** [C] -> [C, 1, ...], for weights. */
  private forWeight(x: Tensor): Tensor {
    return reshape(x, [-1, ...this.weight.shape.slice(1).map(() => 1)]);
  }

  /** [C] -> [1, C, 1, ...], for outputs. */
  private forOutput(x: Tensor): Tensor {
    return reshape(x, [1, -1, ...this.weight.shape.slice(2).map(() => 1)]);
  }

  private scaledConv(x: Tensor, factor: Tensor): Tensor {
    const weight = this.weightFakeQuant.forward(mul(this.weight, this.forWeight(factor)));
    return this.convForward(x, weight, zeros([this.outChannels], { dtype: x.dtype }));
  }

  private forwardApproximate(x: Tensor): Tensor {
    const factor = div(this.bn.weight!, this.runningStd);
    let y = div(this.scaledConv(x, factor), this.forOutput(factor));
    if (this.bias) y = add(y, this.forOutput(this.bias));
    return this.bn.forward(y);
  }

  private forwardSlow(x: Tensor): Tensor {
    const gamma = this.bn.weight!;
    const batch = this.bn.training ? this.batchStatistics(x) : null;
    const std = this.runningStd;
    let y = this.scaledConv(x, div(gamma, std));
    if (batch) y = mul(y, this.forOutput(div(std, batch.std)));
    const runningMean = this.bn.runningMean!;
    const fixedMean = this.bias ? sub(runningMean, this.bias) : runningMean;
    const offset = sub(this.bn.bias!, div(mul(gamma, batch ? batch.mean : fixedMean), batch ? batch.std : std));
    const z = add(y, this.forOutput(offset));
    // The convolution's bias cancels in training; a gradient of zero still lets weight decay reach it, as in PyTorch.
    return this.bias ? add(z, this.forOutput(sub(this.bias, this.bias))) : z;
  }

  /** Mean and deviation of this batch before normalization; updates the running statistics. */
  private batchStatistics(x: Tensor): { mean: Tensor; std: Tensor } {
    const y = this.convForward(x, this.weight, zeros([this.outChannels], { dtype: x.dtype }));
    noGrad(() => this.bn.forward(this.bias ? add(y, this.forOutput(this.bias)) : y));
    const axes = [0, ...this.kernelSize.map((_, i) => i + 2)];
    const batchMean = mean(y, axes);
    const centred = sub(y, this.forOutput(batchMean));
    return { mean: batchMean, std: sqrt(add(mean(mul(centred, centred), axes), this.bn.eps)) };
  }
}

function parts(module: AnyModule): [ConvNd, BatchNorm, unknown] {
  return [fusedPart(module, 0) as ConvNd, fusedPart(module, 1) as BatchNorm, module.qconfig];
}

/** Convolution and batch normalization of [N, C, L]. */
export class ConvBn1d extends ConvBnNd {
  static fromFloat(module: AnyModule): ConvBn1d {
    return new ConvBn1d(...parts(module));
  }
}

/** Convolution and batch normalization of [N, C, H, W]. */
export class ConvBn2d extends ConvBnNd {
  static fromFloat(module: AnyModule): ConvBn2d {
    return new ConvBn2d(...parts(module));
  }
}

/** Convolution and batch normalization of [N, C, D, H, W]. */
export class ConvBn3d extends ConvBnNd {
  static fromFloat(module: AnyModule): ConvBn3d {
    return new ConvBn3d(...parts(module));
  }
}

/** What the layers with ReLU share. */
abstract class ConvBnReLUNd extends ConvBnNd {
  override forward(x: Tensor): Tensor {
    return relu(super.forward(x));
  }
}

/** Convolution, batch normalization and ReLU of [N, C, L]. */
export class ConvBnReLU1d extends ConvBnReLUNd {
  static fromFloat(module: AnyModule): ConvBnReLU1d {
    return new ConvBnReLU1d(...parts(module));
  }
}

/** Convolution, batch normalization and ReLU of [N, C, H, W]. */
export class ConvBnReLU2d extends ConvBnReLUNd {
  static fromFloat(module: AnyModule): ConvBnReLU2d {
    return new ConvBnReLU2d(...parts(module));
  }
}

/** Convolution, batch normalization and ReLU of [N, C, D, H, W]. */
export class ConvBnReLU3d extends ConvBnReLUNd {
  static fromFloat(module: AnyModule): ConvBnReLU3d {
    return new ConvBnReLU3d(...parts(module));
  }
}

/** For `module.apply`: switches every fused layer to its running statistics; nothing on other modules. */
export function freezeBnStats(module: AnyModule): void {
  if (isFused(module)) module.freezeBnStats();
}

/** For `module.apply`: the reverse of freezeBnStats. */
export function updateBnStats(module: AnyModule): void {
  if (isFused(module)) module.updateBnStats();
}

interface Freezable {
  freezeBnStats(): unknown;
  updateBnStats(): unknown;
}

function isFused(module: AnyModule | Freezable): module is AnyModule & Freezable {
  return typeof (module as Partial<Freezable>).freezeBnStats === "function";
}
