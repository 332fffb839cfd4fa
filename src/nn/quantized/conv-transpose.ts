/**
 * Quantized transposed convolutions; weights per tensor only. State as Conv's.
 * Source: torch/ao/nn/quantized/modules/conv.py (_ConvTransposeNd).
 */

import { QuantError } from "../../errors.ts";
import type { PerAxis, SpatialRank } from "../../ops/conv-geometry.ts";
import { perAxis } from "../../ops/conv-geometry.ts";
import {
  quantizedConvTranspose1d,
  quantizedConvTranspose2d,
  quantizedConvTranspose3d,
} from "../../ops/quantized/conv-transpose.ts";
import { zeros } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ConvTransposeLayerOptions } from "../conv-transpose.ts";
import type { AnyModule } from "../module.ts";
import { QuantizedOutputModule, describe, requireQuantized, takeWeightBias, weightBiasState } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { emptyWeight } from "./linear.ts";
import { applyOutput, observedWeight, weightedLayer } from "./observed.ts";
import type { ConvTransposeLike, FromFloatOptions } from "./observed.ts";

const transposed = { 1: quantizedConvTranspose1d, 2: quantizedConvTranspose2d, 3: quantizedConvTranspose3d };

/** What the three quantized transposed convolutions share. */
export abstract class QuantizedConvTransposeNd extends QuantizedOutputModule {
  readonly spatialRank: SpatialRank;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  /** qint8 [inChannels, outChannels / groups, ...kernelSize] */
  weight: Tensor;
  bias: Tensor | null;

  constructor(
    rank: SpatialRank,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvTransposeLayerOptions,
  ) {
    super();
    const where = `quantized ConvTranspose${rank}d`;
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1, bias = true } = options;
    this.spatialRank = rank;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = perAxis(where, "kernelSize", kernelSize, rank, 1);
    this.stride = perAxis(where, "stride", stride, rank, 1);
    this.padding = perAxis(where, "padding", padding, rank, 0);
    this.outputPadding = perAxis(where, "outputPadding", outputPadding, rank, 0);
    this.dilation = perAxis(where, "dilation", dilation, rank, 1);
    this.groups = groups;
    this.weight = emptyWeight([inChannels, outChannels / groups, ...this.kernelSize]);
    this.bias = bias ? zeros([outChannels]) : null;
  }

  forward(x: Tensor): Tensor {
    const { stride, padding, outputPadding, dilation, groups, engine } = this;
    const options = { ...this.output, stride, padding, outputPadding, dilation, groups, engine };
    return transposed[this.spatialRank](requireQuantized(this, x), this.weight, this.bias, options);
  }

  override extraState(): StateEntries {
    return { ...weightBiasState(this), ...super.extraState() };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    return [...takeWeightBias(this, state), ...super.loadExtraState(state)];
  }
}

type TransposeClass<C extends QuantizedConvTransposeNd> = new (
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options: ConvTransposeLayerOptions,
) => C;

export type ReferenceConvTranspose = ConvTransposeLike & { getQuantizedWeight(): Tensor };

function like<C extends QuantizedConvTransposeNd>(target: TransposeClass<C>, layer: ConvTransposeLike): C {
  const { stride, padding, outputPadding, dilation, groups, bias } = layer;
  const options = { stride, padding, outputPadding, dilation, groups, bias: bias !== null };
  const conv = new target(layer.inChannels, layer.outChannels, layer.kernelSize, options);
  conv.bias = bias && bias.copy();
  return conv;
}

function fromFloat<C extends QuantizedConvTransposeNd>(
  target: TransposeClass<C>,
  module: AnyModule,
  options: FromFloatOptions,
): C {
  const layer = weightedLayer<ConvTransposeLike>(module);
  const conv = like(target, layer);
  const weight = observedWeight(module, layer, options);
  if (weight.qparams?.kind !== "perTensor") {
    throw new QuantError(
      describe(module),
      { weight: weight.qparams?.kind },
      "the weight of a transposed convolution is quantized per tensor",
      'Give this module a qconfig with a per-tensor weight observer, such as that of getDefaultQConfig("qnnpack")',
    );
  }
  conv.weight = weight;
  return applyOutput(conv, module, options);
}

function fromReference<C extends QuantizedConvTransposeNd>(
  target: TransposeClass<C>,
  reference: ReferenceConvTranspose,
  scale: number,
  zeroPoint: number,
): C {
  const conv = like(target, reference);
  conv.weight = reference.getQuantizedWeight();
  conv.scale = scale;
  conv.zeroPoint = zeroPoint;
  return conv;
}

/** Quantized transposed convolution of [N, C, L]. */
export class ConvTranspose1d extends QuantizedConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): ConvTranspose1d {
    return fromFloat(this, module, options);
  }

  static fromReference(reference: ReferenceConvTranspose, scale: number, zeroPoint: number): ConvTranspose1d {
    return fromReference(this, reference, scale, zeroPoint);
  }
}

/** Quantized transposed convolution of [N, C, H, W]. */
export class ConvTranspose2d extends QuantizedConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): ConvTranspose2d {
    return fromFloat(this, module, options);
  }

  static fromReference(reference: ReferenceConvTranspose, scale: number, zeroPoint: number): ConvTranspose2d {
    return fromReference(this, reference, scale, zeroPoint);
  }
}

/** Quantized transposed convolution of [N, C, D, H, W]. */
export class ConvTranspose3d extends QuantizedConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): ConvTranspose3d {
    return fromFloat(this, module, options);
  }

  static fromReference(reference: ReferenceConvTranspose, scale: number, zeroPoint: number): ConvTranspose3d {
    return fromReference(this, reference, scale, zeroPoint);
  }
}
