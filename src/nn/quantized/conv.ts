/**
 * Quantized convolutions. State: weight (qint8), bias, scale, zero_point.
 * Source: torch/ao/nn/quantized/modules/conv.py.
 */

import { ArgumentError } from "../../errors.ts";
import type { PerAxis, SpatialRank } from "../../ops/conv-geometry.ts";
import { perAxis } from "../../ops/conv-geometry.ts";
import { pad } from "../../ops/pad.ts";
import { quantizedConv1d, quantizedConv2d, quantizedConv3d } from "../../ops/quantized/conv.ts";
import { zeros } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ConvLayerOptions, PaddingMode } from "../conv.ts";
import type { AnyModule } from "../module.ts";
import { QuantizedOutputModule, requireQuantized, takeWeightBias, weightBiasState } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { emptyWeight } from "./linear.ts";
import { applyOutput, observedWeight, weightedLayer } from "./observed.ts";
import type { ConvLike, FromFloatOptions } from "./observed.ts";

const convolutions = { 1: quantizedConv1d, 2: quantizedConv2d, 3: quantizedConv3d };

/** Options of a convolution layer, from any layer that has them as fields. */
export function convOptionsOf({ stride, padding, dilation, groups, paddingMode, bias }: ConvLike): ConvLayerOptions {
  return { stride, padding, dilation, groups, paddingMode, bias: bias !== null };
}

/** What the three quantized convolutions share. */
export abstract class QuantizedConvNd extends QuantizedOutputModule<[x: Tensor, ...rest: Tensor[]]> {
  readonly spatialRank: SpatialRank;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[] | "same" | "valid";
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly paddingMode: PaddingMode;
  /** qint8 [outChannels, inChannels / groups, ...kernelSize] */
  weight: Tensor;
  bias: Tensor | null;

  constructor(
    rank: SpatialRank,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvLayerOptions,
  ) {
    super();
    const where = `quantized Conv${rank}d`;
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, paddingMode = "zeros" } = options;
    if (paddingMode !== "zeros" && paddingMode !== "reflect") {
      throw new ArgumentError(where, { paddingMode }, "quantized convolutions pad with zeros or by reflection");
    }
    this.spatialRank = rank;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = perAxis(where, "kernelSize", kernelSize, rank, 1);
    this.stride = perAxis(where, "stride", stride, rank, 1);
    this.padding = typeof padding === "string" ? padding : perAxis(where, "padding", padding, rank, 0);
    this.dilation = perAxis(where, "dilation", dilation, rank, 1);
    this.groups = groups;
    this.paddingMode = paddingMode;
    this.weight = emptyWeight([outChannels, inChannels / groups, ...this.kernelSize]);
    this.bias = bias ? zeros([outChannels]) : null;
  }

  forward(x: Tensor): Tensor {
    return this.run(x, false);
  }

  /** The complete options of the operator. */
  protected convOptions(relu: boolean) {
    const { stride, padding, dilation, groups, engine } = this;
    const reflected = this.paddingMode === "reflect";
    return { ...this.output, stride, padding: reflected ? 0 : padding, dilation, groups, relu, engine };
  }

  protected run(x: Tensor, relu: boolean): Tensor {
    const input = this.padded(requireQuantized(this, x));
    return convolutions[this.spatialRank](input, this.weight, this.bias, this.convOptions(relu));
  }

  protected padded(x: Tensor): Tensor {
    if (this.paddingMode !== "reflect" || typeof this.padding === "string") return x;
    return pad(
      x,
      [...this.padding].reverse().flatMap((p) => [p, p]),
      { mode: "reflect" },
    );
  }

  override extraState(): StateEntries {
    return { ...weightBiasState(this), ...super.extraState() };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    return [...takeWeightBias(this, state), ...super.loadExtraState(state)];
  }
}

type ConvClass<C extends QuantizedConvNd> = new (
  inChannels: number,
  outChannels: number,
  kernelSize: PerAxis,
  options: ConvLayerOptions,
) => C;

/** A quantized convolution from an observed one, or one trained with fake quantization. @throws QuantError */
export function convFromFloat<C extends QuantizedConvNd>(
  target: ConvClass<C>,
  module: AnyModule,
  options: FromFloatOptions,
): C {
  const layer = weightedLayer<ConvLike>(module);
  const conv = new target(layer.inChannels, layer.outChannels, layer.kernelSize, convOptionsOf(layer));
  conv.weight = observedWeight(module, layer, options);
  conv.bias = layer.bias && layer.bias.copy();
  return applyOutput(conv, module, options);
}

/** A quantized convolution from a reference one and the parameters of its output. */
export function convFromReference<C extends QuantizedConvNd>(
  target: ConvClass<C>,
  reference: ConvLike & { getQuantizedWeight(): Tensor },
  scale: number,
  zeroPoint: number,
): C {
  const conv = new target(reference.inChannels, reference.outChannels, reference.kernelSize, convOptionsOf(reference));
  conv.weight = reference.getQuantizedWeight();
  conv.bias = reference.bias && reference.bias.copy();
  conv.scale = scale;
  conv.zeroPoint = zeroPoint;
  return conv;
}

export type ReferenceConv = ConvLike & { getQuantizedWeight(): Tensor };

/** Quantized convolution of [N, C, L]. */
export class Conv1d extends QuantizedConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Conv1d {
    return convFromFloat(this, module, options);
  }

  static fromReference(reference: ReferenceConv, scale: number, zeroPoint: number): Conv1d {
    return convFromReference(this, reference, scale, zeroPoint);
  }
}

/** Quantized convolution of [N, C, H, W]. */
export class Conv2d extends QuantizedConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Conv2d {
    return convFromFloat(this, module, options);
  }

  static fromReference(reference: ReferenceConv, scale: number, zeroPoint: number): Conv2d {
    return convFromReference(this, reference, scale, zeroPoint);
  }
}

/** Quantized convolution of [N, C, D, H, W]. */
export class Conv3d extends QuantizedConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Conv3d {
    return convFromFloat(this, module, options);
  }

  static fromReference(reference: ReferenceConv, scale: number, zeroPoint: number): Conv3d {
    return convFromReference(this, reference, scale, zeroPoint);
  }
}
