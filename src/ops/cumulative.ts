/**
 * Running sums and products along one axis.
 */

import { isFloat } from "../tensor/dtype.ts";
import { normalizeAxis } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { mul } from "./arithmetic.ts";
import { emptyFloats, floatsOf, forEachLane, fromDoubles } from "./loops.ts";
import { apply, defineOp, requireFloat, requireUnquantized } from "./op.ts";
import type { Op } from "./op.ts";
import { pad } from "./pad.ts";
import { flip } from "./slicing.ts";

type DimAttrs = { readonly dim: number };

function running(
  name: string,
  step: (total: number, v: number) => number,
  start: number,
  backward: (dy: Tensor, x: Tensor, y: Tensor, dim: number) => Tensor,
): Op<readonly [Tensor], DimAttrs> {
  return defineOp<readonly [Tensor], DimAttrs>({
    name,
    infer([x]) {
      requireUnquantized(name, x);
      return [{ dtype: isFloat(x.dtype) ? x.dtype : "int64", shape: x.shape }];
    },
    forward([x], { dim }, [type]) {
      const data = floatsOf(x);
      const out = emptyFloats(type!.dtype, x.numel);
      forEachLane(x.shape, dim, (first, stride) => {
        let total = start;
        const end = first + stride * (x.shape[dim] ?? 1);
        for (let i = first; i < end; i += stride) out[i] = total = step(total, data[i]!);
      });
      return [fromDoubles(type!, out)];
    },
    backward: (dy, { inputs: [x], outputs, attrs: { dim } }) => [x.rank === 0 ? dy : backward(dy, x, outputs[0]!, dim)],
  });
}

/** Sums from each element to the end of its lane. */
function cumsumFromEnd(x: Tensor, dim: number): Tensor {
  return flip(cumsum(flip(x, dim), dim), dim);
}

// each element is in all sums from its own place on
export const cumsumOp = running(
  "cumsum",
  (total, v) => total + v,
  0,
  (dy, _, __, dim) => cumsumFromEnd(dy, dim),
);

/** Each lane moved on by one place, its last value lost and `value` in front. */
function delay(x: Tensor, dim: number, value: number): Tensor {
  const behind = new Array<number>(2 * (x.rank - 1 - dim)).fill(0);
  return pad(x, [...behind, 1, -1], { value });
}

/**
 * First-order recurrence along an axis, r[i] = a[i] r[i-1] + b[i] with r[-1] = 0: what the gradient of a running
 * product is made of, without dividing, so that zeros are no problem. Its own gradient is the same from behind.
 */
export const recurrenceOp: Op<readonly [Tensor, Tensor], DimAttrs> = defineOp<readonly [Tensor, Tensor], DimAttrs>({
  name: "recurrence",
  infer([a, b]) {
    requireFloat("recurrence", a, b);
    return [{ dtype: b.dtype, shape: b.shape }];
  },
  forward([a, b], { dim }, [type]) {
    const [factors, terms] = [floatsOf(a), floatsOf(b)];
    const out = emptyFloats(type!.dtype, b.numel);
    forEachLane(b.shape, dim, (first, stride) => {
      let r = 0;
      const end = first + stride * (b.shape[dim] ?? 1);
      for (let i = first; i < end; i += stride) out[i] = r = factors[i]! * r + terms[i]!;
    });
    return [fromDoubles(type!, out)];
  },
  backward(dr, { inputs: [a], outputs: [r], attrs: { dim } }) {
    const db = recurrenceFromEnd(a, dr, dim);
    return [mul(db, delay(r!, dim, 0)), db];
  },
});

/** g[i] = a[i+1] g[i+1] + b[i]. */
function recurrenceFromEnd(a: Tensor, b: Tensor, dim: number): Tensor {
  return flip(apply(recurrenceOp, [delay(flip(a, dim), dim, 0), flip(b, dim)], { dim }), dim);
}

// product of all before, times what the products from here on are made of
export const cumprodOp = running(
  "cumprod",
  (total, v) => total * v,
  1,
  (dy, x, _, dim) => mul(cumprod(delay(x, dim, 1), dim), recurrenceFromEnd(x, dy, dim)),
);

/** Sums of the first 1, 2, ... values along an axis; integers give int64. */
export function cumsum(x: Tensor, dim: number): Tensor {
  return apply(cumsumOp, [x], { dim: normalizeAxis("cumsum", dim, x.rank) });
}

/** Products of the first 1, 2, ... values along an axis; integers give int64. */
export function cumprod(x: Tensor, dim: number): Tensor {
  return apply(cumprodOp, [x], { dim: normalizeAxis("cumprod", dim, x.rank) });
}
