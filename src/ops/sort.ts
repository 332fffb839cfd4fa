/**
 * Sorting along one axis: sort, argsort, topk; and nonzero, whose result's shape depends on values.
 *
 * Sorts are stable and NaN counts as the largest value, as in PyTorch; of equal values topk takes the first.
 */

import { ArgumentError } from "../errors.ts";
import { fromArray, zeros } from "../tensor/create.ts";
import { normalizeAxis, stridesOf } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { scatter, take } from "./gather.ts";
import { floatsOf, forEachLane, fromDoubles } from "./loops.ts";
import { defineOp, dispatch, requireUnquantized } from "./op.ts";
import type { BackwardContext } from "./op.ts";
import type { ValuesAndIndices } from "./reduce-extremes.ts";
import { expand, reshape } from "./shape.ts";

type One = readonly [Tensor];
type SortAttrs = { readonly dim: number; readonly descending: boolean };
type TopkAttrs = { readonly k: number; readonly dim: number; readonly largest: boolean };

function ascending(a: number, b: number): number {
  if (a !== a) return b !== b ? 0 : 1;
  return b !== b ? -1 : a - b || 0;
}

/** From this many wanted values on, sorting everything is as quick as keeping the best. */
const MANY = 32;

/** Positions of the `k` values of a lane that come first, in order; of equals the one that was first. */
function firstInOrder(lane: Float64Array, k: number, descending: boolean): number[] {
  const compare = descending
    ? (i: number, j: number): number => ascending(lane[j]!, lane[i]!)
    : (i: number, j: number): number => ascending(lane[i]!, lane[j]!);
  if (k >= MANY || k === lane.length)
    return Array.from({ length: lane.length }, (_, i) => i)
      .sort(compare)
      .slice(0, k);
  const best: number[] = [];
  for (let i = 0; i < lane.length && k > 0; i++) {
    if (best.length === k && compare(i, best[k - 1]!) >= 0) continue;
    let at = best.length === k ? k - 1 : best.length;
    for (; at > 0 && compare(i, best[at - 1]!) < 0; at--) best[at] = best[at - 1]!;
    best[at] = i;
  }
  return best;
}

/** The first `k` of every lane when sorted: values and positions, in a shape where axis `dim` has size k. */
function sortedLanes(x: Tensor, dim: number, descending: boolean, k: number, types: readonly TensorType[]): Tensor[] {
  const data = floatsOf(x);
  const lane = new Float64Array(x.shape[dim] ?? 1);
  const values = new Float64Array(x.numel === 0 ? 0 : (x.numel / lane.length) * k);
  const indices = new Float64Array(values.length);
  forEachLane(x.shape, dim, (start, stride, which) => {
    for (let i = 0; i < lane.length; i++) lane[i] = data[start + i * stride]!;
    const outStart = Math.floor(which / stride) * stride * k + (which % stride);
    firstInOrder(lane, k, descending).forEach((from, i) => {
      values[outStart + i * stride] = lane[from]!;
      indices[outStart + i * stride] = from;
    });
  });
  return [fromDoubles(types[0]!, values), fromDoubles(types[1]!, indices)];
}

/** Every value's gradient goes back to where it came from. */
function toOrigin(
  dy: Tensor,
  { inputs: [x], outputs }: BackwardContext<One, SortAttrs | TopkAttrs>,
  dim: number,
): [Tensor] {
  return [x.rank === 0 ? dy : scatter(zeros(x.shape, { dtype: x.dtype }), dim, outputs[1]!, dy)];
}

export const sortOp = defineOp<One, SortAttrs>({
  name: "sort",
  infer([x]) {
    requireUnquantized("sort", x);
    return [x, { dtype: "int64", shape: x.shape }];
  },
  forward: ([x], { dim, descending }, types) => sortedLanes(x, dim, descending, x.shape[dim] ?? 1, types),
  backward: (dy, context) => toOrigin(dy, context, context.attrs.dim),
});

export const topkOp = defineOp<One, TopkAttrs>({
  name: "topk",
  infer([x], { k, dim }) {
    requireUnquantized("topk", x);
    if (!Number.isInteger(k) || k < 0 || k > (x.shape[dim] ?? 1)) {
      throw new ArgumentError(
        "topk",
        { k, shape: x.shape, dim },
        "k must be an integer from 0 to the size of the axis",
      );
    }
    const shape = x.shape.map((size, axis) => (axis === dim ? k : size));
    return [
      { dtype: x.dtype, shape },
      { dtype: "int64", shape },
    ];
  },
  forward: ([x], { k, dim, largest }, types) => sortedLanes(x, dim, largest, x.rank === 0 ? 1 : k, types),
  backward: (dy, context) => toOrigin(dy, context, context.attrs.dim),
});

export interface SortOptions {
  readonly descending?: boolean;
}

/** Values sorted along an axis, and where they were (int64). Stable. @throws ShapeError */
export function sort(x: Tensor, dim = -1, { descending = false }: SortOptions = {}): ValuesAndIndices {
  const [values, indices] = dispatch(sortOp, [x], { dim: normalizeAxis("sort", dim, x.rank), descending });
  return { values: values!, indices: indices! };
}

/** The indices that sort x along an axis. @throws ShapeError */
export function argsort(x: Tensor, dim = -1, options: SortOptions = {}): Tensor {
  return sort(x, dim, options).indices;
}

/** The k largest (or smallest) values along an axis, best first, and where they are (int64). @throws ShapeError, ArgumentError */
export function topk(x: Tensor, k: number, dim = -1, { largest = true }: { largest?: boolean } = {}): ValuesAndIndices {
  const [values, indices] = dispatch(topkOp, [x], { k, dim: normalizeAxis("topk", dim, x.rank), largest });
  return { values: values!, indices: indices! };
}

/**
 * Indices [count, rank] (int64) of the elements that are not zero, in row-major order. The shape depends on values,
 * so this is no operator and cannot be captured. @throws AutogradError while capturing
 */
export function nonzero(x: Tensor): Tensor {
  const strides = stridesOf(x.shape);
  const found: number[] = [];
  let count = 0;
  floatsOf(x).forEach((v, at) => {
    if (v === 0) return;
    count++;
    strides.forEach((stride, axis) => found.push(Math.floor(at / stride) % x.shape[axis]!));
  });
  return fromArray(found, [count, x.rank], "int64");
}

/** The elements where the bool tensor `mask`, of x's shape, holds, as a 1-d tensor; eager only, like `nonzero`. */
export function maskedSelect(x: Tensor, mask: Tensor): Tensor {
  const chosen = Array.from(nonzero(reshape(expand(mask, x.shape), [x.numel])).data);
  return take(x, fromArray(chosen, [chosen.length], "int64"));
}
