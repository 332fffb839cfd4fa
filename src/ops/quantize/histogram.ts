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
import { histc, updateHistogram } from "./histogram-math.ts";
import type { Histogram } from "./histogram-math.ts";
import { searchHistogram } from "./histogram-search.ts";
import { rangeOf } from "./ranges.ts";
import type { Range } from "./ranges.ts";

const STATISTICS = "statistics are taken on values, outside of gradients";
type State = readonly [histogram: Tensor, min: Tensor, max: Tensor];

/** The histogram in tensors: counts [bins], 0-d min and max. */
export function readHistogram([histogram, min, max]: State): Histogram {
  return { counts: histogram.data as Float32Array, min: min.item(), max: max.item() };
}

export function histogramTensors({ counts, min, max }: Histogram): [histogram: Tensor, min: Tensor, max: Tensor] {
  return [new Tensor("float32", [counts.length], counts), scalar(min), scalar(max)];
}

/** The values without infinities, and their range; null when there are none. @throws ArgumentError for NaN. */
function finiteValues(x: Tensor): { values: TypedArray; range: Range } | null {
  const { data } = x;
  if (data.length === 0) return null;
  const range = rangeOf(data, 0, data.length);
  if (range.min !== range.min) throw new ArgumentError("observeHistogram", {}, "a histogram cannot take NaN values");
  const finite = range.min !== -Infinity && range.max !== Infinity;
  if (finite) return { values: data instanceof Float64Array ? Float32Array.from(data) : data, range };
  const values = Float32Array.from(data).filter((v) => Math.abs(v) !== Infinity);
  return values.length === 0 ? null : { values, range: rangeOf(values, 0, values.length) };
}

export const observeHistogramOp = defineOp<readonly [x: Tensor, ...State], { readonly bins: number }>({
  name: "observeHistogram",
  infer([x, histogram, min, max]) {
    if (isQuantized(x.dtype))
      throw new DtypeError("observeHistogram", { dtype: x.dtype }, "observers take float tensors");
    return [histogram, min, max];
  },
  forward([x, ...state], { bins }) {
    const batch = finiteValues(x);
    const before = readHistogram(state);
    if (batch === null) return state.map((tensor) => tensor.copy());
    const untouched = before.min === Infinity || before.max === -Infinity;
    const countsOf = (low: number, high: number): Float32Array => histc(batch.values, bins, low, high);
    return histogramTensors(updateHistogram(untouched ? null : before, batch.range, countsOf));
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
