/**
 * The qconfigs that PyTorch names, and the defaults of each backend.
 *
 * x86 and fbgemm reduce activations to 7 bits, because their 16-bit sums of 8-bit products can overflow on machines
 * without VNNI; qnnpack has one scale for all of a weight. Source: torch/ao/quantization/qconfig.py.
 */

import { ArgumentError } from "../errors.ts";
import { Identity } from "../nn/linear.ts";
import { EPS_2_12 } from "../ops/quantize/numerics.ts";
import { FakeQuantize } from "./fake-quantize/base.ts";
import { FusedMovingAvgObsFakeQuantize } from "./fake-quantize/fused.ts";
import * as fq from "./fake-quantize/named.ts";
import { HistogramObserver } from "./observers/histogram.ts";
import { MinMaxObserver, MovingAverageMinMaxObserver } from "./observers/min-max.ts";
import * as ob from "./observers/named.ts";
import { NoopObserver, PlaceholderObserver } from "./observers/passive.ts";
import { QConfig } from "./qconfig.ts";

export const defaultQConfig = new QConfig({ activation: ob.defaultObserver, weight: ob.defaultWeightObserver });
export const defaultDebugQConfig = new QConfig({
  activation: ob.defaultDebugObserver,
  weight: ob.defaultWeightObserver,
});
export const defaultPerChannelQConfig = new QConfig({
  activation: ob.defaultObserver,
  weight: ob.defaultPerChannelWeightObserver,
});

/** Weights in 8 bits; activations quantized by each batch's own range. */
export const defaultDynamicQConfig = new QConfig({
  activation: ob.defaultDynamicQuantObserver,
  weight: ob.defaultWeightObserver,
});
export const perChannelDynamicQConfig = new QConfig({
  activation: ob.defaultDynamicQuantObserver,
  weight: ob.defaultPerChannelWeightObserver,
});
/** Weights in float16, computation in float32. */
export const float16DynamicQConfig = new QConfig({
  activation: PlaceholderObserver.withArgs({ dtype: "float16", isDynamic: true }),
  weight: PlaceholderObserver.withArgs({ dtype: "float16" }),
});
export const float16StaticQConfig = new QConfig({
  activation: PlaceholderObserver.withArgs({ dtype: "float16" }),
  weight: PlaceholderObserver.withArgs({ dtype: "float16" }),
});

/** Embeddings: rows with float zero points. */
export const floatQParamsWeightOnlyQConfig = new QConfig({
  activation: ob.defaultPlaceholderObserver,
  weight: ob.defaultFloatQParamsObserver,
});
export const floatQParamsWeightOnlyQConfig4bit = new QConfig({
  activation: ob.defaultPlaceholderObserver,
  weight: ob.defaultFloatQParamsObserver4bit,
});
export const defaultQuint8WeightQConfig = new QConfig({ activation: HistogramObserver, weight: MinMaxObserver });

/** Training. */
export const defaultQatQConfig = new QConfig({ activation: fq.defaultFakeQuant, weight: fq.defaultWeightFakeQuant });
export const defaultQatQConfigV2 = new QConfig({
  activation: fq.defaultFusedActFakeQuant,
  weight: fq.defaultFusedWtFakeQuant,
});
export const defaultDynamicQatQConfig = new QConfig({
  activation: fq.defaultDynamicFakeQuant,
  weight: fq.defaultWeightFakeQuant,
});
export const defaultWeightOnlyQConfig = new QConfig({ activation: Identity, weight: fq.defaultWeightFakeQuant });
export const defaultActivationOnlyQConfig = new QConfig({ activation: fq.defaultFakeQuant, weight: Identity });
export const defaultEmbeddingQatQConfig = new QConfig({
  activation: NoopObserver.withArgs({ dtype: "float32" }),
  weight: fq.defaultEmbeddingFakeQuant,
});
export const defaultEmbeddingQatQConfig4bit = new QConfig({
  activation: NoopObserver.withArgs({ dtype: "float32" }),
  weight: fq.defaultEmbeddingFakeQuant4bit,
});

/** Operators whose output has the parameters of its input. */
export const defaultReuseInputQConfig = new QConfig({ activation: ob.defaultReuseInputObserver, weight: NoopObserver });

/** XNNPACK: signed activations, weights in -127..127, scales not below 2^-12. */
const symmetricActivation = { dtype: "qint8", reduceRange: false, eps: EPS_2_12 } as const;
export const defaultSymmetricQnnpackQConfig = new QConfig({
  activation: HistogramObserver.withArgs(symmetricActivation),
  weight: ob.weightObserverRangeNeg127To127,
});
export const defaultPerChannelSymmetricQnnpackQConfig = new QConfig({
  activation: HistogramObserver.withArgs(symmetricActivation),
  weight: ob.perChannelWeightObserverRangeNeg127To127,
});
const symmetricTraining = FusedMovingAvgObsFakeQuantize.withArgs({
  observer: MovingAverageMinMaxObserver,
  quantMin: -128,
  quantMax: 127,
  ...symmetricActivation,
});
export const defaultSymmetricQnnpackQatQConfig = new QConfig({
  activation: symmetricTraining,
  weight: fq.fusedWtFakeQuantRangeNeg127To127,
});
export const defaultPerChannelSymmetricQnnpackQatQConfig = new QConfig({
  activation: symmetricTraining,
  weight: fq.fusedPerChannelWtFakeQuantRangeNeg127To127,
});

/** The backends whose numerics differ. */
export type QuantBackend = "x86" | "fbgemm" | "qnnpack" | "onednn";

interface BackendTraits {
  /** Activations in 7 bits. */
  readonly reduceRange: boolean;
  /** Weights with one scale a channel. */
  readonly perChannel: boolean;
}

const backends: Readonly<Record<QuantBackend, BackendTraits>> = {
  x86: { reduceRange: true, perChannel: true },
  fbgemm: { reduceRange: true, perChannel: true },
  qnnpack: { reduceRange: false, perChannel: false },
  onednn: { reduceRange: false, perChannel: true },
};

function traitsOf(where: string, backend: string): BackendTraits {
  const known = Object.keys(backends);
  if (!known.includes(backend)) throw new ArgumentError(where, { backend, known }, "the backend must be a known one");
  return backends[backend as QuantBackend];
}

function badVersion(where: string, version: number, known: readonly number[]): never {
  throw new ArgumentError(where, { version, known }, "there is no such version of the defaults");
}

/** The backend's qconfig for post-training static quantization. @throws ArgumentError for unknown backends and versions. */
export function getDefaultQConfig(backend: QuantBackend = "x86", version = 0): QConfig {
  const { reduceRange, perChannel } = traitsOf("getDefaultQConfig", backend);
  if (version !== 0) badVersion("getDefaultQConfig", version, [0]);
  return new QConfig({
    activation: HistogramObserver.withArgs({ reduceRange }),
    weight: perChannel ? ob.defaultPerChannelWeightObserver : ob.defaultWeightObserver,
  });
}

/**
 * The backend's qconfig for quantization-aware training.
 * @param version 0: FakeQuantize; 1: the fused form.
 * @throws ArgumentError for unknown backends and versions.
 */
export function getDefaultQatQConfig(backend: QuantBackend = "x86", version = 1): QConfig {
  const { reduceRange, perChannel } = traitsOf("getDefaultQatQConfig", backend);
  const activation = { observer: MovingAverageMinMaxObserver, quantMin: 0, quantMax: 255, reduceRange };
  if (version === 0) {
    const weight = perChannel ? fq.defaultPerChannelWeightFakeQuant : fq.defaultWeightFakeQuant;
    return new QConfig({ activation: FakeQuantize.withArgs(activation), weight });
  }
  if (version !== 1) badVersion("getDefaultQatQConfig", version, [0, 1]);
  const weight = perChannel ? fq.defaultFusedPerChannelWtFakeQuant : fq.defaultFusedWtFakeQuant;
  return new QConfig({ activation: FusedMovingAvgObsFakeQuantize.withArgs(activation), weight });
}
