/**
 * Whether all, or any, of the values over axes are true (anything not zero is).
 */

import type { Tensor } from "../tensor/tensor.ts";
import { apply, defineOp, requireUnquantized } from "./op.ts";
import type { Op } from "./op.ts";
import { reduceAttrs, reducedShape } from "./reduce.ts";
import type { Dims, ReduceAttrs, ReduceOptions } from "./reduce.ts";
import { reduceLanes } from "./reduce-lanes.ts";

/** A value whose truth is `decisive` makes the result that; without one it is the opposite. */
function quantifier(name: string, decisive: boolean): Op<readonly [Tensor], ReduceAttrs> {
  return defineOp<readonly [Tensor], ReduceAttrs>({
    name,
    infer([x], attrs) {
      requireUnquantized(name, x);
      return [{ dtype: "bool", shape: reducedShape(x.shape, attrs) }];
    },
    forward: ([x], { dim }, [type]) => [
      reduceLanes(type!, x, dim, (data, base, steps) => {
        for (let k = 0; k < steps.length; k++)
          if ((data[base + steps[k]!]! !== 0) === decisive) return Number(decisive);
        return Number(!decisive);
      }),
    ],
    backward: "its result is a truth value",
  });
}

export const allOp = quantifier("all", false);
export const anyOp = quantifier("any", true);

/** Whether no value over the axes is zero; true where there is none. */
export function all(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(allOp, [x], reduceAttrs("all", x, dim, options));
}

/** Whether some value over the axes is not zero. */
export function any(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(anyOp, [x], reduceAttrs("any", x, dim, options));
}
