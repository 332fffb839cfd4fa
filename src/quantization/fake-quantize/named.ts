/** The fake-quantize constructors that PyTorch names. Source: torch/ao/quantization/fake_quantize.py. */

import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { HistogramObserver } from "../observers/histogram.ts";
import { MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver } from "../observers/min-max.ts";
import { defaultFixedQParamsRange0to1Observer, defaultFixedQParamsRangeNeg1to1Observer } from "../observers/named.ts";
import { FakeQuantize } from "./base.ts";
import { FixedQParamsFakeQuantize } from "./fixed.ts";
import { FusedMovingAvgObsFakeQuantize } from "./fused.ts";

const activation = { observer: MovingAverageMinMaxObserver, quantMin: 0, quantMax: 255 } as const;
const weight = {
  observer: MovingAverageMinMaxObserver,
  quantMin: -128,
  quantMax: 127,
  dtype: "qint8",
  qscheme: "per_tensor_symmetric",
} as const;
const channelWeight = {
  observer: MovingAveragePerChannelMinMaxObserver,
  quantMin: -128,
  quantMax: 127,
  dtype: "qint8",
  qscheme: "per_channel_symmetric",
} as const;
const embedding = {
  observer: MovingAveragePerChannelMinMaxObserver,
  qscheme: "per_channel_affine_float_qparams",
  chAxis: 0,
  averagingConstant: 1,
} as const;
const narrow = { quantMin: -127, quantMax: 127, eps: EPS_2_12 } as const;

/** Activations, reduced to 0..127. */
export const defaultFakeQuant = FakeQuantize.withArgs({
  ...activation,
  dtype: "quint8",
  qscheme: "per_tensor_affine",
  reduceRange: true,
});
/** Weights; a moving average, although PyTorch's documentation calls it memoryless. */
export const defaultWeightFakeQuant = FakeQuantize.withArgs({ ...weight, reduceRange: false });
export const defaultPerChannelWeightFakeQuant = FakeQuantize.withArgs({
  ...channelWeight,
  reduceRange: false,
  chAxis: 0,
});
/** Activations of dynamic quantization: remembers the last batch only. */
export const defaultDynamicFakeQuant = FakeQuantize.withArgs({
  ...activation,
  isDynamic: true,
  dtype: "quint8",
  averagingConstant: 1,
});
export const defaultHistogramFakeQuant = FakeQuantize.withArgs({
  observer: HistogramObserver,
  quantMin: 0,
  quantMax: 255,
  dtype: "quint8",
  qscheme: "per_tensor_affine",
  reduceRange: true,
});
export const defaultEmbeddingFakeQuant = FakeQuantize.withArgs({
  ...embedding,
  dtype: "quint8",
  quantMin: 0,
  quantMax: 255,
});
export const defaultEmbeddingFakeQuant4bit = FakeQuantize.withArgs({ ...embedding, dtype: "quint4x2" });

/** Outputs in -1..1, as of tanh. */
export const defaultFixedQParamsRangeNeg1to1FakeQuant = FixedQParamsFakeQuantize.withArgs({
  observer: defaultFixedQParamsRangeNeg1to1Observer,
});
/** Outputs in 0..1, as of sigmoid and softmax. */
export const defaultFixedQParamsRange0to1FakeQuant = FixedQParamsFakeQuantize.withArgs({
  observer: defaultFixedQParamsRange0to1Observer,
});
export const defaultSymmetricFixedQParamsFakeQuant = defaultFixedQParamsRangeNeg1to1FakeQuant;
export const defaultAffineFixedQParamsFakeQuant = defaultFixedQParamsRange0to1FakeQuant;

export const defaultFusedActFakeQuant = FusedMovingAvgObsFakeQuantize.withArgs({ ...activation, dtype: "quint8" });
export const defaultFusedWtFakeQuant = FusedMovingAvgObsFakeQuantize.withArgs(weight);
export const defaultFusedPerChannelWtFakeQuant = FusedMovingAvgObsFakeQuantize.withArgs(channelWeight);
export const fusedWtFakeQuantRangeNeg127To127 = FusedMovingAvgObsFakeQuantize.withArgs({ ...weight, ...narrow });
export const fusedPerChannelWtFakeQuantRangeNeg127To127 = FusedMovingAvgObsFakeQuantize.withArgs({
  ...channelWeight,
  ...narrow,
});
