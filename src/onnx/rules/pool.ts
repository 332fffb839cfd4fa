/**
 * Pooling. What fewbit's pools can say becomes one of them; uneven padding, dilated averages and powers of other
 * degrees are computed by the plain loop below.
 */

import { adaptiveAvgPool2d, avgPool1d, avgPool2d, avgPool3d } from "../../ops/avg-pool.ts";
import { maxPool1d, maxPool2d, maxPool3d } from "../../ops/max-pool.ts";
import { intRepr } from "../../ops/quantize/native.ts";
import { makePerTensorQuantizedTensor } from "../../ops/quantize/reinterpret.ts";
import { amax } from "../../ops/reduce-extremes.ts";
import { mean } from "../../ops/reduce.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { fromDoubles } from "../../ops/loops.ts";
import { numel, sameShape, stridesOf } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";
import { isSymbolic } from "../tracer.ts";
import { windowOf } from "./window.ts";

const averages = [avgPool1d, avgPool2d, avgPool3d] as const;
const maxima = [maxPool1d, maxPool2d, maxPool3d] as const;

interface Windows {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly begin: readonly number[];
  readonly end: readonly number[];
  readonly out: readonly number[];
  readonly ceil: boolean;
}

/** Windows that would start past the input and its left padding do not count, as in later opsets. */
function windows(call: Call, x: Tensor): Windows {
  const kernel = call.ints("kernel_shape") ?? call.fail("needs kernel_shape");
  if (kernel.length !== x.rank - 2) call.fail("needs a kernel size for every spatial axis", { kernel, shape: x.shape });
  const window = windowOf(call, x.shape, kernel);
  const ceil = call.int("ceil_mode") === 1;
  const out = kernel.map((size, i) => {
    const [length, step] = [x.shape[i + 2]!, window.stride[i]!];
    const room = length + window.begin[i]! + window.end[i]! - (window.dilation[i]! * (size - 1) + 1);
    const count = (ceil ? Math.ceil(room / step) : Math.floor(room / step)) + 1;
    return ceil && (count - 1) * step >= length + window.begin[i]! ? count - 1 : count;
  });
  if (out.some((count) => count < 1))
    call.fail("the window must fit into the padded input", { kernel, shape: x.shape });
  return { kernel, ...window, out, ceil };
}

function isPlain({ kernel, begin, end, dilation }: Windows): boolean {
  const fits = begin.every((b, i) => b >= 0 && b <= ((kernel[i]! - 1) * dilation[i]! + 1) / 2);
  return kernel.length <= 3 && fits && sameShape(begin, end);
}

/** Gives every window's taps: offsets inside the plane, and how many positions it has with padding. */
function forEachWindow(x: Tensor, w: Windows, visit: (taps: number[], padded: number, out: number) => void): void {
  const spatial = x.shape.slice(2);
  const strides = stridesOf(spatial);
  const outStrides = stridesOf(w.out);
  for (let o = 0; o < numel(w.out); o++) {
    let taps = [0];
    let padded = 1;
    for (let i = 0; i < spatial.length; i++) {
      const first = (Math.floor(o / outStrides[i]!) % w.out[i]!) * w.stride[i]! - w.begin[i]!;
      const places = Array.from({ length: w.kernel[i]! }, (_, k) => first + k * w.dilation[i]!);
      padded *= places.filter((at) => at < spatial[i]! + w.end[i]!).length;
      const inside = places.filter((at) => at >= 0 && at < spatial[i]!);
      taps = taps.flatMap((at) => inside.map((place) => at + place * strides[i]!));
    }
    visit(taps, padded, o);
  }
}

/** y[n, c, o] = f of the taps of every window. */
function pooled(call: Call, x: Tensor, w: Windows, f: (values: number[], padded: number) => number): Tensor {
  const type = { dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...w.out] };
  return call.native(
    [type],
    () => {
      const plane = numel(x.shape.slice(2));
      const planes = x.shape[0]! * x.shape[1]!;
      const size = numel(w.out);
      const out = new Float64Array(planes * size);
      forEachWindow(x, w, (taps, padded, o) => {
        for (let p = 0; p < planes; p++)
          out[p * size + o] = f(
            taps.map((at) => x.data[p * plane + at]!),
            padded,
          );
      });
      return [fromDoubles(type, out)];
    },
    numel(w.kernel),
  )[0]!;
}

function average(call: Call): Tensor {
  const x = call.input(0);
  const w = windows(call, x);
  const countIncludePad = call.int("count_include_pad") === 1;
  if (isPlain(w) && isFloat(x.dtype) && w.dilation.every((d) => d === 1))
    return averages[w.kernel.length - 1]!(x, w.kernel, {
      stride: w.stride,
      padding: w.begin,
      ceilMode: w.ceil,
      countIncludePad,
    });
  const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);
  return pooled(call, x, w, (values, padded) => total(values) / (countIncludePad ? padded : values.length));
}

/** Bytes of a graph: pools compare them as the integers of a quantized tensor, which the engine does. */
const isSymbolicByte = (x: Tensor): boolean => isSymbolic(x) && (x.dtype === "uint8" || x.dtype === "int8");

/** Largest values and where they were, counted through the whole tensor; with storage order 1 columns come first. */
function maximum(call: Call): readonly (Tensor | null)[] {
  const x = call.input(0);
  const w = windows(call, x);
  if (call.wanted[1] !== true) {
    if (isPlain(w) && (isFloat(x.dtype) || isSymbolicByte(x))) {
      const options = { stride: w.stride, padding: w.begin, dilation: w.dilation, ceilMode: w.ceil };
      const pool = maxima[w.kernel.length - 1]!;
      if (!isSymbolicByte(x)) return [pool(x, w.kernel, options)];
      return [intRepr(pool(makePerTensorQuantizedTensor(x, 1, 0), w.kernel, options))];
    }
    return [pooled(call, x, w, (values) => values.reduce((a, b) => (b > a || b !== b ? b : a), -Infinity))];
  }
  const shape = [...x.shape.slice(0, 2), ...w.out];
  const types = [
    { dtype: x.dtype, shape },
    { dtype: "int64", shape },
  ] as const;
  return call.native(
    types,
    () => {
      const spatial = x.shape.slice(2);
      const [plane, size] = [numel(spatial), numel(w.out)];
      const planes = x.shape[0]! * x.shape[1]!;
      const [values, indices] = [new Float64Array(planes * size), new Float64Array(planes * size)];
      const strides = stridesOf(spatial);
      const columns = stridesOf([...spatial].reverse()).reverse();
      const place = (at: number): number =>
        call.int("storage_order") === 0
          ? at
          : strides.reduce((sum, step, i) => sum + (Math.floor(at / step) % spatial[i]!) * columns[i]!, 0);
      forEachWindow(x, w, (taps, _, o) => {
        for (let p = 0; p < planes; p++) {
          const best = taps.reduce((a, b) => (x.data[p * plane + b]! > x.data[p * plane + a]! ? b : a));
          values[p * size + o] = x.data[p * plane + best]!;
          indices[p * size + o] = p * plane + place(best);
        }
      });
      return [fromDoubles(types[0], values), fromDoubles(types[1], indices)];
    },
    numel(w.kernel),
  );
}

function powerMean(call: Call): Tensor {
  const x = call.input(0);
  const p = call.int("p", 2);
  return pooled(call, x, windows(call, x), (values) => values.reduce((sum, v) => sum + Math.abs(v) ** p, 0) ** (1 / p));
}

function spatialAxes(x: Tensor): number[] {
  return x.shape.slice(2).map((_, i) => i + 2);
}

function globalAverage(call: Call): Tensor {
  const x = call.input(0);
  return x.rank === 4 ? adaptiveAvgPool2d(x, 1) : mean(x, spatialAxes(x), { keepdim: true });
}

function maxUnpool(call: Call): Tensor {
  const [x, index, given] = [call.input(0), call.input(1), call.optional(2)];
  const kernel = call.ints("kernel_shape") ?? call.fail("needs kernel_shape");
  const stride = call.ints("strides") ?? kernel.map(() => 1);
  const pads = call.ints("pads") ?? kernel.flatMap(() => [0, 0]);
  const natural = kernel.map((k, i) => (x.shape[i + 2]! - 1) * stride[i]! + k - pads[i]! - pads[i + kernel.length]!);
  const shape = given ? Array.from(given.data) : [...x.shape.slice(0, 2), ...natural];
  return call.native([{ dtype: x.dtype, shape }], () => {
    const out = call.filled(shape, 0, x.dtype);
    const [from, to] = [[...x.shape.slice(0, 2), ...natural], shape];
    const own = stridesOf(from);
    const strides = stridesOf(to);
    index.data.forEach((v: number, i: number) => {
      out.data[own.reduce((at, step, k) => at + (Math.floor(v / step) % from[k]!) * strides[k]!, 0)] = x.data[i]!;
    });
    return [out];
  })[0]!;
}

export const poolRules: OnnxRules = {
  AveragePool: rule(average),
  GlobalAveragePool: rule(globalAverage),
  GlobalMaxPool: rule((call) => amax(call.input(0), spatialAxes(call.input(0)), { keepdim: true })),
  LpPool: rule(powerMean),
  MaxPool: rule(maximum),
  MaxUnpool: rule(maxUnpool),
};
