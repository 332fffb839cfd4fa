/**
 * Softmax and its logarithm along one axis.
 *
 * The largest value of each lane is subtracted first, so nothing overflows; sums are in double. A lane that is
 * all -Infinity (everything masked) gives NaN, as in PyTorch.
 */

import { allocate } from "../tensor/dtype.ts";
import { normalizeAxis } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { mul, sub } from "./arithmetic.ts";
import { floatsOf, forEachLane } from "./loops.ts";
import type { FloatArray } from "./loops.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Op } from "./op.ts";
import { sum } from "./reduce.ts";
import { exp, neg } from "./unary.ts";

type DimAttrs = { readonly dim: number };

/** Writes one lane of `count` values, `step` apart from `start`. */
type LaneLoop = (x: FloatArray, y: FloatArray, start: number, step: number, count: number) => void;

function largest(x: FloatArray, start: number, step: number, count: number): number {
  let most = -Infinity;
  for (let k = 0, i = start; k < count; k++, i += step) most = Math.max(most, x[i]!);
  return most;
}

const softmaxLane: LaneLoop = (x, y, start, step, count) => {
  const most = largest(x, start, step, count);
  const powers = new Float64Array(count);
  let total = 0;
  for (let k = 0, i = start; k < count; k++, i += step) total += powers[k] = Math.exp(x[i]! - most);
  for (let k = 0, i = start; k < count; k++, i += step) y[i] = powers[k]! / total;
};

const logSoftmaxLane: LaneLoop = (x, y, start, step, count) => {
  const most = largest(x, start, step, count);
  let total = 0;
  for (let k = 0, i = start; k < count; k++, i += step) total += Math.exp(x[i]! - most);
  const log = Math.log(total);
  for (let k = 0, i = start; k < count; k++, i += step) y[i] = x[i]! - most - log;
};

function alongLanes(
  name: string,
  lane: LaneLoop,
  backward: (dy: Tensor, y: Tensor, dim: number) => Tensor,
): Op<readonly [Tensor], DimAttrs> {
  return defineOp<readonly [Tensor], DimAttrs>({
    name,
    infer([x]) {
      requireFloat(name, x);
      return [{ dtype: x.dtype, shape: x.shape }];
    },
    forward([x], { dim }) {
      const out = allocate(x.dtype, x.numel) as FloatArray;
      const data = floatsOf(x);
      forEachLane(x.shape, dim, (start, step) => lane(data, out, start, step, x.shape[dim] ?? 1));
      return [new Tensor(x.dtype, x.shape, out)];
    },
    backward: (dy, { outputs: [y], attrs: { dim } }) => [backward(dy, y!, dim)],
  });
}

/** Sum along an axis that stays, also for tensors without axes. */
function laneSum(x: Tensor, dim: number): Tensor {
  return x.rank === 0 ? x : sum(x, dim, { keepdim: true });
}

// y (dy - sum(dy y))
export const softmaxOp = alongLanes("softmax", softmaxLane, (dy, y, dim) => {
  const weighted = mul(dy, y);
  return sub(weighted, mul(y, laneSum(weighted, dim)));
});

// dy - e^y sum(dy)
export const logSoftmaxOp = alongLanes("logSoftmax", logSoftmaxLane, (dy, y, dim) =>
  sub(dy, mul(exp(y), laneSum(dy, dim))),
);

/** e^x divided by its sum along axis `dim`. @throws ShapeError, DtypeError */
export function softmax(x: Tensor, dim: number): Tensor {
  return apply(softmaxOp, [x], { dim: normalizeAxis("softmax", dim, x.rank) });
}

/** softmax(-x). */
export function softmin(x: Tensor, dim: number): Tensor {
  return softmax(neg(x), dim);
}

/** The logarithm of the softmax, accurate where the softmax itself underflows. @throws ShapeError, DtypeError */
export function logSoftmax(x: Tensor, dim: number): Tensor {
  return apply(logSoftmaxOp, [x], { dim: normalizeAxis("logSoftmax", dim, x.rank) });
}
