/**
 * Comparisons of two tensors or a tensor and a number; results are bool.
 *
 * Operands are promoted first and a number is rounded to the tensor's dtype, so that float32 0.1 equals 0.1.
 * Anything compared with NaN is false, except notEqual. The loops turn truth into numbers without a branch.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { inferBroadcast } from "./arithmetic.ts";
import type { Operand } from "./arithmetic.ts";
import { zipTo } from "./loops.ts";
import type { ZipKernel, ZipLoop } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import type { InputTypes, Op } from "./op.ts";

type Pair = readonly [Operand, Operand];
type NoAttrs = Readonly<Record<string, never>>;

function comparison(name: string, f: (a: number, b: number) => boolean, loop: ZipLoop): Op<Pair, NoAttrs> {
  const kernel: ZipKernel = { f: (a, b) => Number(f(a, b)), loop };
  return defineOp<Pair, NoAttrs>({
    name,
    infer: ([a, b]) => [{ dtype: "bool", shape: inferBroadcast(name, a, b).shape }],
    forward(inputs, _, [type]) {
      const [a, b] = inputs as InputTypes<Pair>;
      return [zipTo(type!, inputs[0], inputs[1], kernel, inferBroadcast(name, a, b).dtype)];
    },
    backward: "a comparison is not differentiable",
  });
}

export const equalOp = comparison(
  "equal",
  (a, b) => a === b,
  (n, y, o, a, i, si, b, j, sj) => {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = Number(a[i]! === b[j]!);
  },
);

export const notEqualOp = comparison(
  "notEqual",
  (a, b) => a !== b,
  (n, y, o, a, i, si, b, j, sj) => {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = Number(a[i]! !== b[j]!);
  },
);

export const lessOp = comparison(
  "less",
  (a, b) => a < b,
  (n, y, o, a, i, si, b, j, sj) => {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = Number(a[i]! < b[j]!);
  },
);

export const lessEqualOp = comparison(
  "lessEqual",
  (a, b) => a <= b,
  (n, y, o, a, i, si, b, j, sj) => {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = Number(a[i]! <= b[j]!);
  },
);

export const greaterOp = comparison(
  "greater",
  (a, b) => a > b,
  (n, y, o, a, i, si, b, j, sj) => {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = Number(a[i]! > b[j]!);
  },
);

export const greaterEqualOp = comparison(
  "greaterEqual",
  (a, b) => a >= b,
  (n, y, o, a, i, si, b, j, sj) => {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = Number(a[i]! >= b[j]!);
  },
);

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
