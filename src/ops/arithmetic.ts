/**
 * Broadcasting arithmetic: add, sub, mul, div, pow, min and max of two tensors or a tensor and a number.
 *
 * The result's dtype follows PyTorch's promotion; a number literal takes the tensor's dtype, except that
 * dividing integers, or mixing them with a fraction, gives float32.
 */

import { ArgumentError, DtypeError } from "../errors.ts";
import { dtypeInfo, isFloat, isQuantized, promote } from "../tensor/dtype.ts";
import type { DType, DTypeKind } from "../tensor/dtype.ts";
import { broadcastShapes } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { equal, greater, greaterEqual, less } from "./compare.ts";
import { mapTo, mapWith, zipTo, zipWith } from "./loops.ts";
import type { ZipKernel, ZipLoop } from "./loops.ts";
import { apply, defineOp } from "./op.ts";
import type { BackwardContext, Op } from "./op.ts";
import { floor, log, neg } from "./unary.ts";
import { maskedFill, where } from "./where.ts";

export type Operand = Tensor | number;
type Pair = readonly [Operand, Operand];
type NoAttrs = Readonly<Record<string, never>>;
type PairContext = BackwardContext<Pair, NoAttrs>;

const category: Record<DTypeKind, number> = { bool: 0, int: 1, float: 2, quantized: 3 };

/** Promotion of two tensors: one without axes decides only where it is of a higher category (bool, int, float). */
function promoteTypes(a: TensorType, b: TensorType): DType {
  const [ca, cb] = [category[dtypeInfo[a.dtype].kind], category[dtypeInfo[b.dtype].kind]];
  if (a.shape.length > 0 && b.shape.length === 0 && cb <= ca) return a.dtype;
  if (b.shape.length > 0 && a.shape.length === 0 && ca <= cb) return b.dtype;
  return promote(a.dtype, b.dtype);
}

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
  return { dtype: promoteTypes(a, b), shape: broadcastShapes(where, a.shape, b.shape) };
}

/** Defines y = f(a, b), elementwise with broadcasting. */
export function binary(
  name: string,
  kernel: ZipKernel | ZipLoop,
  backward: (grad: Tensor, context: PairContext) => readonly (Tensor | null)[],
  resultDType: (dtype: DType) => DType = (dtype) => dtype,
): Op<Pair, NoAttrs> {
  return defineOp<Pair, NoAttrs>({
    name,
    infer([a, b]) {
      const type = inferBroadcast(name, a, b);
      return [{ dtype: resultDType(type.dtype), shape: type.shape }];
    },
    forward: ([a, b], _, [type]) => [zipTo(type!, a, b, kernel)],
    backward,
  });
}

const addKernel: ZipKernel = {
  f: (a, b) => a + b,
  loop(n, y, o, a, i, si, b, j, sj) {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! + b[j]!;
  },
};

const subKernel: ZipKernel = {
  f: (a, b) => a - b,
  loop(n, y, o, a, i, si, b, j, sj) {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! - b[j]!;
  },
};

const mulKernel: ZipKernel = {
  f: (a, b) => a * b,
  loop(n, y, o, a, i, si, b, j, sj) {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! * b[j]!;
  },
};

const divKernel: ZipKernel = {
  f: (a, b) => a / b,
  loop(n, y, o, a, i, si, b, j, sj) {
    for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = a[i]! / b[j]!;
  },
};

/** The sum of bools is their disjunction. */
const either = zipWith((a, b) => Number(a !== 0 || b !== 0));

export const addOp = defineOp<Pair, NoAttrs>({
  name: "add",
  infer: ([a, b]) => [inferBroadcast("add", a, b)],
  forward: ([a, b], _, [type]) => [zipTo(type!, a, b, type!.dtype === "bool" ? either : addKernel)],
  backward: (dy) => [dy, dy],
});

export const subOp = binary("sub", subKernel, (dy) => [dy, neg(dy)]);

// d(ab) = b da + a db
export const mulOp = binary("mul", mulKernel, (dy, { inputs: [a, b], needs }) => [
  needs[0] ? mul(dy, b) : null,
  needs[1] ? mul(dy, a) : null,
]);

// d(a/b) = da / b - a db / b^2
export const divOp = binary(
  "div",
  divKernel,
  (dy, { inputs: [a, b], needs }) => [needs[0] ? div(dy, b) : null, needs[1] ? neg(div(mul(dy, div(a, b)), b)) : null],
  (dtype) => (isFloat(dtype) ? dtype : "float32"),
);

/** Powers are C's, which differ from JavaScript's where the base is 1 or -1 and the exponent not finite. */
export function powOf(x: number, y: number): number {
  if (x === 1 || (x === -1 && (y === Infinity || y === -Infinity))) return 1;
  return Math.pow(x, y);
}

function powBaseGradient(dy: Tensor, a: Operand, b: Operand): Tensor {
  if (typeof b !== "number") return maskedFill(mul(dy, mul(b, pow(a, sub(b, 1)))), equal(b, 0), 0);
  return b === 0 ? mul(dy, 0) : mul(dy, mul(pow(a, b - 1), b));
}

function powExponentGradient(dy: Tensor, a: Operand, b: Operand, y: Tensor): Tensor {
  const slope = mul(dy, mul(y, typeof a === "number" ? Math.log(a) : log(a)));
  if (typeof a === "number") return a === 0 ? maskedFill(slope, greaterEqual(b, 0), 0) : slope;
  return maskedFill(slope, mul(equal(a, 0), greaterEqual(b, 0)), 0);
}

/** Exponents that PyTorch computes by other means than pow, which shows at infinities. */
const powersOf: ReadonlyMap<number, (x: number) => number> = new Map([
  [2, (x: number) => x * x],
  [3, (x: number) => x * x * x],
  [0.5, Math.sqrt],
  [-0.5, (x: number) => 1 / Math.sqrt(x)],
  [-1, (x: number) => 1 / x],
]);

// d(a^b) = b a^(b-1) da + a^b ln(a) db; the first term is 0 for b = 0, the second for a = 0 with b >= 0
export const powOp = defineOp<Pair, NoAttrs>({
  name: "pow",
  infer: ([a, b]) => [inferBroadcast("pow", a, b)],
  forward([a, b], _, [type]) {
    const special = typeof b === "number" && isFloat(type!.dtype) ? powersOf.get(b) : undefined;
    return [special ? mapTo(type!, a as Tensor, mapWith(special)) : zipTo(type!, a, b, zipWith(powOf))];
  },
  backward: (dy, { inputs: [a, b], outputs, needs }) => [
    needs[0] ? powBaseGradient(dy, a, b) : null,
    needs[1] ? powExponentGradient(dy, a, b, outputs[0]!) : null,
  ],
});

// NaN where either is NaN, as Math.max has it. The gradient of a tie is shared equally; NaN passes it to both.
function extreme(
  name: string,
  f: (a: number, b: number) => number,
  loses: (a: Operand, b: Operand) => Tensor,
): Op<Pair, NoAttrs> {
  return binary(name, zipWith(f), (dy, { inputs: [a, b], needs }) => {
    const shared = where(equal(a, b), mul(dy, 0.5), dy);
    return [needs[0] ? maskedFill(shared, loses(a, b), 0) : null, needs[1] ? maskedFill(shared, loses(b, a), 0) : null];
  });
}

export const maximumOp = extreme("maximum", Math.max, less);
export const minimumOp = extreme("minimum", Math.min, greater);

/** a mod b with the sign of b, as Python's; exact, for a finite quotient of any size. */
export function remainderOf(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

// d(a mod b) = da - floor(a/b) db
export const remainderOp = binary("remainder", zipWith(remainderOf), (dy, { inputs: [a, b], needs }) => [
  needs[0] ? dy : null,
  needs[1] ? neg(mul(dy, floor(div(a, b)))) : null,
]);

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

/** The remainder of a / b that has the divisor's sign. */
export function remainder(a: Operand, b: Operand): Tensor {
  return apply(remainderOp, [a, b], {});
}
