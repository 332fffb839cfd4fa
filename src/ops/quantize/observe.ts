/**
 * The arithmetic of min/max observers as operators, so that calibration and quantization-aware training can be
 * captured: running statistics in, running statistics out, nothing written in place.
 *
 *     observeMinMax     (x, min, max) -> (min', max')      widening, or an exponential moving average
 *     calculateQParams  (min, max)    -> (scale, zeroPoint)
 *
 * Statistics that are +inf / -inf (or empty) have seen nothing: the first batch is copied. Source:
 * torch/ao/quantization/observer.py.
 */

import { ArgumentError, DtypeError, ShapeError } from "../../errors.ts";
import { isQuantized } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import { isSymmetricScheme } from "../../tensor/qparams.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { emptyOutputs } from "../loops.ts";
import { defineOp, dispatch } from "../op.ts";
import { forEachChannelRun } from "./loops.ts";
import { calculateQParams } from "./numerics.ts";
import type { QParamsRule } from "./numerics.ts";
import { rangeOf } from "./ranges.ts";

const { fround } = Math;

const STATISTICS = "statistics are taken on values, outside of gradients";

type Statistics = readonly [x: Tensor, min: Tensor, max: Tensor];

export type ObserveAttrs = {
  /** null: the widest range seen; else the share of the new batch in an exponential moving average. */
  readonly averagingConstant: number | null;
  /** null: one range for the whole tensor. */
  readonly axis: number | null;
};

/** Min and max of each slice of `axis` (or of all), in float32. */
function batchRanges(x: Tensor, axis: number | null): { min: Float32Array; max: Float32Array } {
  const { data } = x;
  if (axis === null) {
    const { min, max } = rangeOf(data, 0, data.length);
    return { min: Float32Array.of(min), max: Float32Array.of(max) };
  }
  const channels = x.shape[axis]!;
  const low = new Float32Array(channels).fill(Infinity);
  const high = new Float32Array(channels).fill(-Infinity);
  forEachChannelRun(x.shape, axis, (start, end, c) => {
    const { min, max } = rangeOf(data, start, end);
    low[c] = lower(low[c]!, min);
    high[c] = higher(high[c]!, max);
  });
  return { min: low, max: high };
}

/**
 * The smallest tensor with the range of x, or with the range of each slice of `axis`, which is on the same axis there:
 * to an observer of ranges it is x.
 */
export function rangeEnds(x: Tensor, axis: number | null): Tensor {
  if (x.numel === 0) return x;
  const along = axis === null ? null : normalizeAxis("rangeEnds", axis, x.rank);
  const { min, max } = batchRanges(x, along);
  const pairs = along === 0 ? [...min].flatMap((low, c) => [low, max[c]!]) : [...min, ...max];
  const other = along === 0 ? 1 : 0;
  const shape = x.shape.map((size, i) => (i === along ? size : i === other ? 2 : 1));
  return new Tensor("float32", along === null ? [2] : shape, Float32Array.from(pairs));
}

/** torch.min of two numbers: NaN wins. */
function lower(a: number, b: number): number {
  return a < b || a !== a ? a : b;
}

function higher(a: number, b: number): number {
  return a > b || a !== a ? a : b;
}

/** Whether statistics have seen no data yet. */
export function isUntouched(min: Tensor, max: Tensor): boolean {
  return min.data.every((v) => v === Infinity) && max.data.every((v) => v === -Infinity);
}

/** One step of an exponential moving average, three float32 roundings. */
function average(before: number, now: number, constant: number): number {
  return fround(before + fround(constant * fround(now - before)));
}

export const observeMinMaxOp = defineOp<Statistics, ObserveAttrs>({
  name: "observeMinMax",
  infer([x, min, max], { axis }) {
    if (isQuantized(x.dtype)) {
      throw new DtypeError(
        "observeMinMax",
        { dtype: x.dtype },
        "observers take float tensors",
        "Put the observer before the quantization",
      );
    }
    if (axis === null) return [min, max];
    if (x.shape.length < 2) {
      throw new ShapeError(
        "observeMinMax",
        { x: x.shape, axis },
        "per-channel statistics need a tensor of at least two axes",
      );
    }
    const shape = [x.shape[axis]!];
    for (const { shape: own } of [min, max]) {
      if (own[0] === 0 || own[0] === shape[0]) continue;
      throw new ShapeError(
        "observeMinMax",
        { x: x.shape, axis, statistics: own },
        "the number of channels must not change between batches",
      );
    }
    return [
      { dtype: min.dtype, shape },
      { dtype: max.dtype, shape },
    ];
  },
  forward([x, min, max], { averagingConstant, axis }, types) {
    const [newMin, newMax] = emptyOutputs(types) as [Tensor, Tensor];
    const batch = batchRanges(x, axis);
    const first = isUntouched(min, max);
    const constant = averagingConstant === null ? 0 : fround(averagingConstant);
    for (let c = 0; c < batch.min.length; c++) {
      const [low, high] = [batch.min[c]!, batch.max[c]!];
      const [wasLow, wasHigh] = [min.data[c]!, max.data[c]!];
      if (first) [newMin.data[c], newMax.data[c]] = [low, high];
      else if (averagingConstant === null)
        [newMin.data[c], newMax.data[c]] = [lower(wasLow, low), higher(wasHigh, high)];
      else [newMin.data[c], newMax.data[c]] = [average(wasLow, low, constant), average(wasHigh, high, constant)];
    }
    return [newMin, newMax];
  },
  backward: STATISTICS,
});

/**
 * Running minimum and maximum after one more batch.
 * @param min, max 0-d (per tensor) or [channels] (per channel; [0] before the first batch), float32.
 * @throws DtypeError for a quantized x; ShapeError when the number of channels changed, or x has one axis only.
 */
export function observeMinMax(x: Tensor, min: Tensor, max: Tensor, attrs: ObserveAttrs): [min: Tensor, max: Tensor] {
  const axis = attrs.axis === null ? null : normalizeAxis("observeMinMax", attrs.axis, x.rank);
  const [newMin, newMax] = dispatch(observeMinMaxOp, [x, min, max], { ...attrs, axis });
  return [newMin!, newMax!];
}

/** Dtype of the zero points a scheme gives, as PyTorch has them. */
export function zeroPointDType(qscheme: QScheme): DType {
  if (qscheme === "per_channel_affine_float_qparams") return "float32";
  return isSymmetricScheme(qscheme) ? "int64" : "int32";
}

export type QParamsAttrs = { readonly [K in keyof QParamsRule]: QParamsRule[K] };

export const calculateQParamsOp = defineOp<readonly [min: Tensor, max: Tensor], QParamsAttrs>({
  name: "calculateQParams",
  infer([min], { qscheme }) {
    const shape = min.shape.length === 0 ? [1] : min.shape;
    return [
      { dtype: "float32", shape },
      { dtype: zeroPointDType(qscheme), shape },
    ];
  },
  forward([min, max], rule, types) {
    const [scale, zeroPoint] = emptyOutputs(types) as [Tensor, Tensor];
    for (let c = 0; c < scale.numel; c++) {
      const [low, high] = [min.data[c]!, max.data[c]!];
      if (low > high)
        throw new ArgumentError("calculateQParams", { min: low, max: high, channel: c }, "min must not exceed max");
      const chosen = calculateQParams(low, high, rule);
      scale.data[c] = chosen.scale;
      zeroPoint.data[c] = chosen.zeroPoint;
    }
    return [scale, zeroPoint];
  },
  backward: STATISTICS,
});

/**
 * Scales and zero points of ranges, [channels] or [1].
 * @throws ArgumentError when a minimum exceeds its maximum.
 */
export function qparamsOfRange(min: Tensor, max: Tensor, rule: QParamsRule): [scale: Tensor, zeroPoint: Tensor] {
  const [scale, zeroPoint] = dispatch(calculateQParamsOp, [min, max], { ...rule });
  return [scale!, zeroPoint!];
}
