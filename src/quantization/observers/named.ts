/** The observer constructors that PyTorch names. Source: the end of torch/ao/quantization/observer.py. */

import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { HistogramObserver } from "./histogram.ts";
import { MinMaxObserver, PerChannelMinMaxObserver } from "./min-max.ts";
import { FixedQParamsObserver, PlaceholderObserver, RecordingObserver, ReuseInputObserver } from "./passive.ts";

/** Activations, in the half range that never overflows 16-bit sums. */
export const defaultObserver = MinMaxObserver.withArgs({ quantMin: 0, quantMax: 127 });
export const defaultHistogramObserver = HistogramObserver.withArgs({ quantMin: 0, quantMax: 127 });
export const defaultPlaceholderObserver = PlaceholderObserver.withArgs({});
export const defaultDebugObserver = RecordingObserver.withArgs({});
export const defaultReuseInputObserver = ReuseInputObserver.withArgs({});

/** Weights, symmetric in 8 bits. */
export const defaultWeightObserver = MinMaxObserver.withArgs({ dtype: "qint8", qscheme: "per_tensor_symmetric" });
/** The same without -128, and with the smallest scale XNNPACK takes. */
export const weightObserverRangeNeg127To127 = MinMaxObserver.withArgs({
  dtype: "qint8",
  qscheme: "per_tensor_symmetric",
  quantMin: -127,
  quantMax: 127,
  eps: EPS_2_12,
});
export const defaultPerChannelWeightObserver = PerChannelMinMaxObserver.withArgs({
  dtype: "qint8",
  qscheme: "per_channel_symmetric",
});
export const perChannelWeightObserverRangeNeg127To127 = PerChannelMinMaxObserver.withArgs({
  dtype: "qint8",
  qscheme: "per_channel_symmetric",
  quantMin: -127,
  quantMax: 127,
  eps: EPS_2_12,
});

/** Activations whose range is taken at run time. */
export const defaultDynamicQuantObserver = PlaceholderObserver.withArgs({
  dtype: "quint8",
  quantMin: 0,
  quantMax: 255,
  isDynamic: true,
});

/** Rows of embeddings, with float zero points. */
export const defaultFloatQParamsObserver = PerChannelMinMaxObserver.withArgs({
  dtype: "quint8",
  qscheme: "per_channel_affine_float_qparams",
  chAxis: 0,
});
export const defaultFloatQParamsObserver4bit = PerChannelMinMaxObserver.withArgs({
  dtype: "quint4x2",
  qscheme: "per_channel_affine_float_qparams",
  chAxis: 0,
});

/** Outputs in -1..1, as of tanh. */
export const defaultFixedQParamsRangeNeg1to1Observer = FixedQParamsObserver.withArgs({
  scale: 2 / 256,
  zeroPoint: 128,
  dtype: "quint8",
  quantMin: 0,
  quantMax: 255,
});
/** Outputs in 0..1, as of sigmoid and softmax. */
export const defaultFixedQParamsRange0to1Observer = FixedQParamsObserver.withArgs({
  scale: 1 / 256,
  zeroPoint: 0,
  dtype: "quint8",
  quantMin: 0,
  quantMax: 255,
});
export const defaultSymmetricFixedQParamsObserver = defaultFixedQParamsRangeNeg1to1Observer;
export const defaultAffineFixedQParamsObserver = defaultFixedQParamsRange0to1Observer;
