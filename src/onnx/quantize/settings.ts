/**
 * Options with the target's defaults filled in and checked, and the specs that follow from them.
 */

import { OnnxError } from "../../errors.ts";
import {
  HistogramObserver,
  LeastSquaresObserver,
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  PerChannelLeastSquaresObserver,
  PerChannelMinMaxObserver,
  PlaceholderObserver,
} from "../../quantization/observers/index.ts";
import { EntropyObserver, PercentileObserver } from "../../quantization/observers/clipping.ts";
import type { FactoryLike } from "../../quantization/factory.ts";
import { QuantizationSpec } from "../../quantization/pt2e/index.ts";
import { EPS } from "../../ops/quantize/numerics.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { ActivationOptions, ObserverKind, QuantizeMethod, QuantizeOptions, WeightOptions } from "./options.ts";
import { targetOf } from "./targets.ts";
import type { Target } from "./targets.ts";

export interface Settings {
  readonly method: QuantizeMethod;
  readonly target: Target;
  readonly observer: ObserverKind;
  readonly percentile: number;
  readonly activations: ActivationOptions;
  readonly weights: WeightOptions;
  readonly format: "qdq" | "qoperator";
  readonly biasCorrection: boolean;
}

const observers: readonly ObserverKind[] = ["minMax", "movingAverage", "histogramL2", "percentile", "entropy", "mse"];
const methods: readonly QuantizeMethod[] = ["static", "dynamic", "weightOnly"];
const DEFAULT_PERCENTILE = 0.99999;

function fail(fields: Record<string, unknown>, rule: string): never {
  throw new OnnxError("quantizeOnnx", fields, rule);
}

function check({ method, target, observer, percentile, activations, weights, format }: Settings): void {
  if (!methods.includes(method)) fail({ method }, `the method must be one of ${methods.join(", ")}`);
  if (!observers.includes(observer)) fail({ observer }, `the observer must be one of ${observers.join(", ")}`);
  if (!(percentile > 0 && percentile <= 1)) fail({ percentile }, "the percentile is a part of the values, up to 1");
  if (![8, 16].includes(activations.bits)) fail({ bits: activations.bits }, "activations have 8 or 16 bits");
  if (![4, 8].includes(weights.bits)) fail({ bits: weights.bits }, "weights have 4 or 8 bits");
  const { groupSize } = weights;
  if (groupSize !== null && !(Number.isInteger(groupSize) && groupSize > 0))
    fail({ groupSize }, "groupSize must be a positive integer, or null for one group");
  if (groupSize !== null && method !== "weightOnly")
    fail({ groupSize, method }, "weights in groups are dequantized before the product: use weightOnly");
  if (method !== "weightOnly" && !weights.symmetric && weights.perChannel && target.name.startsWith("onnxruntime"))
    fail({ target: target.name }, "onnxruntime takes weights with a scale a channel only if they are symmetric");
  if (method === "dynamic" && (activations.bits !== 8 || activations.symmetric || activations.signed))
    fail(
      { method, ...activations },
      "ONNX takes ranges at run time for unsigned 8-bit activations with a zero point only",
    );
  if (format === "qoperator" && (method !== "static" || activations.bits !== 8 || weights.bits !== 8))
    fail(
      { format, method, activations: activations.bits, weights: weights.bits },
      "QLinear operators are for static quantization in 8 bits; write the model as qdq",
    );
  if (format !== "qdq" && format !== "qoperator") fail({ format }, "the format must be qdq or qoperator");
}

const unsigned = { signed: false, symmetric: false };

/** @throws OnnxError for settings that contradict one another or the target. */
export function resolveSettings(options: QuantizeOptions): Settings {
  const target = targetOf(options.target ?? "wasm");
  const method = options.method ?? "static";
  const settings: Settings = {
    method,
    target,
    observer: options.observer ?? "mse",
    percentile: options.percentile ?? DEFAULT_PERCENTILE,
    activations: { bits: 8, ...(method === "dynamic" ? unsigned : target.activations), ...options.activations },
    weights: {
      bits: 8,
      groupSize: null,
      perChannel: target.weights.perChannel,
      symmetric: target.weights.symmetric,
      ...options.weights,
    },
    format: options.format ?? "qdq",
    biasCorrection: options.biasCorrection ?? method === "static",
  };
  check(settings);
  return settings;
}

/** Integers of activations: `uint8`, `int16`, ... */
export function activationDType({ activations: { bits, signed } }: Settings): DType {
  if (bits === 16) return signed ? "int16" : "uint16";
  return signed ? "int8" : "uint8";
}

function activationObserver({ observer, percentile }: Settings): FactoryLike {
  switch (observer) {
    case "minMax":
      return MinMaxObserver.withArgs({});
    case "movingAverage":
      return MovingAverageMinMaxObserver.withArgs({});
    case "histogramL2":
      return HistogramObserver.withArgs({});
    case "percentile":
      return PercentileObserver.withArgs({ percentile });
    case "entropy":
      return EntropyObserver.withArgs({});
    case "mse":
      return LeastSquaresObserver.withArgs({});
  }
}

export function activationSpec(settings: Settings): QuantizationSpec {
  const { symmetric } = settings.activations;
  return new QuantizationSpec({
    dtype: activationDType(settings),
    qscheme: symmetric ? "per_tensor_symmetric" : "per_tensor_affine",
    observerOrFakeQuantCtr: withEps(activationObserver(settings), settings),
  });
}

/** Ranges taken at run time: all of the 8 bits, zero included. */
export function dynamicSpec(settings: Settings): QuantizationSpec {
  const dtype = activationDType(settings);
  const { min, max } = dtypeInfo[dtype];
  return new QuantizationSpec({
    dtype,
    quantMin: min,
    quantMax: max,
    qscheme: settings.activations.symmetric ? "per_tensor_symmetric" : "per_tensor_affine",
    isDynamic: true,
    observerOrFakeQuantCtr: withEps(PlaceholderObserver.withArgs({}), settings),
  });
}

function withEps(factory: FactoryLike, { target }: Settings): FactoryLike {
  const eps = Math.max(target.minScale, EPS);
  return "withArgs" in factory ? factory.withArgs({ eps } as never) : factory;
}

/** Smallest and largest weight: symmetric ranges leave the odd negative integer out. */
export function weightRange({ weights: { bits, symmetric }, target }: Settings): [number, number] {
  const most = Math.min(2 ** (bits - 1) - 1, target.weights.limit);
  return symmetric ? [-most, most] : [-most - 1, most];
}

/** `axis`: of the output channels. Weights are searched for the least squared error where activations are. */
export function weightSpec(settings: Settings, axis: number): QuantizationSpec {
  const { perChannel, symmetric } = settings.weights;
  const [quantMin, quantMax] = weightRange(settings);
  const searched = settings.observer === "mse" && perChannel && symmetric;
  const kind = perChannel ? (searched ? PerChannelLeastSquaresObserver : PerChannelMinMaxObserver) : MinMaxObserver;
  return new QuantizationSpec({
    dtype: "int8",
    quantMin,
    quantMax,
    qscheme: `per_${perChannel ? "channel" : "tensor"}_${symmetric ? "symmetric" : "affine"}`,
    ...(perChannel ? { chAxis: axis } : {}),
    observerOrFakeQuantCtr: withEps(kind.withArgs({}), settings),
  });
}
