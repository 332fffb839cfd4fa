/**
 * The one place where quantized modules read observers: output parameters, weights, and what is wrong with them.
 *
 * A layer to convert is either float with an output observer, or has a `weightFakeQuant` from training. Weights of
 * float layers are observed here, once, by a fresh observer of the qconfig; those of trained layers pass through their
 * fake-quantize module once more, as in PyTorch (an extra step of its moving average).
 * Source: torch/ao/nn/quantized/modules/utils.py and the from_float methods.
 */

import { DtypeError, QuantError } from "../../errors.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { quantizePerChannel, quantizePerTensor } from "../../ops/quantize/native.ts";
import { noGrad } from "../../tensor/context.ts";
import { fromArray } from "../../tensor/create.ts";
import { dtypeInfo, isQuantized } from "../../tensor/dtype.ts";
import type { DType, QuantizedDType } from "../../tensor/dtype.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { ConvLayerOptions, PaddingMode } from "../conv.ts";
import type { AnyModule } from "../module.ts";
import type { Module } from "../module.ts";
import type { QuantizedOutputModule } from "./base.ts";

/** Options of every `fromFloat`. */
export interface FromFloatOptions {
  /** Keep the weight parameters that training left, instead of observing the weight once more. Linear only. */
  readonly usePrecomputedFakeQuant?: boolean;
  /**
   * What to do about an observer that saw no data: throw (default), or use scale 1 and zero point 0, with a warning or
   * without: "ignore" makes a skeleton for a state dict that is loaded next.
   */
  readonly uninitializedObservers?: "error" | "warn" | "ignore";
  /** Whose rounding the quantized modules follow. */
  readonly engine?: QEngine;
}

/** What conversion asks of an observer or a fake-quantize module. */
export interface QParamsSource extends Module {
  readonly dtype: DType;
  readonly qscheme: QScheme;
  readonly quantMin: number;
  readonly quantMax: number;
  readonly chAxis?: number;
  calculateQParams(): { readonly scale: Tensor; readonly zeroPoint: Tensor; readonly observed: boolean };
}

/** A Linear of any kind: what conversion reads of it. */
export interface LinearLike {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weight: Tensor;
  readonly bias: Tensor | null;
}

/** A convolution of any kind. */
export interface ConvLike {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[] | "same" | "valid";
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly paddingMode: PaddingMode;
  readonly weight: Tensor;
  readonly bias: Tensor | null;
}

/** A transposed convolution of any kind. */
export interface ConvTransposeLike extends Omit<ConvLike, "padding" | "paddingMode"> {
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
}

export type ConvOptionsOf = ConvLayerOptions;

/** Quantization-aware layers that fold something (batch norm) into their weight say what the folded layer is. */
export interface Foldable {
  /** Weight and bias with everything folded in. */
  foldedWeightBias(): { readonly weight: Tensor; readonly bias: Tensor | null };
}

function isFoldable(module: object): module is Foldable {
  return typeof (module as Partial<Foldable>).foldedWeightBias === "function";
}

function nameOf(module: AnyModule): string {
  return module.path ? `${module.constructor.name} at "${module.path}"` : module.constructor.name;
}

/** Part `index` of a fused module. @throws QuantError when it has none. */
export function fusedPart(module: AnyModule, index: number): AnyModule {
  const part = module.namedChildren().find(([name]) => name === String(index))?.[1];
  if (!part) throw new QuantError(nameOf(module), { index }, "the fused module has no such part");
  return part;
}

function hasWeight(module: AnyModule): boolean {
  return "weight" in module;
}

/** The layer itself, or the first part of a fused one. */
export function floatLayer(module: AnyModule): AnyModule {
  return module.namedChildren().some(([name]) => name === "0") ? fusedPart(module, 0) : module;
}

/**
 * The layer whose weight is to be quantized: the module itself, the first part of a fused one, with anything folded
 * into weight and bias. @throws QuantError when there is no weight.
 */
export function weightedLayer<L extends { readonly weight: Tensor; readonly bias: Tensor | null }>(
  module: AnyModule,
): L {
  const layer = hasWeight(module) ? module : floatLayer(module);
  if (!hasWeight(layer)) throw new QuantError(nameOf(module), {}, "has no weight to quantize");
  if (!isFoldable(layer)) return layer as unknown as L;
  const folded = noGrad(() => (layer as unknown as Foldable).foldedWeightBias());
  return Object.assign(Object.create(layer) as L, folded);
}

/** The fake-quantize module of a trained layer's weight. */
export function weightFakeQuantOf(module: AnyModule): QParamsSource | null {
  return (module as { weightFakeQuant?: QParamsSource }).weightFakeQuant ?? null;
}

/** A fresh weight observer of the module's qconfig. @throws QuantError when it has none. */
export function makeWeightObserver(module: AnyModule): QParamsSource {
  const qconfig = (module.qconfig ?? floatLayer(module).qconfig) as { weight?: () => QParamsSource } | null | undefined;
  if (!qconfig?.weight) throw new QuantError(nameOf(module), {}, "has no qconfig to quantize its weight by");
  return qconfig.weight();
}

/** Parameters of an observer as numbers. @throws QuantError when it saw nothing, unless the options ask for a warning. */
function calculated(
  module: AnyModule,
  source: QParamsSource,
  what: string,
  options: FromFloatOptions,
): { scales: number[]; zeroPoints: number[] } {
  const { scale, zeroPoint, observed } = source.calculateQParams();
  if (!observed) {
    const reason = `the observer of its ${what} (${source.constructor.name}) saw no data, so there is no scale to quantize by`;
    const hint =
      'Run calibration data through every part of the prepared model, set qconfig = null on parts that are not used, or pass { uninitializedObservers: "warn" } for scale 1 (or "ignore", when a state dict follows)';
    const { uninitializedObservers: choice = "error" } = options;
    if (choice === "error") throw new QuantError(nameOf(module), {}, reason, hint);
    if (choice === "warn") console.warn(`${nameOf(module)}: ${reason}; using scale 1 and zero point 0`);
  }
  return { scales: Array.from(scale.data), zeroPoints: Array.from(zeroPoint.data) };
}

/** The observer or fake-quantize module of a module's output. @throws QuantError when it was never prepared. */
export function outputObserver(module: AnyModule): QParamsSource {
  const observer = (module as { activationPostProcess?: QParamsSource }).activationPostProcess;
  if (typeof observer?.calculateQParams === "function") return observer;
  throw new QuantError(
    nameOf(module),
    {},
    "its output has no observer",
    "Call prepare (or prepareQat) and calibrate before convert",
  );
}

/** Scale, zero point and dtype of a module's output. @throws QuantError, DtypeError */
export function outputQParams(
  module: AnyModule,
  options: FromFloatOptions,
): { scale: number; zeroPoint: number; dtype: QuantizedDType } {
  const observer = outputObserver(module);
  const { scales, zeroPoints } = calculated(module, observer, "output", options);
  const { dtype } = observer;
  if (!isQuantized(dtype) || scales.length !== 1) {
    throw new DtypeError(
      nameOf(module),
      { dtype, scales: scales.length },
      "activations are quantized per tensor to a quantized dtype",
    );
  }
  return { scale: scales[0]!, zeroPoint: zeroPoints[0]!, dtype };
}

/** Gives a quantized module its output parameters and engine. Placeholders leave scale 1, as dynamic layers have none. */
export function applyOutput<M extends QuantizedOutputModule<never[]> | QuantizedOutputModule>(
  target: M,
  module: AnyModule,
  options: FromFloatOptions,
): M {
  const { scale, zeroPoint } = outputQParams(module, options);
  target.scale = scale;
  target.zeroPoint = zeroPoint;
  if (options.engine) target.engine = options.engine;
  return target;
}

/** Integers limited to the observer's range where that is narrower than the dtype's. */
function clampTo(weight: Tensor, { quantMin, quantMax }: QParamsSource): Tensor {
  const { min, max } = dtypeInfo[weight.dtype];
  if (quantMin <= min && quantMax >= max) return weight;
  const data = weight.data.map((q) => Math.min(Math.max(q, quantMin), quantMax));
  return new Tensor(weight.dtype, weight.shape, data, weight.qparams);
}

export interface QuantizeWeightOptions {
  /** Another dtype than the observer's. */
  readonly dtype?: QuantizedDType;
  readonly clampToObserver?: boolean;
  readonly fromFloat?: FromFloatOptions;
}

/**
 * The quantized weight by an observer that has seen it: per tensor or per channel, limited to the observer's range.
 * @throws QuantError, DtypeError
 */
export function quantizeWeight(
  module: AnyModule,
  weight: Tensor,
  observer: QParamsSource,
  options: QuantizeWeightOptions = {},
): Tensor {
  const { clampToObserver = true, fromFloat = {} } = options;
  const { scales, zeroPoints } = calculated(module, observer, "weight", fromFloat);
  const { qscheme } = observer;
  const dtype = options.dtype ?? observer.dtype;
  if (!isQuantized(dtype))
    throw new DtypeError(nameOf(module), { dtype }, "weights are quantized to a quantized dtype");
  return noGrad(() => {
    const float = weight.detach();
    if (!isPerChannelScheme(qscheme)) {
      const q = quantizePerTensor(float, scales[0]!, zeroPoints[0]!, dtype);
      return clampToObserver ? clampTo(q, observer) : q;
    }
    const zeroPointDType = qscheme === "per_channel_affine_float_qparams" ? "float32" : "int64";
    const scale = fromArray(scales, [scales.length], "float64");
    const zeroPoint = fromArray(zeroPoints, [zeroPoints.length], zeroPointDType);
    const q = quantizePerChannel(float, scale, zeroPoint, observer.chAxis ?? 0, dtype);
    return clampToObserver ? clampTo(q, observer) : q;
  });
}

/** Observes the weight (again) and quantizes it to qint8. @throws QuantError for another weight dtype. */
export function observedWeight(
  module: AnyModule,
  layer: { readonly weight: Tensor },
  options: FromFloatOptions,
): Tensor {
  const trained = weightFakeQuantOf(module);
  const observer = trained ?? makeWeightObserver(module);
  if (!(trained && options.usePrecomputedFakeQuant)) noGrad(() => observer.forward(layer.weight.detach()));
  if (observer.dtype !== "qint8") {
    throw new QuantError(
      nameOf(module),
      { dtype: observer.dtype },
      "the qconfig's weight observer must have the dtype qint8",
    );
  }
  return quantizeWeight(module, layer.weight, observer, { fromFloat: options });
}

/**
 * The weight of a dynamic layer: qint8 by a fresh observer, after training too; or the float weight for 16 bits.
 * @throws QuantError for another dtype.
 */
export function dynamicWeight(
  module: AnyModule,
  layer: { readonly weight: Tensor },
  options: FromFloatOptions,
): { weight: Tensor; dtype: "qint8" | "float16" } {
  const observer = makeWeightObserver(module);
  const { dtype } = observer;
  if (dtype === "float16") return { weight: layer.weight.detach().copy(), dtype };
  if (dtype !== "qint8")
    throw new QuantError(nameOf(module), { dtype }, "dynamic layers take qint8 and float16 weights");
  noGrad(() => observer.forward(layer.weight.detach()));
  return { weight: quantizeWeight(module, layer.weight, observer, { fromFloat: options }), dtype };
}
