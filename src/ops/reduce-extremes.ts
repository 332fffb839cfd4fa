/**
 * Largest and smallest values and where they are. NaN counts as both; of equal values the first is named.
 *
 * `amax`, `amin` and the maximum of a whole tensor share the gradient among ties; `max` and `min` along an axis
 * give all of it to the one they name, as in PyTorch.
 */

import { ShapeError } from "../errors.ts";
import { zeros } from "../tensor/create.ts";
import { normalizeAxis, numel } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { div, mul } from "./arithmetic.ts";
import { equal } from "./compare.ts";
import { scatter } from "./gather.ts";
import { floatsOf, fromDoubles } from "./loops.ts";
import { apply, defineOp, dispatch, requireUnquantized } from "./op.ts";
import type { Op } from "./op.ts";
import { reduceAttrs, reducedShape, restoreDims, sum } from "./reduce.ts";
import type { Dims, ReduceAttrs, ReduceOptions } from "./reduce.ts";
import { lanesOf } from "./reduce-lanes.ts";
import { reshape } from "./shape.ts";
import { cast } from "./unary.ts";

type One = readonly [Tensor];
/** Whether `a` replaces `b` as the extreme. */
type Beats = (a: number, b: number) => boolean;

const above: Beats = (a, b) => a > b || (a !== a && b === b);
const below: Beats = (a, b) => a < b || (a !== a && b === b);

/** Position within its lane of the extreme of every lane. */
function findExtremes(
  where: string,
  x: Tensor,
  dim: readonly number[],
  beats: Beats,
): { values: Float64Array; indices: Float64Array } {
  const { bases, steps } = lanesOf(x.shape, dim);
  if (steps.length === 0 && bases.length > 0) {
    throw new ShapeError(where, { shape: x.shape, dim }, "nothing to choose from: a reduced axis is empty");
  }
  const data = floatsOf(x);
  const values = new Float64Array(bases.length);
  const indices = new Float64Array(bases.length);
  bases.forEach((base, o) => {
    let best = 0;
    let found = data[base + steps[0]!]!;
    for (let k = 1; k < steps.length; k++) {
      const v = data[base + steps[k]!]!;
      if (beats(v, found)) [found, best] = [v, k];
    }
    values[o] = found;
    indices[o] = best;
  });
  return { values, indices };
}

function inferLike(where: string, x: TensorType, attrs: ReduceAttrs): TensorType {
  requireUnquantized(where, x);
  return { dtype: x.dtype, shape: reducedShape(x.shape, attrs) };
}

function extremeValue(name: string, beats: Beats): Op<One, ReduceAttrs> {
  return defineOp<One, ReduceAttrs>({
    name,
    infer: ([x], attrs) => [inferLike(name, x, attrs)],
    forward: ([x], { dim }, [type]) => [fromDoubles(type!, findExtremes(name, x, dim, beats).values)],
    backward(dy, { inputs: [x], outputs, attrs }) {
      const winners = cast(equal(x, restoreDims(outputs[0]!, x.shape, attrs)), x.dtype);
      const share = div(winners, sum(winners, attrs.dim, { keepdim: true }));
      return [mul(restoreDims(dy, x.shape, attrs), share)];
    },
  });
}

/** Two outputs: values and, as int64, where in the axis they are. */
function extremeAlong(name: string, beats: Beats): Op<One, ReduceAttrs> {
  return defineOp<One, ReduceAttrs>({
    name,
    infer([x], attrs) {
      const type = inferLike(name, x, attrs);
      return [type, { dtype: "int64", shape: type.shape }];
    },
    forward([x], { dim }, types) {
      const { values, indices } = findExtremes(name, x, dim, beats);
      return [fromDoubles(types[0]!, values), fromDoubles(types[1]!, indices)];
    },
    backward(dy, { inputs: [x], outputs, attrs }) {
      if (x.rank === 0) return [dy];
      const [grad, at] = [dy, outputs[1]!].map((one) => restoreDims(one, x.shape, attrs));
      return [scatter(zeros(x.shape, { dtype: x.dtype }), attrs.dim[0]!, at!, grad!)];
    },
  });
}

function extremeIndex(name: string, beats: Beats): Op<One, ReduceAttrs> {
  return defineOp<One, ReduceAttrs>({
    name,
    infer: ([x], attrs) => [{ dtype: "int64", shape: inferLike(name, x, attrs).shape }],
    forward: ([x], { dim }, [type]) => [fromDoubles(type!, findExtremes(name, x, dim, beats).indices)],
    backward: "its result is an index",
  });
}

export const amaxOp = extremeValue("amax", above);
export const aminOp = extremeValue("amin", below);
export const maxOp = extremeAlong("max", above);
export const minOp = extremeAlong("min", below);
export const argmaxOp = extremeIndex("argmax", above);
export const argminOp = extremeIndex("argmin", below);

/** Values along an axis with the positions they come from (int64). */
export interface ValuesAndIndices {
  readonly values: Tensor;
  readonly indices: Tensor;
}

function alongAxis(op: Op<One, ReduceAttrs>, x: Tensor, dim: number, options: ReduceOptions): ValuesAndIndices {
  const [values, indices] = dispatch(op, [x], reduceAttrs(op.name, x, normalizeAxis(op.name, dim, x.rank), options));
  return { values: values!, indices: indices! };
}

/** Largest value over axes; ties share the gradient. @throws ShapeError when there is none. */
export function amax(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(amaxOp, [x], reduceAttrs("amax", x, dim, options));
}

/** Smallest value over axes; ties share the gradient. @throws ShapeError when there is none. */
export function amin(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(aminOp, [x], reduceAttrs("amin", x, dim, options));
}

/** The largest value of all, or the largest values along an axis with their indices. @throws ShapeError */
export function max(x: Tensor): Tensor;
export function max(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function max(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  return dim === undefined ? amax(x) : alongAxis(maxOp, x, dim, options);
}

/** The smallest value of all, or the smallest values along an axis with their indices. @throws ShapeError */
export function min(x: Tensor): Tensor;
export function min(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function min(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  return dim === undefined ? amin(x) : alongAxis(minOp, x, dim, options);
}

function indexAlong(
  op: Op<One, ReduceAttrs>,
  x: Tensor,
  dim: number | null | undefined,
  options: ReduceOptions,
): Tensor {
  if (dim !== undefined && dim !== null)
    return apply(op, [x], reduceAttrs(op.name, x, normalizeAxis(op.name, dim, x.rank), options));
  const index = apply(op, [reshape(x, [numel(x.shape)])], { dim: [0], keepdim: false });
  return options.keepdim
    ? reshape(
        index,
        x.shape.map(() => 1),
      )
    : index;
}

/** Index (int64) of the largest value along an axis, or in the flattened tensor; the first of equals. @throws ShapeError */
export function argmax(x: Tensor, dim?: number | null, options: ReduceOptions = {}): Tensor {
  return indexAlong(argmaxOp, x, dim, options);
}

/** Index (int64) of the smallest value along an axis, or in the flattened tensor; the first of equals. @throws ShapeError */
export function argmin(x: Tensor, dim?: number | null, options: ReduceOptions = {}): Tensor {
  return indexAlong(argminOp, x, dim, options);
}
