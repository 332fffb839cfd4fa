/**
 * Choosing between two operands by a condition.
 */

import { DtypeError } from "../errors.ts";
import { dtypeInfo } from "../tensor/dtype.ts";
import { broadcastShapes, broadcastStrides, numel } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { inferBroadcast } from "./arithmetic.ts";
import type { Operand } from "./arithmetic.ts";
import { choose, emptyFloats, fromDoubles, operandFloats } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import { forEachRow } from "./strided.ts";

/** @throws DtypeError unless the dtype is bool (uint8 counts as one, as in PyTorch). */
export function requireBool(where: string, type: TensorType): void {
  if (dtypeInfo[type.dtype].kind === "bool" || type.dtype === "uint8") return;
  throw new DtypeError(where, { dtype: type.dtype }, "the condition must be a bool tensor");
}

export const whereOp = defineOp<readonly [Tensor, Operand, Operand]>({
  name: "where",
  infer([condition, a, b]) {
    requireBool("where", condition);
    const { dtype, shape } = inferBroadcast("where", a, b);
    return [{ dtype, shape: broadcastShapes("where", condition.shape, shape) }];
  },
  forward([condition, left, right], _, [type]) {
    const { dtype, shape } = type!;
    const [a, b] = [operandFloats(left, dtype), operandFloats(right, dtype)];
    const mask = condition.data;
    const out = emptyFloats(dtype, numel(shape));
    const strides = [condition.shape, a.shape, b.shape].map((own) => broadcastStrides(own, shape));
    let at = 0;
    forEachRow(shape, strides, [0, 0, 0], (size, [m, i, j], [sm, si, sj]) => {
      for (let k = 0; k < size; k++) {
        out[at++] = choose(mask[m! + k * sm!] !== 0, a.data[i! + k * si!]!, b.data[j! + k * sj!]!);
      }
    });
    return [fromDoubles(type!, out)];
  },
  backward: (dy, { inputs: [condition], needs }) => [
    null,
    needs[1] ? where(condition, dy, 0) : null,
    needs[2] ? where(condition, 0, dy) : null,
  ],
});

/** `a` where the bool tensor `condition` holds, else `b`; broadcasts. @throws ShapeError, DtypeError */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  return apply(whereOp, [condition, a, b], {});
}

/** `x` with `value` wherever the bool tensor `mask`, which broadcasts to x, holds. */
export function maskedFill(x: Tensor, mask: Tensor, value: Operand): Tensor {
  return where(mask, value, x);
}
