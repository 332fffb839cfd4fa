/**
 * Reductions that look at all values behind one result together: extremes, products, norms, variances.
 *
 * Two tables of offsets say where they are: one for each result, one for each step of a lane.
 */

import { numel, stridesOf } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { emptyFloats, floatsOf, fromDoubles } from "./loops.ts";
import type { FloatArray } from "./loops.ts";
import { defineOp, requireFloat } from "./op.ts";
import type { BackwardContext, Op } from "./op.ts";
import { reducedShape } from "./reduce.ts";
import type { ReduceAttrs } from "./reduce.ts";
import { forEachRow } from "./strided.ts";

/** Offset of every index of `sizes`, in row-major order, under strides of its own. */
function offsets(sizes: Shape, strides: readonly number[]): Int32Array {
  const out = new Int32Array(numel(sizes));
  let at = 0;
  forEachRow(sizes, [strides], [0], (size, [first], [step]) => {
    for (let k = 0, i = first!; k < size; k++, i += step!) out[at++] = i;
  });
  return out;
}

export interface Lanes {
  /** Where the lane of each result starts. */
  readonly bases: Int32Array;
  /** Steps of a lane, in row-major order of the reduced axes. */
  readonly steps: Int32Array;
}

export function lanesOf(shape: Shape, dim: readonly number[]): Lanes {
  const strides = stridesOf(shape);
  const pick = (wanted: boolean): Int32Array =>
    offsets(
      shape.map((size, axis) => (dim.includes(axis) === wanted ? size : 1)),
      strides,
    );
  return { bases: pick(false), steps: pick(true) };
}

/** One result from a lane: `data[base + steps[k]]` for all k. */
export type LaneFunction = (data: FloatArray, base: number, steps: Int32Array) => number;

export function reduceLanes(type: TensorType, x: Tensor, dim: readonly number[], f: LaneFunction): Tensor {
  const { bases, steps } = lanesOf(x.shape, dim);
  const data = floatsOf(x);
  const out = emptyFloats(type.dtype, bases.length);
  for (let o = 0; o < out.length; o++) out[o] = f(data, bases[o]!, steps);
  return fromDoubles(type, out);
}

/** Defines a reduction of a float tensor by a function of its lanes. */
export function laneReduction<A extends ReduceAttrs>(
  name: string,
  laneOf: (attrs: A) => LaneFunction,
  backward: (dy: Tensor, x: Tensor, y: Tensor, attrs: A) => Tensor,
): Op<readonly [Tensor], A> {
  return defineOp<readonly [Tensor], A>({
    name,
    infer([x], attrs) {
      requireFloat(name, x);
      return [{ dtype: x.dtype, shape: reducedShape(x.shape, attrs) }];
    },
    forward: ([x], attrs, [type]) => [reduceLanes(type!, x, attrs.dim, laneOf(attrs))],
    backward: (dy: Tensor, { inputs: [x], outputs, attrs }: BackwardContext<readonly [Tensor], A>) => [
      backward(dy, x, outputs[0]!, attrs),
    ],
  });
}
