/**
 * The two halves of HistogramObserver as operators: one more batch into the histogram, and the best range out of it.
 * Infinite values are left out; a batch of nothing else changes nothing.
 */

import { ArgumentError, DtypeError } from "../../errors.ts";
import { isQuantized } from "../../tensor/dtype.ts";
import type { TypedArray } from "../../tensor/dtype.ts";
import { scalar } from "../../tensor/create.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { defineOp, dispatch } from "../op.ts";
import { updateHistogram } from "./histogram-math.ts";
import type { Histogram } from "./histogram-math.ts";
import { searchHistogram } from "./histogram-search.ts";
import { rangeOf } from "./ranges.ts";

const STATISTICS = "statistics are taken on values, outside of gradients";
type State = readonly [histogram: Tensor, min: Tensor, max: Tensor];

/** The histogram in tensors: counts [bins], 0-d min and max. */
export function readHistogram([histogram, min, max]: State): Histogram {
  return { counts: histogram.data as Float32Array, min: min.item(), max: max.item() };
}

export function histogramTensors({ counts, min, max }: Histogram): [histogram: Tensor, min: Tensor, max: Tensor] {
  return [new Tensor("float32", [counts.length], counts), scalar(min), scalar(max)];
}

/** The values without infinities, rounded to float32. @throws ArgumentError for NaN. */
function finiteValues(x: Tensor): TypedArray {
  const { data } = x;
  const { min, max } = rangeOf(data, 0, data.length);
  if (min !== min) throw new ArgumentError("observeHistogram", {}, "a histogram cannot take NaN values");
  if (min !== -Infinity && max !== Infinity) return data instanceof Float64Array ? Float32Array.from(data) : data;
  return Float32Array.from(data).filter((v) => Math.abs(v) !== Infinity);
}

export const observeHistogramOp = defineOp<readonly [x: Tensor, ...State], { readonly bins: number }>({
  name: "observeHistogram",
  infer([x, histogram, min, max]) {
    if (isQuantized(x.dtype))
      throw new DtypeError("observeHistogram", { dtype: x.dtype }, "observers take float tensors");
    return [histogram, min, max];
  },
  forward([x, ...state], { bins }) {
    const values = x.numel === 0 ? null : finiteValues(x);
    const before = readHistogram(state);
    if (values === null || values.length === 0) return state.map((tensor) => tensor.copy());
    const untouched = before.min === Infinity || before.max === -Infinity;
    return histogramTensors(updateHistogram(untouched ? null : before, values, bins));
  },
  backward: STATISTICS,
});

/** Histogram, minimum and maximum after one more batch. @throws ArgumentError for NaN; DtypeError for quantized x. */
export function observeHistogram(x: Tensor, state: State, bins: number): State {
  const [histogram, min, max] = dispatch(observeHistogramOp, [x, ...state], { bins });
  return [histogram!, min!, max!];
}

export const searchHistogramOp = defineOp<State, { readonly targets: number }>({
  name: "searchHistogram",
  infer: ([, min, max]) => [min, max],
  forward(state, { targets }) {
    const { min, max } = searchHistogram(readHistogram(state), targets);
    return [scalar(min), scalar(max)];
  },
  backward: STATISTICS,
});

/** The range (0-d min and max) that quantizes a histogram best. @param targets number of integer levels. */
export function bestRange(state: State, targets: number): [min: Tensor, max: Tensor] {
  const [min, max] = dispatch(searchHistogramOp, state, { targets });
  return [min!, max!];
}
