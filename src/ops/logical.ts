/**
 * Logic on truth values (anything not zero is true, NaN included), bitwise operators on integers, and the
 * tests for special floats. None has a gradient.
 */

import { DtypeError } from "../errors.ts";
import { dtypeInfo } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { inferBroadcast } from "./arithmetic.ts";
import type { Operand } from "./arithmetic.ts";
import { mapTo, mapWith, zipTo, zipWith } from "./loops.ts";
import { apply, defineOp, requireUnquantized } from "./op.ts";
import type { Op } from "./op.ts";

type One = readonly [Tensor];
type Pair = readonly [Operand, Operand];
type NoAttrs = Readonly<Record<string, never>>;

const NO_GRADIENT = "its result is a truth value or an integer";

function logical(name: string, f: (a: boolean, b: boolean) => boolean): Op<Pair, NoAttrs> {
  const loop = zipWith((a, b) => (f(a !== 0, b !== 0) ? 1 : 0));
  return defineOp<Pair, NoAttrs>({
    name,
    infer: ([a, b]) => [{ dtype: "bool", shape: inferBroadcast(name, a, b).shape }],
    forward: ([a, b], _, [type]) => [zipTo(type!, a, b, loop, "float64")],
    backward: NO_GRADIENT,
  });
}

function test(name: string, f: (x: number) => boolean): Op<One, NoAttrs> {
  const loop = mapWith((x) => (f(x) ? 1 : 0));
  return defineOp<One, NoAttrs>({
    name,
    infer([x]) {
      requireUnquantized(name, x);
      return [{ dtype: "bool", shape: x.shape }];
    },
    forward: ([x], _, [type]) => [mapTo(type!, x, loop)],
    backward: NO_GRADIENT,
  });
}

/** Values are exact as 64-bit integers up to 2^53, beyond the 32 bits of JavaScript's own operators. */
function bitwise(name: string, f: (a: bigint, b: bigint) => bigint): Op<Pair, NoAttrs> {
  const loop = zipWith((a, b) => Number(f(BigInt(a), BigInt(b))));
  return defineOp<Pair, NoAttrs>({
    name,
    infer([a, b]) {
      const type = inferBroadcast(name, a, b);
      if (dtypeInfo[type.dtype].kind === "float")
        throw new DtypeError(name, { dtype: type.dtype }, "needs integers or bools");
      return [type];
    },
    forward: ([a, b], _, [type]) => [zipTo(type!, a, b, loop)],
    backward: NO_GRADIENT,
  });
}

export const logicalAndOp = logical("logicalAnd", (a, b) => a && b);
export const logicalOrOp = logical("logicalOr", (a, b) => a || b);
export const logicalXorOp = logical("logicalXor", (a, b) => a !== b);
export const logicalNotOp = test("logicalNot", (x) => x === 0);
export const isnanOp = test("isnan", (x) => x !== x);
export const isinfOp = test("isinf", (x) => x === Infinity || x === -Infinity);
export const isfiniteOp = test("isfinite", Number.isFinite);
export const bitwiseAndOp = bitwise("bitwiseAnd", (a, b) => a & b);
export const bitwiseOrOp = bitwise("bitwiseOr", (a, b) => a | b);
export const bitwiseXorOp = bitwise("bitwiseXor", (a, b) => a ^ b);

/** Both are true. Broadcasts. */
export function logicalAnd(a: Operand, b: Operand): Tensor {
  return apply(logicalAndOp, [a, b], {});
}

/** At least one is true. */
export function logicalOr(a: Operand, b: Operand): Tensor {
  return apply(logicalOrOp, [a, b], {});
}

/** Exactly one is true. */
export function logicalXor(a: Operand, b: Operand): Tensor {
  return apply(logicalXorOp, [a, b], {});
}

/** True where x is zero. */
export function logicalNot(x: Tensor): Tensor {
  return apply(logicalNotOp, [x], {});
}

export function isnan(x: Tensor): Tensor {
  return apply(isnanOp, [x], {});
}

/** True for both infinities. */
export function isinf(x: Tensor): Tensor {
  return apply(isinfOp, [x], {});
}

/** True for anything but NaN and the infinities. */
export function isfinite(x: Tensor): Tensor {
  return apply(isfiniteOp, [x], {});
}

/** Bit by bit and of integers or bools. @throws DtypeError for floats */
export function bitwiseAnd(a: Operand, b: Operand): Tensor {
  return apply(bitwiseAndOp, [a, b], {});
}

/** Bit by bit or. @throws DtypeError for floats */
export function bitwiseOr(a: Operand, b: Operand): Tensor {
  return apply(bitwiseOrOp, [a, b], {});
}

/** Bit by bit exclusive or. @throws DtypeError for floats */
export function bitwiseXor(a: Operand, b: Operand): Tensor {
  return apply(bitwiseXorOp, [a, b], {});
}
