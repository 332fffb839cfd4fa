/**
 * Comparisons of two tensors or a tensor and a number; results are bool.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { inferBroadcast } from "./arithmetic.ts";
import { zipTo } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import type { Op } from "./op.ts";

type Operand = Tensor | number;
type Pair = readonly [Operand, Operand];
type NoAttrs = Readonly<Record<string, never>>;

function comparison(name: string, f: (x: number, y: number) => boolean): Op<Pair, NoAttrs> {
  return defineOp<Pair, NoAttrs>({
    name,
    infer: ([a, b]) => [{ dtype: "bool", shape: inferBroadcast(name, a, b).shape }],
    forward: ([a, b], _, [type]) => [zipTo(type!, a, b, (x, y) => (f(x, y) ? 1 : 0))],
    backward: "a comparison is not differentiable",
  });
}

export const equalOp = comparison("equal", (x, y) => x === y);
export const notEqualOp = comparison("notEqual", (x, y) => x !== y);
export const lessOp = comparison("less", (x, y) => x < y);
export const lessEqualOp = comparison("lessEqual", (x, y) => x <= y);
export const greaterOp = comparison("greater", (x, y) => x > y);
export const greaterEqualOp = comparison("greaterEqual", (x, y) => x >= y);

export function equal(a: Operand, b: Operand): Tensor {
  return apply(equalOp, [a, b], {});
}

export function notEqual(a: Operand, b: Operand): Tensor {
  return apply(notEqualOp, [a, b], {});
}

export function less(a: Operand, b: Operand): Tensor {
  return apply(lessOp, [a, b], {});
}

export function lessEqual(a: Operand, b: Operand): Tensor {
  return apply(lessEqualOp, [a, b], {});
}

export function greater(a: Operand, b: Operand): Tensor {
  return apply(greaterOp, [a, b], {});
}

export function greaterEqual(a: Operand, b: Operand): Tensor {
  return apply(greaterEqualOp, [a, b], {});
}
