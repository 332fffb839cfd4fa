/**
 * Comparisons of two tensors or a tensor and a number; results are bool.
 *
 * Operands are promoted first and a number is rounded to the tensor's dtype, so that float32 0.1 equals 0.1.
 * Anything compared with NaN is false, except notEqual.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { inferBroadcast } from "./arithmetic.ts";
import type { Operand } from "./arithmetic.ts";
import { zipTo } from "./loops.ts";
import type { ZipLoop } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import type { InputTypes, Op } from "./op.ts";

type Pair = readonly [Operand, Operand];
type NoAttrs = Readonly<Record<string, never>>;

function comparison(name: string, loop: ZipLoop): Op<Pair, NoAttrs> {
  return defineOp<Pair, NoAttrs>({
    name,
    infer: ([a, b]) => [{ dtype: "bool", shape: inferBroadcast(name, a, b).shape }],
    forward(inputs, _, [type]) {
      const [a, b] = inputs as InputTypes<Pair>;
      return [zipTo(type!, inputs[0], inputs[1], loop, inferBroadcast(name, a, b).dtype)];
    },
    backward: "a comparison is not differentiable",
  });
}

export const equalOp = comparison("equal", (n, y, o, a, i, si, b, j, sj) => {
  for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! === b[j]! ? 1 : 0;
});

export const notEqualOp = comparison("notEqual", (n, y, o, a, i, si, b, j, sj) => {
  for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! !== b[j]! ? 1 : 0;
});

export const lessOp = comparison("less", (n, y, o, a, i, si, b, j, sj) => {
  for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! < b[j]! ? 1 : 0;
});

export const lessEqualOp = comparison("lessEqual", (n, y, o, a, i, si, b, j, sj) => {
  for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! <= b[j]! ? 1 : 0;
});

export const greaterOp = comparison("greater", (n, y, o, a, i, si, b, j, sj) => {
  for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! > b[j]! ? 1 : 0;
});

export const greaterEqualOp = comparison("greaterEqual", (n, y, o, a, i, si, b, j, sj) => {
  for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! >= b[j]! ? 1 : 0;
});

/** a = b. Broadcasts. @throws ShapeError, DtypeError */
export function equal(a: Operand, b: Operand): Tensor {
  return apply(equalOp, [a, b], {});
}

/** a != b; true where either is NaN. */
export function notEqual(a: Operand, b: Operand): Tensor {
  return apply(notEqualOp, [a, b], {});
}

/** a < b. */
export function less(a: Operand, b: Operand): Tensor {
  return apply(lessOp, [a, b], {});
}

/** a <= b. */
export function lessEqual(a: Operand, b: Operand): Tensor {
  return apply(lessEqualOp, [a, b], {});
}

/** a > b. */
export function greater(a: Operand, b: Operand): Tensor {
  return apply(greaterOp, [a, b], {});
}

/** a >= b. */
export function greaterEqual(a: Operand, b: Operand): Tensor {
  return apply(greaterEqualOp, [a, b], {});
}
