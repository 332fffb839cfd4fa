/**
 * Broadcasting arithmetic: add, sub, mul, div, pow, min and max of two tensors or a tensor and a number.
 *
 * The result's dtype follows PyTorch's promotion; a number literal takes the tensor's dtype, except that
 * dividing integers, or mixing them with a fraction, gives float32.
 */

import { ArgumentError, DtypeError } from "../errors.ts";
import { isFloat, isQuantized, promote } from "../tensor/dtype.ts";
import type { DType } from "../tensor/dtype.ts";
import { broadcastShapes } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { zipTo } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import type { BackwardContext, Op } from "./op.ts";
import { equal, greater, less } from "./compare.ts";
import { cast, floor, log, neg } from "./unary.ts";

type Operand = Tensor | number;
type Pair = readonly [Operand, Operand];
type NoAttrs = Readonly<Record<string, never>>;
type PairContext = BackwardContext<Pair, NoAttrs>;

/** Type rule of broadcasting operators. @throws DtypeError for quantized operands. */
export function inferBroadcast(where: string, a: TensorType | number, b: TensorType | number): TensorType {
  for (const type of [a, b]) {
    if (typeof type !== "number" && isQuantized(type.dtype)) {
      throw new DtypeError(
        where,
        { dtype: type.dtype, shape: type.shape },
        "does not take quantized tensors",
        `Use FloatFunctional's ${where} in the float model, so that convert can make it a QFunctional`,
      );
    }
  }
  if (typeof a === "number") {
    if (typeof b === "number") throw new ArgumentError(where, { a, b }, "at least one operand must be a tensor");
    return inferBroadcast(where, b, a);
  }
  if (typeof b === "number") {
    const fraction = !Number.isInteger(b) && !isFloat(a.dtype);
    return { dtype: fraction ? "float32" : a.dtype === "bool" ? "int64" : a.dtype, shape: a.shape };
  }
  return { dtype: promote(a.dtype, b.dtype), shape: broadcastShapes(where, a.shape, b.shape) };
}

function binary(
  name: string,
  f: (x: number, y: number) => number,
  backward: (grad: Tensor, context: PairContext) => readonly (Tensor | null)[],
  resultDType: (dtype: DType) => DType = (dtype) => dtype,
): Op<Pair, NoAttrs> {
  return defineOp<Pair, NoAttrs>({
    name,
    infer([a, b]) {
      const type = inferBroadcast(name, a, b);
      return [{ dtype: resultDType(type.dtype), shape: type.shape }];
    },
    forward([a, b], _, [type]) {
      return [zipTo(type!, a, b, f)];
    },
    backward,
  });
}

export const addOp = binary("add", (x, y) => x + y, (dy) => [dy, dy]);

export const subOp = binary("sub", (x, y) => x - y, (dy) => [dy, neg(dy)]);

// d(ab) = b da + a db
export const mulOp = binary("mul", (x, y) => x * y, (dy, { inputs: [a, b], needs }) => [
  needs[0] ? mul(dy, b) : null,
  needs[1] ? mul(dy, a) : null,
]);

// d(a/b) = da / b - a db / b^2
export const divOp = binary(
  "div",
  (x, y) => x / y,
  (dy, { inputs: [a, b], needs }) => [
    needs[0] ? div(dy, b) : null,
    needs[1] ? neg(div(mul(dy, a), mul(b, b))) : null,
  ],
  (dtype) => (isFloat(dtype) ? dtype : "float32"),
);

// d(a^b) = b a^(b-1) da + a^b ln(a) db, where the second term is 0 for a = 0
export const powOp = binary("pow", Math.pow, (dy, { inputs: [a, b], outputs, needs }) => [
  needs[0] ? mul(dy, typeof b === "number" ? mul(pow(a, b - 1), b) : mul(b, pow(a, sub(b, 1)))) : null,
  needs[1] ? mul(dy, mul(outputs[0]!, typeof a === "number" ? Math.log(a) : log(maximum(a, SMALLEST_POSITIVE)))) : null,
]);

// The gradient of a tie is shared equally, as in PyTorch's binary maximum and minimum.
function choose(name: string, pick: (x: number, y: number) => number, wins: (a: Operand, b: Operand) => Tensor) {
  return binary(name, (x, y) => (x !== x || y !== y ? NaN : pick(x, y)), (dy, { inputs: [a, b] }) => {
    const half = mul(cast(equal(a, b), dy.dtype), 0.5);
    return [mul(dy, add(cast(wins(a, b), dy.dtype), half)), mul(dy, add(cast(wins(b, a), dy.dtype), half))];
  });
}

export const maximumOp = choose("maximum", Math.max, greater);
export const minimumOp = choose("minimum", Math.min, less);

// d(a mod b) = da - floor(a/b) db; the result has the sign of b, as Python's
export const remainderOp = binary(
  "remainder",
  (x, y) => x - Math.floor(x / y) * y,
  (dy, { inputs: [a, b], needs }) => [needs[0] ? dy : null, needs[1] ? neg(mul(dy, floor(div(a, b)))) : null],
);

/** Smallest positive float32: keeps log finite where its factor is 0 anyway. */
const SMALLEST_POSITIVE = 1.401298464324817e-45;

/** a + b. Broadcasts; dtype by promotion. @throws ShapeError, DtypeError */
export function add(a: Operand, b: Operand): Tensor {
  return apply(addOp, [a, b], {});
}

/** a - b. */
export function sub(a: Operand, b: Operand): Tensor {
  return apply(subOp, [a, b], {});
}

/** a * b. */
export function mul(a: Operand, b: Operand): Tensor {
  return apply(mulOp, [a, b], {});
}

/** a / b; true division, so integers give float32. */
export function div(a: Operand, b: Operand): Tensor {
  return apply(divOp, [a, b], {});
}

/** a to the power b. */
export function pow(a: Operand, b: Operand): Tensor {
  return apply(powOp, [a, b], {});
}

/** Elementwise larger value; NaN where either is NaN. */
export function maximum(a: Operand, b: Operand): Tensor {
  return apply(maximumOp, [a, b], {});
}

/** Elementwise smaller value; NaN where either is NaN. */
export function minimum(a: Operand, b: Operand): Tensor {
  return apply(minimumOp, [a, b], {});
}

/** a - floor(a/b) * b: the remainder that has the divisor's sign. */
export function remainder(a: Operand, b: Operand): Tensor {
  return apply(remainderOp, [a, b], {});
}
