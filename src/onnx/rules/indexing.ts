/**
 * Operators that pick or place elements by index, and those whose result's size depends on values.
 */

import { add, sub } from "../../ops/arithmetic.ts";
import { gather, indexSelect, scatter } from "../../ops/gather.ts";
import { argmax, argmin } from "../../ops/reduce-extremes.ts";
import { reshape, permute } from "../../ops/shape.ts";
import { flip, slice } from "../../ops/slicing.ts";
import { nonzero, topk } from "../../ops/sort.ts";
import { less } from "../../ops/compare.ts";
import { cast } from "../../ops/unary.ts";
import { where } from "../../ops/where.ts";
import { embedding } from "../../ops/embedding.ts";
import { cumprod, cumsum } from "../../ops/cumulative.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { pad } from "../../ops/pad.ts";
import { fromArray } from "../../tensor/create.ts";
import { normalizeAxis, numel, stridesOf } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { rule, valueOf, valuesOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";
import { isSymbolic } from "../tracer.ts";

/** Negative indices count from the end of an axis. */
function wrapped(index: Tensor, size: number): Tensor {
  if (!isSymbolic(index) && index.data.every((v: number) => v >= 0)) return index;
  return where(less(index, 0), add(index, size), index);
}

function gathered(call: Call): Tensor {
  const [x, index] = [call.input(0), call.input(1)];
  const axis = normalizeAxis("Gather", call.int("axis"), x.rank);
  const rows = wrapped(index, x.shape[axis]!);
  if (axis === 0 && x.rank === 2 && isFloat(x.dtype) && isSymbolic(index)) return embedding(rows, x);
  const picked = indexSelect(x, axis, reshape(rows, [numel(index.shape)]));
  return reshape(picked, [...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)]);
}

function gatherElements(call: Call): Tensor {
  const [x, index] = [call.input(0), call.input(1)];
  const axis = normalizeAxis("GatherElements", call.int("axis"), x.rank);
  return gather(x, axis, wrapped(index, x.shape[axis]!));
}

/** Offsets into x of the slices that the rows of an index tensor name. */
function rowOffsets(call: Call, shape: Shape, index: Tensor, skip: number): { offsets: number[]; length: number } {
  const width = index.shape.at(-1)!;
  const strides = stridesOf(shape);
  const values = valuesOf(index);
  const perBatch = numel(index.shape.slice(skip, -1));
  const length = numel(shape.slice(skip + width));
  const batchStride = skip > 0 ? strides[skip - 1]! : 0;
  const offsets = Array.from({ length: values.length / width }, (_, row) => {
    let at = skip > 0 ? Math.floor(row / perBatch) * batchStride : 0;
    for (let k = 0; k < width; k++) {
      const [v, size] = [values[row * width + k]!, shape[skip + k]!];
      if (!(v >= -size && v < size)) call.fail("an index lies outside of its axis", { index: v, size });
      at += (v < 0 ? v + size : v) * strides[skip + k]!;
    }
    return at;
  });
  return { offsets, length };
}

function gatherNd(call: Call): Tensor {
  const [x, index] = [call.input(0), call.input(1)];
  const skip = call.int("batch_dims");
  const width = index.shape.at(-1) ?? call.fail("indices need an axis");
  if (skip + width > x.rank) call.fail("indices are longer than the shape", { x: x.shape, indices: index.shape });
  const type = { dtype: x.dtype, shape: [...index.shape.slice(0, -1), ...x.shape.slice(skip + width)] };
  return call.native([type], () => {
    const { offsets, length } = rowOffsets(call, x.shape, index, skip);
    const out = x.data.slice(0, 0).constructor as new (n: number) => typeof x.data;
    const data = new out(offsets.length * length);
    offsets.forEach((at, row) => data.set(x.data.subarray(at, at + length), row * length));
    return [new Tensor(x.dtype, type.shape, data)];
  })[0]!;
}

type Combine = (old: number, value: number) => number;
const combinations: Readonly<Record<string, Combine>> = {
  none: (_, v) => v,
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: Math.max,
  min: Math.min,
};

function combination(call: Call): Combine {
  const name = call.string("reduction", "none");
  return combinations[name] ?? call.fail("an unknown reduction", { reduction: name });
}

function scatterNd(call: Call): Tensor {
  const [x, index, updates] = [call.input(0), call.input(1), call.input(2)];
  const combine = combination(call);
  return call.native([{ dtype: x.dtype, shape: x.shape }], () => {
    const { offsets, length } = rowOffsets(call, x.shape, index, 0);
    if (offsets.length * length !== updates.numel)
      call.fail("the updates do not fit the indices", { updates: updates.shape });
    const data = x.data.slice();
    offsets.forEach((at, row) => {
      for (let k = 0; k < length; k++) data[at + k] = combine(data[at + k]!, updates.data[row * length + k]!);
    });
    return [new Tensor(x.dtype, x.shape, data)];
  })[0]!;
}

function scatterElements(call: Call): Tensor {
  const [x, index, updates] = [call.input(0), call.input(1), call.input(2)];
  const axis = normalizeAxis("ScatterElements", call.int("axis"), x.rank);
  if (call.string("reduction", "none") === "none") return scatter(x, axis, wrapped(index, x.shape[axis]!), updates);
  const combine = combination(call);
  return call.native([{ dtype: x.dtype, shape: x.shape }], () => {
    const data = x.data.slice();
    const [strides, own] = [stridesOf(x.shape), stridesOf(index.shape)];
    index.data.forEach((v: number, i: number) => {
      const size = x.shape[axis]!;
      if (!(v >= -size && v < size)) call.fail("an index lies outside of its axis", { index: v, size });
      const at = own.reduce((sum, step, k) => {
        const position = k === axis ? (v < 0 ? v + size : v) : Math.floor(i / step) % index.shape[k]!;
        return sum + position * strides[k]!;
      }, 0);
      data[at] = combine(data[at]!, updates.data[i]!);
    });
    return [new Tensor(x.dtype, x.shape, data)];
  })[0]!;
}

function extreme(f: typeof argmax): (call: Call) => Tensor {
  return (call) => {
    const x = call.input(0);
    const axis = normalizeAxis(call.opType, call.int("axis"), x.rank);
    const keepdim = call.int("keepdims", 1) === 1;
    if (call.int("select_last_index") === 0) return f(x, axis, { keepdim });
    return sub(x.shape[axis]! - 1, f(flip(x, axis), axis, { keepdim }));
  };
}

function topK(call: Call): readonly Tensor[] {
  const x = call.input(0);
  const given = call.optional(1);
  const k = given ? valueOf(given) : call.int("k");
  const { values, indices } = topk(x, k, call.int("axis", -1), { largest: call.int("largest", 1) === 1 });
  return [values, indices];
}

/** Off and on values in a new axis; indices outside the depth light nothing. */
function oneHot(call: Call): Tensor {
  const [index, depth, values] = [call.input(0), valueOf(call.input(1)), call.input(2)];
  const axis = normalizeAxis("OneHot", call.int("axis", -1), index.rank + 1);
  const shape = [...index.shape.slice(0, axis), depth, ...index.shape.slice(axis)];
  if (!isSymbolic(index)) call.checkSize(shape);
  const type = { dtype: values.dtype, shape };
  return call.native([type], () => {
    const [off, on] = valuesOf(values);
    const out = call.filled(shape, off!, values.dtype);
    const inner = numel(index.shape.slice(axis));
    index.data.forEach((v: number, i: number) => {
      const at = v < 0 ? v + depth : v;
      if (at >= 0 && at < depth) out.data[Math.floor(i / inner) * depth * inner + at * inner + (i % inner)] = on!;
    });
    return [out];
  })[0]!;
}

function compress(call: Call): Tensor {
  const [x, condition] = [call.input(0), call.input(1)];
  const chosen = fromArray(
    valuesOf(condition).flatMap((v, i) => (v ? [i] : [])),
    [valuesOf(condition).filter(Boolean).length],
    "int64",
  );
  if (!call.has("axis")) return indexSelect(reshape(x, [x.numel]), 0, chosen);
  return indexSelect(x, call.int("axis"), chosen);
}

/** Distinct elements, or slices along an axis, with where they first were, which each one is, and how many there are. */
function unique(call: Call): readonly Tensor[] {
  const x = call.input(0);
  const axis = call.has("axis") ? normalizeAxis("Unique", call.int("axis"), x.rank) : null;
  const flat = axis === null ? reshape(x, [x.numel, 1]) : x;
  const order = axis === null ? [0, 1] : [axis, ...x.shape.flatMap((_, i) => (i === axis ? [] : [i]))];
  const front = axis === null ? flat : permute(flat, order);
  const rows = front.shape[0]!;
  const values = valuesOf(front);
  const width = rows === 0 ? 0 : values.length / rows;
  const row = (i: number): number[] => values.slice(i * width, (i + 1) * width);
  const groups = new Map<string, { first: number; count: number }>();
  const keys = Array.from({ length: rows }, (_, i) => row(i).join());
  keys.forEach((key, i) => {
    const group = groups.get(key);
    if (group) group.count++;
    else groups.set(key, { first: i, count: 1 });
  });
  const compare = (a: number[], b: number[]): number => {
    const at = a.findIndex((v, k) => v !== b[k]);
    return at < 0 ? 0 : a[at]! - b[at]!;
  };
  const found = [...groups];
  if (call.int("sorted", 1) === 1) found.sort(([, a], [, b]) => compare(row(a.first), row(b.first)));
  const place = new Map(found.map(([key], i) => [key, i]));
  const ints = (list: number[]): Tensor => fromArray(list, [list.length], "int64");
  const first = ints(found.map(([, group]) => group.first));
  const kept = axis === null ? indexSelect(reshape(x, [x.numel]), 0, first) : indexSelect(x, axis, first);
  return [kept, first, ints(keys.map((key) => place.get(key)!)), ints(found.map(([, group]) => group.count))];
}

function reverseSequence(call: Call): Tensor {
  const [x, lengths] = [call.input(0), call.input(1)];
  const [time, batch] = [call.int("time_axis"), call.int("batch_axis", 1)];
  return call.native([{ dtype: x.dtype, shape: x.shape }], () => {
    const strides = stridesOf(x.shape);
    const out = x.data.slice();
    for (let i = 0; i < out.length; i++) {
      const t = Math.floor(i / strides[time]!) % x.shape[time]!;
      const n = lengths.data[Math.floor(i / strides[batch]!) % x.shape[batch]!]!;
      if (t < n) out[i] = x.data[i + (n - 1 - 2 * t) * strides[time]!]!;
    }
    return [new Tensor(x.dtype, x.shape, out)];
  })[0]!;
}

/** Sums or products so far; exclusive ones start from nothing, reverse ones from the end. */
function cumulative(f: typeof cumsum, start: number): (call: Call) => Tensor {
  return (call) => {
    const x = call.input(0);
    const axis = normalizeAxis(call.opType, valueOf(call.input(1)), x.rank);
    const reversed = call.int("reverse") === 1;
    const forward = reversed ? flip(x, axis) : x;
    let y = f(forward, axis);
    if (call.int("exclusive") === 1) {
      const sides = new Array<number>(2 * (x.rank - axis)).fill(0);
      sides[sides.length - 2] = 1;
      y = pad(slice(y, axis, 0, x.shape[axis]! - 1), sides, { value: start });
    }
    return cast(reversed ? flip(y, axis) : y, x.dtype);
  };
}

/** Writes rows into a cache at each batch's position, around the end when it is circular. */
function tensorScatter(call: Call): Tensor {
  const [past, update, positions] = [call.input(0), call.input(1), call.optional(2)];
  const axis = normalizeAxis("TensorScatter", call.int("axis", -2), past.rank);
  const circular = call.string("mode", "linear") === "circular";
  return call.native([{ dtype: past.dtype, shape: past.shape }], () => {
    const out = past.data.slice();
    const [to, from] = [stridesOf(past.shape), stridesOf(update.shape)];
    const size = past.shape[axis]!;
    update.data.forEach((v: number, i: number) => {
      const at = from.reduce((sum, step, k) => {
        let position = Math.floor(i / step) % update.shape[k]!;
        if (k === axis) position += positions?.data[Math.floor(i / from[0]!)] ?? 0;
        if (k === axis && circular) position %= size;
        if (position >= past.shape[k]!) call.fail("a row would be written past the end", { position, size });
        return sum + position * to[k]!;
      }, 0);
      out[at] = v;
    });
    return [new Tensor(past.dtype, past.shape, out)];
  })[0]!;
}

export const indexingRules: OnnxRules = {
  ArgMax: rule(extreme(argmax)),
  ArgMin: rule(extreme(argmin)),
  Compress: rule(compress),
  CumProd: rule(cumulative(cumprod, 1)),
  CumSum: rule(cumulative(cumsum, 0)),
  Gather: rule(gathered),
  GatherElements: rule(gatherElements),
  GatherND: rule(gatherNd),
  NonZero: rule((call) => permute(cast(nonzero(call.input(0)), "int64"), [1, 0])),
  OneHot: rule(oneHot),
  ReverseSequence: rule(reverseSequence),
  Scatter: rule(scatterElements),
  ScatterElements: rule(scatterElements),
  ScatterND: rule(scatterNd),
  TensorScatter: rule(tensorScatter),
  TopK: rule(topK),
  Unique: rule(unique),
};
